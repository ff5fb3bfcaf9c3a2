#include "compiler/graph_passes/pbqp.h"

#include <cmath>
#include <random>

#include "gtest/gtest.h"

namespace hone {
namespace {

struct Edge {
  int a, b;
  Pbqp::Matrix costs;
};

// A problem as it was posed, to be searched in full.
struct Instance {
  std::vector<std::vector<double>> costs;
  std::vector<Edge> edges;

  Pbqp Problem() const {
    Pbqp problem;
    for (const std::vector<double>& node : costs) problem.AddNode(node);
    for (const Edge& edge : edges) problem.AddEdge(edge.a, edge.b, edge.costs);
    return problem;
  }
  double CostOf(const std::vector<int>& choices) const {
    double cost = 0;
    for (size_t n = 0; n < costs.size(); ++n) cost += costs[n][choices[n]];
    for (const Edge& edge : edges) cost += edge.costs[choices[edge.a]][choices[edge.b]];
    return cost;
  }
  double Least() const {
    std::vector<int> choices(costs.size(), 0);
    double least = HUGE_VAL;
    for (;;) {
      least = std::min(least, CostOf(choices));
      size_t n = 0;
      while (n < choices.size() && ++choices[n] == static_cast<int>(costs[n].size())) choices[n++] = 0;
      if (n == choices.size()) return least;
    }
  }
};

class RandomInstances {
 public:
  explicit RandomInstances(uint64_t seed) : random_(seed) {}

  int UpTo(int most) { return static_cast<int>(random_() % static_cast<uint64_t>(most + 1)); }
  // Whole numbers, so that sums are exact and equal answers occur; one in eight is forbidden.
  double Cost(bool forbids) { return forbids && UpTo(7) == 0 ? HUGE_VAL : UpTo(20); }
  Edge Between(int a, int b, const Instance& instance, bool forbids) {
    Edge edge{a, b, Pbqp::Matrix(instance.costs[a].size(), std::vector<double>(instance.costs[b].size()))};
    for (std::vector<double>& row : edge.costs) {
      for (double& cost : row) cost = Cost(forbids);
    }
    return edge;
  }
  Instance Make(int nodes, int edges, bool forbids) {
    Instance instance;
    for (int n = 0; n < nodes; ++n) {
      instance.costs.emplace_back();
      for (int i = UpTo(3); i >= 0; --i) instance.costs.back().push_back(Cost(forbids));
    }
    for (int e = 0; e < edges && nodes > 1; ++e) {
      const int a = UpTo(nodes - 1), b = (a + 1 + UpTo(nodes - 2)) % nodes;
      instance.edges.push_back(Between(a, b, instance, forbids));
    }
    return instance;
  }

 private:
  std::mt19937_64 random_;
};

// From trees to complete graphs, several edges between two nodes among them.
TEST(PbqpTest, FindsWhatAFullSearchFinds) {
  RandomInstances random(1);
  for (int i = 0; i < 1500; ++i) {
    const int nodes = 1 + random.UpTo(6);
    const Instance instance = random.Make(nodes, random.UpTo(2 * nodes), i % 2 == 0);
    const Pbqp::Solution solution = instance.Problem().Solve();
    const double least = instance.Least();
    EXPECT_TRUE(solution.optimal);
    EXPECT_EQ(solution.cost, least) << i;
    ASSERT_EQ(solution.choices.size(), instance.costs.size());
    if (std::isfinite(least)) {
      EXPECT_EQ(instance.CostOf(solution.choices), least) << i;
    }
  }
}

// Chains and ladders, as networks make them, need no branch however long.
TEST(PbqpTest, SeriesParallelGraphsReduceExactly) {
  RandomInstances random(2);
  for (int i = 0; i < 20; ++i) {
    Instance instance = random.Make(400, 0, false);
    for (int n = 1; n < 400; ++n) instance.edges.push_back(random.Between(n - 1, n, instance, false));
    for (int n = 4; n < 400; n += 4) instance.edges.push_back(random.Between(n - 4, n, instance, false));
    const Pbqp::Solution solution = instance.Problem().Solve(0);
    EXPECT_TRUE(solution.optimal);
    EXPECT_EQ(instance.CostOf(solution.choices), solution.cost);
  }
}

TEST(PbqpTest, WithoutBranchesTheAnswerIsOneButNotProven) {
  RandomInstances random(3);
  int proven = 0;
  for (int i = 0; i < 50; ++i) {
    const Instance instance = random.Make(12, 60, false);
    const Pbqp::Solution quick = instance.Problem().Solve(0), thorough = instance.Problem().Solve();
    EXPECT_EQ(instance.CostOf(quick.choices), quick.cost);
    EXPECT_TRUE(thorough.optimal);
    EXPECT_GE(quick.cost, thorough.cost);
    if (quick.optimal) {
      EXPECT_EQ(quick.cost, thorough.cost);
    }
    proven += quick.optimal ? 1 : 0;
  }
  EXPECT_LT(proven, 50);
}

TEST(PbqpTest, EqualAnswersAreAlwaysTheFirst) {
  Pbqp problem;
  for (int n = 0; n < 5; ++n) problem.AddNode({1, 1, 1});
  for (int n = 0; n < 5; ++n) problem.AddEdge(n, (n + 1) % 5, Pbqp::Matrix(3, std::vector<double>(3, 2)));
  for (int n = 0; n < 5; ++n) problem.AddEdge(n, (n + 2) % 5, Pbqp::Matrix(3, std::vector<double>(3, 0)));
  EXPECT_EQ(problem.Solve().choices, std::vector<int>(5, 0));
  EXPECT_EQ(problem.Solve().cost, 15);
}

}  // namespace
}  // namespace hone
