#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace hone {

// Relocatable object code, shared: compiled tasks are cached and linked into every candidate and module that uses them.
using ObjectRef = std::shared_ptr<const std::string>;

// Links relocatable objects into a shared object that exports `exported` alone; no dependencies. In-process lld.
absl::StatusOr<std::string> LinkShared(const std::vector<ObjectRef>& objects, const std::vector<std::string>& exported);
// Joins relocatable objects into one (ld -r); all symbols stay visible.
absl::StatusOr<std::string> LinkRelocatable(const std::vector<ObjectRef>& objects);

}  // namespace hone
