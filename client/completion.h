#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace hone {

// A script, made from the command table, that teaches a shell (bash, zsh or fish) to complete hone's commands
// and options; everything else completes as file names.
absl::StatusOr<std::string> CompletionScript(absl::string_view shell);

}  // namespace hone
