#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "compiler/graph/graph.h"
#include "compiler/plan/plan.h"

namespace hone {

// Stores a dense row-major tensor in a layout. `packed` has Layout::Elements() elements, already zero (padding, halo).
// InvalidArgument if dims and bytes do not match.
absl::Status PackTensor(const ConstantData& constant, const Layout& layout, uint8_t* packed);

// Stores the constants of a plan at their offsets from `packed` (plan.constant_bytes zero bytes), by several threads.
absl::Status PackConstants(const Plan& plan, const Graph& graph, int threads, uint8_t* packed);

}  // namespace hone
