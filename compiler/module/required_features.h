#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "compiler/target/target.h"

namespace hone {

// The bits of compiler/runtime/cpu_features.h that LLVM may use for this target: what a module's open() checks.
absl::StatusOr<uint64_t> RequiredCpuFeatures(const Target& target);
std::vector<std::string> CpuFeatureNames(uint64_t features);

}  // namespace hone
