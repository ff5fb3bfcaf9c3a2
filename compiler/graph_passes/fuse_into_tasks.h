#pragma once

#include "absl/status/statusor.h"
#include "compiler/graph_passes/cut_graph.h"
#include "compiler/task/task_costs.h"

namespace hone {

// The nodes of each task in topological order, tasks in order of their last node. `is_view`, by node, need no
// task.
std::vector<std::vector<int>> GroupIntoTasks(const Graph& graph, const std::vector<bool>& is_view);

// A group of nodes as a graph of its own, and what its tensors are in the model.
struct ExtractedTask {
  Graph graph;
  TaskCall call;
};
absl::StatusOr<ExtractedTask> ExtractTask(const Graph& graph, const std::vector<int>& nodes);

// Cuts a graph with layouts into tasks. Every task has one anchor (anything but elementwise operators and
// views) or begins with an elementwise operator, followed by the elementwise operators that fuse into it:
// those that work on its result's shape and layout and leave a single result. Where `costs` are given and
// say that it pays, tasks that pass images on are joined (JoinIntoStrips). What MemoryViews finds to be
// views needs no task.
absl::StatusOr<CutGraph> FuseIntoTasks(Graph graph, const Target& target, int threads,
                                       AlgorithmPolicy policy, const TaskCosts* costs = nullptr);

}  // namespace hone
