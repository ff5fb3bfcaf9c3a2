#pragma once

#include "absl/status/statusor.h"
#include "compiler/graph_passes/cut_graph.h"

namespace hone {

// Cuts a graph with layouts into tasks. Every task has one anchor (anything but elementwise operators and
// views) or begins with an elementwise operator, followed by the elementwise operators that fuse into it:
// those that work on its result's shape and layout and leave a single result. What MemoryViews finds to be
// views needs no task.
absl::StatusOr<CutGraph> FuseIntoTasks(Graph graph, const Target& target, int threads,
                                       AlgorithmPolicy policy);

}  // namespace hone
