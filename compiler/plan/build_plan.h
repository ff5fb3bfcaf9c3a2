#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "compiler/codegen/codegen.h"
#include "compiler/graph_passes/cut_graph.h"
#include "compiler/plan/plan.h"

namespace hone {

// One CallTask per call of the cut (tasks[i] is the compiled cut.tasks[i]), an Alias per view, a copy where a graph
// output is itself an input, a constant or another output. Graph inputs and outputs are bound to the caller's tensors:
// the cut has made their layouts plain. InvalidArgument: a tensor without a finite bound of its size. The plan verifies.
absl::StatusOr<Plan> BuildPlan(const CutGraph& cut, const std::vector<CompiledTask>& tasks);

}  // namespace hone
