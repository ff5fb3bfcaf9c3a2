#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "client/console.h"

// Questions on the terminal: asked on stderr, answered on stdin. For consoles that are `interactive` only.
namespace hone {

// "QUESTION [y/N] ": true for y and yes.
absl::StatusOr<bool> Confirm(const Console& console, const std::string& question);

// "QUESTION: ", the answer unseen. Cancelled with Ctrl-C; the terminal is as before in any case.
absl::StatusOr<std::string> AskSecret(const Console& console, const std::string& question);

}  // namespace hone
