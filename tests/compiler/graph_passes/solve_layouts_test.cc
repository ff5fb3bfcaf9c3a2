// Layouts chosen by prices: whatever tasks cost, the network computes the same, and never costs more than
// with layouts by rule.
#include "compiler/graph_passes/solve_layouts.h"

#include <cmath>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "compiler/graph_passes/fuse_into_tasks.h"
#include "compiler/task/evaluate.h"
#include "gtest/gtest.h"
#include "tests/compiler/graph_passes/small_networks.h"

namespace hone {
namespace {

const Target kV3 = FindTarget("x86-64-v3").value();
const Target kV4 = FindTarget("x86-64-v4").value();

// Prices without rhyme or reason, the same for one task: they lead everywhere.
class ArbitraryCosts : public TaskCosts {
 public:
  explicit ArbitraryCosts(uint64_t seed) : seed_(seed) {}
  double SecondsFor(const Task& task) const override {
    uint64_t hash = seed_ * 0x9e3779b97f4a7c15u;
    for (const char c : task.Key()) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3u;
    return static_cast<double>(hash >> 40) + 1;
  }

 private:
  uint64_t seed_;
};

// Bytes read and written, those that blocks leave empty too. Row-major images are beyond price.
class BytesMoved : public TaskCosts {
 public:
  double SecondsFor(const Task& task) const override {
    double bytes = 0;
    for (const auto* ids : {&task.graph.inputs(), &task.graph.outputs()}) {
      for (const TensorId id : *ids) {
        const Tensor& tensor = task.graph.tensor(id);
        const bool image = tensor.type.rank() == 4 && !(tensor.type.shape[2] == DimExpr(1));
        bytes += 4 * static_cast<double>(tensor.layout.Elements(tensor.type.shape).Constant());
        if (image && tensor.layout.IsPlain()) bytes += 1e6;
      }
    }
    return bytes * 1e-9;
  }
};

class NothingCompiles : public TaskCosts {
 public:
  double SecondsFor(const Task&) const override { return HUGE_VAL; }
};

Graph After(const std::string& network, const PassOptions& options) {
  Graph graph = FindSmallNetwork(network);
  EXPECT_TRUE(RunPasses(graph, options).ok());
  return graph;
}

double SecondsOf(const Graph& graph, const PassOptions& options, const TaskCosts& costs) {
  const CutGraph cut = FuseIntoTasks(graph, options.target, options.threads, options.policy).value();
  double seconds = 0;
  for (const TaskCall& call : cut.calls) seconds += costs.SecondsFor(cut.tasks[call.task]);
  return seconds;
}

TEST(SolveLayoutsTest, WhateverTasksCostTheNetworksComputeTheSame) {
  int solved = 0;
  for (const Target& target : {kV3, kV4}) {
    for (const SmallNetwork& network : SmallNetworks()) {
      const std::vector<HostTensor> inputs = MakeInputs(network.graph);
      const auto expected = EvaluateGraph(network.graph, inputs);
      ASSERT_TRUE(expected.ok()) << expected.status();
      for (uint64_t seed = 0; seed < 8; ++seed) {
        SCOPED_TRACE(absl::StrCat(network.name, " on ", target.ToString(), ", seed ", seed));
        const ArbitraryCosts costs(seed);
        PassOptions options{target};
        const Graph by_rule = After(network.name, options);
        options.costs = &costs;
        Graph graph = network.graph;
        ASSERT_TRUE(RunPasses(graph, options).ok());
        for (const auto* ids : {&graph.inputs(), &graph.outputs()}) {
          for (const TensorId id : *ids) EXPECT_TRUE(graph.tensor(id).layout.IsPlain());
        }
        EXPECT_LE(SecondsOf(graph, options, costs), SecondsOf(by_rule, options, costs));
        EXPECT_EQ(graph.ToString(), After(network.name, options).ToString());
        solved += graph.ToString() == by_rule.ToString() ? 0 : 1;
        const auto got =
            EvaluateCut(FuseIntoTasks(std::move(graph), target, 1, AlgorithmPolicy::kFast).value(), inputs);
        ASSERT_TRUE(got.ok()) << got.status();
        EXPECT_LT(Difference(*got, *expected), 1e-5);
      }
    }
  }
  EXPECT_GT(solved, 100);
}

std::string LayoutsByChannels(const Graph& graph) {
  std::map<int64_t, std::set<std::string>> layouts;
  for (int i = 0; i < graph.tensor_count(); ++i) {
    const Tensor& tensor = graph.tensor({i});
    if (tensor.constant == nullptr && tensor.type.rank() == 4)
      layouts[tensor.type.shape[1].Constant()].insert(tensor.layout.ToString());
  }
  std::string text;
  for (const auto& [channels, names] : layouts)
    absl::StrAppend(&text, channels, ": ", absl::StrJoin(names, " "), "\n");
  return text;
}

// 24 channels fill three blocks of 8, and three quarters of two of 16.
TEST(SolveLayoutsTest, BlocksThatLeaveLessEmptyAreChosenWhereTheyCostLess) {
  const BytesMoved costs;
  std::string remark;
  const Graph by_rule = After("narrow", {kV4});
  const Graph solved = After(
      "narrow", {.target = kV4, .costs = &costs, .remark = [&](const std::string& line) { remark = line; }});
  EXPECT_EQ(LayoutsByChannels(by_rule), "3: abcd\n24: aBcd16b\n32: aBcd16b abcd\n");
  EXPECT_EQ(LayoutsByChannels(solved), "3: abcd\n24: aBcd8b\n32: abcd\n");
  EXPECT_NE(remark.find("proven optimal"), std::string::npos) << remark;
}

TEST(SolveLayoutsTest, TheRuleStaysWhereNothingIsToGain) {
  const NothingCompiles costs;
  for (const SmallNetwork& network : SmallNetworks()) {
    EXPECT_EQ(After(network.name, {.target = kV4, .costs = &costs}).ToString(),
              After(network.name, {kV4}).ToString());
  }
}

}  // namespace
}  // namespace hone
