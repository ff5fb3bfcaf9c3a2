#pragma once

#include <vector>

#include "compiler/graph/graph.h"
#include "compiler/task/task.h"

namespace hone {

// Which tasks of a graph may use algorithms that change rounding. Winograd and Strassen add what lies near by
// before they multiply: where the exact result is zero or tiny, an error remains in proportion to the largest
// value around (Higham, "Accuracy and Stability of Numerical Algorithms", ch. 23). That does no harm unless
// the network divides the result by its own size, as cosine attention does: x / max(|x|, 1e-12) makes whole
// values of it.
class RoundingPolicy {
 public:
  RoundingPolicy(const Graph& graph, AlgorithmPolicy asked);

  // Of the task that consists of these nodes.
  AlgorithmPolicy For(const std::vector<int>& nodes) const;

 private:
  const AlgorithmPolicy asked_;
  std::vector<bool> exact_;  // by node: contractions whose result is divided by its own size
};

}  // namespace hone
