#pragma once

#include "absl/status/statusor.h"
#include "compiler/graph_passes/layout_choice.h"
#include "compiler/graph_passes/pass_table.h"

namespace hone {

struct LayoutSolution {
  LayoutChoice choice;
  int variables = 0;
  bool optimal = false;  // proven, of the problem as it was posed
};

// The layouts for which all tasks and conversions together cost least (options.costs). Variables are the
// tensors that tasks write: their alternatives are the layout it is written in and, maybe, another it is
// copied to. A task's cost lies on the edge between what it reads and what it writes, and is shared among the
// edges where it reads several images, as if each alone were another. Operands of elementwise operators are
// read as the result is written. NotFound: nothing is to choose, or too much.
absl::StatusOr<LayoutSolution> SolveLayouts(const Graph& graph, const PassOptions& options);

}  // namespace hone
