#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace hone {

// "jobs/abc" -> "abc". InvalidArgument unless the name is of this collection and the id has only a-z, 0-9.
absl::StatusOr<std::string> IdIn(std::string_view collection, std::string_view name);

// Names in a manifest are keys, never paths that anybody opens; they are written into folders by clients, so
// what could lead out of one is refused here already: absolute, "..", ".", empty parts, backslash, control
// characters, over 255 bytes.
absl::Status CheckFileName(std::string_view name);
// For people: 1 to 128 bytes without '/' and control characters.
absl::Status CheckDisplayName(std::string_view name);

}  // namespace hone
