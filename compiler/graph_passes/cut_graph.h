#pragma once

#include <string>
#include <vector>

#include "compiler/graph/graph.h"
#include "compiler/task/task.h"
#include "compiler/task/task_costs.h"

namespace hone {

// One call of a task in the model: graph tensors bound to the task's inputs, constants (Task::Constants()
// order) and outputs, in order.
struct TaskCall {
  int task = -1;  // index into CutGraph::tasks
  std::vector<TensorId> inputs;
  std::vector<TensorId> constants;
  std::vector<TensorId> outputs;
  std::string name;  // of the source node that anchors it
};

// `view` has the bytes of `of` from `offset` on: a reshape between plain layouts, a slice, a part of a concatenation.
struct ViewAlias {
  TensorId view, of;
  int64_t offset = 0;
};

// The model after graph_passes: the graph (tensors with layouts) cut into calls of distinct tasks, in
// execution order.
struct CutGraph {
  Graph graph;
  std::vector<Task> tasks;  // distinct keys, in order of first call
  std::vector<TaskCall> calls;
  std::vector<ViewAlias> views;
  int WeightOf(int task) const;  // number of calls
  double SecondsBy(const TaskCosts& costs) const;  // of all calls
  std::string ToString() const;
};

// One cut is taken instead of another if its seconds are less than this share of the other's: prices err.
inline constexpr double kClearlyCheaper = 0.995;

}  // namespace hone
