#pragma once

#include <string_view>

#include "absl/status/status.h"

namespace hone {

// Takes a model of a stranger as far as inspecting it does: imported (once more with small numbers for open
// dimensions), passes, cut into tasks, which are lowered. Ok, or what the user would be told.
absl::Status ProbeModel(std::string_view bytes);

}  // namespace hone
