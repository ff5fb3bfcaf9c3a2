#pragma once

#include <map>
#include <vector>

namespace hone {

// A partitioned boolean quadratic problem: every node takes one of its alternatives; costs of alternatives,
// and along edges of pairs of them, add up. Infinity forbids. Knows nothing of what it is about.
class Pbqp {
 public:
  using Matrix = std::vector<std::vector<double>>;  // [own alternative][the neighbour's]

  struct Node {
    std::vector<double> costs;    // by alternative
    std::map<int, Matrix> edges;  // by neighbour
  };

  struct Solution {
    std::vector<int> choices;  // by node
    double cost = 0;           // infinity: nothing is allowed
    bool optimal = true;       // proven: no branch was left out
  };

  int AddNode(std::vector<double> costs);  // at least one alternative; returns its number
  // Adds to what the nodes, or the edge between them, cost. a != b.
  void AddCosts(int node, const std::vector<double>& costs);
  void AddEdge(int a, int b, const Matrix& costs);

  int nodes() const { return static_cast<int>(nodes_.size()); }

  // Exact reductions of nodes with up to two neighbours (R0, RI, RII: Scholz and Eckstein, "Register
  // Allocation for Irregular Architectures", LCTES 2002), branch and bound on what is left (Hames and Scholz,
  // "Nearly Optimal Register Allocation with PBQP", JMLC 2006). After `branches` of them the best found so
  // far is the answer; the first is what the heuristic RN would give. Of equal answers always the same one.
  Solution Solve(int branches = 4096) const;

 private:
  std::vector<Node> nodes_;
};

}  // namespace hone
