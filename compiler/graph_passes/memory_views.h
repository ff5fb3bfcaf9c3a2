#pragma once

#include <vector>

#include "compiler/graph_passes/cut_graph.h"

namespace hone {

// Which nodes of a graph with layouts need no code, since their results have the bytes of other tensors: reshapes of
// row-major bytes; slices that lie together; concatenations whose parts' producers write straight into the result. Memory
// of the model's interface is the caller's: only reshapes share it.
class MemoryViews {
 public:
  explicit MemoryViews(const Graph& graph);

  const std::vector<bool>& is_view() const { return is_view_; }  // by node
  const std::vector<ViewAlias>& aliases() const { return aliases_; }

  // The parts (by position) of a concatenation that need a copy before the rest may lie in its result; empty if it is a
  // view as it is, or none of its parts can lie there.
  const std::vector<size_t>& PartsToCopy(int node) const { return copies_[node]; }

 private:
  void FindReshapes();
  void FindSlice(int node);
  void FindConcat(int node);
  bool IsShared(TensorId id) const;
  TensorId Root(TensorId id) const;

  const Graph& graph_;
  std::vector<bool> is_view_, placed_;        // by node; by tensor: lies in the result of a concatenation
  std::vector<bool> interface_;               // by root of reshapes: input, output or constant
  std::vector<TensorId> root_;                // by tensor, through reshapes
  std::vector<ViewAlias> aliases_;
  std::vector<std::vector<size_t>> copies_;   // by node
};

}  // namespace hone
