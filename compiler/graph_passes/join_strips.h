#pragma once

#include <functional>
#include <vector>

#include "compiler/graph_passes/memory_views.h"
#include "compiler/target/target.h"

namespace hone {

// Joins groups of nodes (tasks to be, each in topological order, sorted by their last nodes) of which each
// reads row by row the image that the one before has made for it alone, and that is too large to stay near,
// or of which threads would read each other's rows: one task computes them over strips of rows. `seconds`
// prices a group, 0 where it cannot; chains are cut so that their parts cost least.
using PriceOfNodes = std::function<double(const std::vector<int>& nodes)>;
std::vector<std::vector<int>> JoinIntoStrips(const Graph& graph, const MemoryViews& views,
                                             const Target& target, int threads,
                                             std::vector<std::vector<int>> groups,
                                             const PriceOfNodes& seconds);

}  // namespace hone
