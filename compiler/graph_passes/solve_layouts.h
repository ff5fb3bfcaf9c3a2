#pragma once

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "compiler/graph_passes/layout_choice.h"
#include "compiler/graph_passes/pass_table.h"

namespace hone {

// Seconds of tasks; of tasks with one key only one is priced.
class PricedTasks {
 public:
  explicit PricedTasks(const TaskCosts& costs) : costs_(costs) {}
  double SecondsOf(const Task& task);

 private:
  const TaskCosts& costs_;
  std::map<std::string, double> seconds_;  // by key
};

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
absl::StatusOr<LayoutSolution> SolveLayouts(const Graph& graph, const PassOptions& options,
                                            PricedTasks* prices);

}  // namespace hone
