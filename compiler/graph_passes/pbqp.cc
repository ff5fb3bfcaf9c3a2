#include "compiler/graph_passes/pbqp.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>

namespace hone {
namespace {

using Costs = std::vector<double>;
using Matrix = Pbqp::Matrix;

constexpr double kForbidden = HUGE_VAL;

void AddTo(const Costs& from, Costs* to) {
  for (size_t i = 0; i < to->size(); ++i) (*to)[i] += from[i];
}

size_t Cheapest(const Costs& costs) {
  return static_cast<size_t>(std::min_element(costs.begin(), costs.end()) - costs.begin());
}

Matrix Transposed(const Matrix& matrix) {
  Matrix transposed(matrix.front().size(), Costs(matrix.size()));
  for (size_t i = 0; i < matrix.size(); ++i) {
    for (size_t j = 0; j < matrix[i].size(); ++j) transposed[j][i] = matrix[i][j];
  }
  return transposed;
}

// Adds an edge, or to an edge.
void Join(int a, int b, const Matrix& costs, std::vector<Pbqp::Node>* nodes) {
  const auto add = [&](int from, int to, const Matrix& matrix) {
    const auto [edge, added] = (*nodes)[from].edges.emplace(to, matrix);
    for (size_t i = 0; i < matrix.size() && !added; ++i) AddTo(matrix[i], &edge->second[i]);
  };
  add(a, b, costs);
  add(b, a, Transposed(costs));
}

// The problem while it shrinks. What a node that is gone would choose follows from the choices of its
// neighbours then.
class Reduction {
 public:
  explicit Reduction(std::vector<Pbqp::Node> nodes) : nodes_(std::move(nodes)), alive_(nodes_.size(), true) {}

  // R0, RI, RII until none applies.
  void Reduce() {
    for (bool changed = true; changed;) {
      changed = false;
      for (size_t n = 0; n < nodes_.size(); ++n) {
        if (!alive_[n] || nodes_[n].edges.size() > 2) continue;
        Remove(static_cast<int>(n));
        changed = true;
      }
    }
  }

  // The node with the most neighbours; -1: all are gone.
  int Busiest() const {
    int busiest = -1;
    size_t most = 0;
    for (size_t n = 0; n < nodes_.size(); ++n) {
      if (!alive_[n] || (busiest >= 0 && nodes_[n].edges.size() <= most)) continue;
      busiest = static_cast<int>(n);
      most = nodes_[n].edges.size();
    }
    return busiest;
  }

  // What each alternative of a node costs if every neighbour takes what is cheapest then.
  Costs Outlook(int node) const {
    Costs costs = nodes_[node].costs;
    for (const auto& [other, matrix] : nodes_[node].edges) {
      for (size_t i = 0; i < costs.size(); ++i) {
        Costs both = matrix[i];
        AddTo(nodes_[other].costs, &both);
        costs[i] += both[Cheapest(both)];
      }
    }
    return costs;
  }

  void Fix(int node, size_t choice) {
    Costs costs = std::move(nodes_[node].costs);
    constant_ += costs[choice];
    for (size_t i = 0; i < costs.size(); ++i) costs[i] = i == choice ? 0 : kForbidden;
    const std::map<int, Matrix> edges = Detach(node);
    for (const auto& [other, matrix] : edges) AddTo(matrix[choice], &nodes_[other].costs);
    SetGone(node, std::move(costs), {});
  }

  // No solution costs less.
  double Bound() const {
    double bound = constant_;
    for (size_t n = 0; n < nodes_.size(); ++n) {
      if (!alive_[n]) continue;
      bound += nodes_[n].costs[Cheapest(nodes_[n].costs)];
      for (const auto& [other, matrix] : nodes_[n].edges) {
        if (other < static_cast<int>(n)) continue;
        double least = kForbidden;
        for (const Costs& row : matrix) least = std::min(least, row[Cheapest(row)]);
        bound += least;
      }
    }
    return bound;
  }

  // Where all nodes are gone.
  Pbqp::Solution Answer() const {
    Pbqp::Solution answer{.choices = std::vector<int>(nodes_.size(), 0), .cost = constant_};
    for (const Gone* gone = gone_.get(); gone != nullptr; gone = gone->before.get()) {
      Costs costs = gone->costs;
      for (const auto& [other, matrix] : gone->edges) {
        for (size_t i = 0; i < costs.size(); ++i) costs[i] += matrix[i][answer.choices[other]];
      }
      answer.choices[gone->node] = static_cast<int>(Cheapest(costs));
    }
    return answer;
  }

 private:
  // The nodes that are gone, the last one first; shared by the branches that go on from them.
  struct Gone {
    int node;
    Costs costs;
    std::map<int, Matrix> edges;
    std::shared_ptr<const Gone> before;
  };

  void SetGone(int node, Costs costs, std::map<int, Matrix> edges) {
    gone_ = std::make_shared<const Gone>(Gone{node, std::move(costs), std::move(edges), std::move(gone_)});
  }

  std::map<int, Matrix> Detach(int node) {
    std::map<int, Matrix> edges = std::move(nodes_[node].edges);
    nodes_[node].edges.clear();
    for (const auto& [other, matrix] : edges) nodes_[other].edges.erase(node);
    alive_[node] = false;
    return edges;
  }

  void Remove(int node) {
    std::map<int, Matrix> edges = Detach(node);
    Costs costs = std::move(nodes_[node].costs);
    if (edges.empty()) {
      constant_ += costs[Cheapest(costs)];
    } else if (edges.size() == 1) {
      const auto& [other, matrix] = *edges.begin();
      Costs folded = nodes_[other].costs;
      for (size_t j = 0; j < folded.size(); ++j) {
        double least = kForbidden;
        for (size_t i = 0; i < costs.size(); ++i) least = std::min(least, costs[i] + matrix[i][j]);
        nodes_[other].costs[j] += least;
      }
    } else {
      const auto& [a, of_a] = *edges.begin();
      const auto& [b, of_b] = *edges.rbegin();
      Matrix folded(nodes_[a].costs.size(), Costs(nodes_[b].costs.size(), kForbidden));
      for (size_t j = 0; j < folded.size(); ++j) {
        for (size_t k = 0; k < folded[j].size(); ++k) {
          for (size_t i = 0; i < costs.size(); ++i)
            folded[j][k] = std::min(folded[j][k], costs[i] + of_a[i][j] + of_b[i][k]);
        }
      }
      Join(a, b, folded, &nodes_);
    }
    SetGone(node, std::move(costs), std::move(edges));
  }

  std::vector<Pbqp::Node> nodes_;
  std::vector<bool> alive_;
  std::shared_ptr<const Gone> gone_;
  double constant_ = 0;
};

// Goes on from `problem`; keeps the best answer. False when the branches are used up.
bool Branch(Reduction problem, int* branches, Pbqp::Solution* best) {
  problem.Reduce();
  const int node = problem.Busiest();
  if (node < 0) {
    Pbqp::Solution answer = problem.Answer();
    if (best->choices.empty() || answer.cost < best->cost) *best = std::move(answer);
    return true;
  }
  const Costs outlook = problem.Outlook(node);
  std::vector<size_t> order(outlook.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return outlook[a] < outlook[b]; });
  for (const size_t choice : order) {
    Reduction fixed = problem;
    fixed.Fix(node, choice);
    if (!best->choices.empty() && fixed.Bound() >= best->cost) continue;
    if (!best->choices.empty() && --*branches < 0) return false;
    if (!Branch(std::move(fixed), branches, best)) return false;
  }
  return true;
}

}  // namespace

int Pbqp::AddNode(std::vector<double> costs) {
  nodes_.push_back({std::move(costs), {}});
  return nodes() - 1;
}

void Pbqp::AddCosts(int node, const std::vector<double>& costs) { AddTo(costs, &nodes_[node].costs); }
void Pbqp::AddEdge(int a, int b, const Matrix& costs) { Join(a, b, costs, &nodes_); }

Pbqp::Solution Pbqp::Solve(int branches) const {
  Solution best;
  best.optimal = Branch(Reduction(nodes_), &branches, &best);
  return best;
}

}  // namespace hone
