#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "compiler/graph_passes/fuse_into_tasks.h"
#include "compiler/graph_passes/pass_table.h"
#include "compiler/task/evaluate.h"
#include "tests/compiler/graph_passes/small_networks.h"

namespace hone {
namespace {

const Target kV3 = FindTarget("x86-64-v3").value();

class Network {
 public:
  explicit Network(int64_t size) : image(graph.AddInput("x", {DType::kF32, {DimExpr(1), DimExpr(16), DimExpr(size), DimExpr(size)}})) {}

  TensorId Conv(TensorId x, int64_t channels, int64_t kernel = 1) {
    return Op("conv2d", {x, Constant({channels, Channels(x), kernel, kernel})}, kernel);
  }
  TensorId Depthwise(TensorId x) { return Op("depthwise_conv2d", {x, Constant({Channels(x), 1, 3, 3})}, 3); }
  TensorId Pool(TensorId x) {
    return graph
        .AddNode("max_pool2d", {x},
                 {{"kernel", std::vector<DimExpr>(2, DimExpr(2))},
                  {"strides", std::vector<DimExpr>(2, DimExpr(2))},
                  {"pads", std::vector<DimExpr>(4, DimExpr(0))}},
                 "pool")
        .value()[0];
  }
  TensorId Op(const char* op, const std::vector<TensorId>& inputs, int64_t kernel = 0) {
    const AttrMap window = {{"strides", std::vector<DimExpr>(2, DimExpr(1))}, {"pads", std::vector<DimExpr>(4, DimExpr(kernel / 2))}};
    const AttrMap attrs = kernel > 0 ? window : AttrMap();
    return graph.AddNode(op, inputs, attrs, absl::StrCat(op, count_++)).value()[0];
  }
  // 16 -> 64 -> 3x3 -> 16 channels.
  TensorId InvertedResidual(TensorId x) { return Conv(Op("relu", {Depthwise(Op("relu", {Conv(x, 64)}))}), 16); }

  Graph graph;
  const TensorId image;

 private:
  int64_t Channels(TensorId x) const { return graph.tensor(x).type.shape[1].Constant(); }
  TensorId Constant(const std::vector<int64_t>& dims) {
    HostTensor host = HostTensor::Zeros(DType::kF32, dims);
    for (int64_t i = 0; i < host.Elements(); ++i) host.Set(i, 0.01 * static_cast<double>(i * 37 % 41 - 20));
    return graph.AddConstant(absl::StrCat("c", graph.tensor_count()), ConstantOf(std::move(host)));
  }
  int count_ = 0;
};

int Anchors(const Task& task) {
  int anchors = 0;
  for (int i = 0; i < task.graph.node_count(); ++i) anchors += task.graph.node({i}).op->op_class == OpClass::kElementwise ? 0 : 1;
  return anchors;
}
double PreferMany(const Task&) { return 1; }
double PreferFew(const Task& task) { return Anchors(task) > 1 ? 10 : 1; }
double PreferPairs(const Task& task) { return Anchors(task) > 2 ? 10 : 1; }
double KnowNothing(const Task&) { return 0; }

class PricedBy : public TaskCosts {
 public:
  explicit PricedBy(double (*seconds)(const Task&)) : seconds_(seconds) {}
  double SecondsFor(const Task& task) const override { return seconds_(task); }

 private:
  double (*const seconds_)(const Task&);
};

CutGraph CutOf(Graph graph, double (*seconds)(const Task&)) {
  EXPECT_TRUE(RunPasses(graph, {.target = kV3}).ok());
  const PricedBy costs(seconds);
  return FuseIntoTasks(std::move(graph), kV3, 1, AlgorithmPolicy::kFast, seconds == nullptr ? nullptr : &costs).value();
}

// Numbers of operators that are not elementwise, by call; conversions of layouts are left out.
std::vector<int> AnchorsOfCalls(const Network& network, double (*seconds)(const Task&)) {
  std::vector<int> anchors;
  const CutGraph cut = CutOf(network.graph, seconds);
  for (const TaskCall& call : cut.calls) {
    const Task& task = cut.tasks[call.task];
    if (task.graph.node({0}).op->name != "identity") anchors.push_back(Anchors(task));
  }
  return anchors;
}

TEST(JoinStripsTest, ThePriceDecides) {
  Network network(48);
  const TensorId block = network.InvertedResidual(network.image);
  network.graph.SetOutputs({network.Op("add", {block, network.image})});
  EXPECT_EQ(AnchorsOfCalls(network, PreferMany), (std::vector<int>{3}));
  EXPECT_EQ(AnchorsOfCalls(network, PreferFew), (std::vector<int>{1, 1, 1}));
  EXPECT_EQ(AnchorsOfCalls(network, PreferPairs).size(), 2u);
  EXPECT_EQ(AnchorsOfCalls(network, KnowNothing), (std::vector<int>{1, 1, 1}));
  EXPECT_EQ(AnchorsOfCalls(network, nullptr), (std::vector<int>{1, 1, 1}));
}

TEST(JoinStripsTest, PoolsJoinTheDenseConvolutionBefore) {
  Network network(64);
  network.graph.SetOutputs({network.Pool(network.Op("relu", {network.Conv(network.image, 64, 3)}))});
  EXPECT_EQ(AnchorsOfCalls(network, PreferMany), (std::vector<int>{2}));
  EXPECT_EQ(AnchorsOfCalls(network, PreferFew), (std::vector<int>{1, 1}));
  const std::vector<HostTensor> inputs = MakeInputs(network.graph);
  const auto got = EvaluateCut(CutOf(network.graph, PreferMany), inputs);
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_LT(Difference(*got, EvaluateGraph(network.graph, inputs).value()), 1e-5);
}

TEST(JoinStripsTest, JoinedTasksComputeTheSame) {
  Network network(48);
  TensorId x = network.InvertedResidual(network.image);
  x = network.Op("add", {network.InvertedResidual(x), x});
  network.graph.SetOutputs({network.Depthwise(network.Op("relu", {network.Conv(x, 48)}))});
  const std::vector<HostTensor> inputs = MakeInputs(network.graph);
  const CutGraph cut = CutOf(network.graph, PreferMany);
  EXPECT_LT(cut.calls.size(), 6u);
  const auto got = EvaluateCut(cut, inputs);
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_LT(Difference(*got, EvaluateGraph(network.graph, inputs).value()), 1e-5);
}

TEST(JoinStripsTest, OnlyImagesThatOneReaderTakesRowByRowAndThatLeaveTheCache) {
  Network small(8);
  small.graph.SetOutputs({small.InvertedResidual(small.image)});
  EXPECT_EQ(AnchorsOfCalls(small, PreferMany), (std::vector<int>{1, 1, 1})) << "images of 16 KiB";

  Network twice(48);
  const TensorId wide = twice.Op("relu", {twice.Conv(twice.image, 64)});
  twice.graph.SetOutputs({twice.Depthwise(wide), twice.Depthwise(wide)});
  EXPECT_EQ(AnchorsOfCalls(twice, PreferMany), (std::vector<int>{1, 1, 1})) << "two readers";

  Network seen(48);
  const TensorId shown = seen.Op("relu", {seen.Conv(seen.image, 64)});
  seen.graph.SetOutputs({seen.Depthwise(shown), shown});
  EXPECT_EQ(AnchorsOfCalls(seen, PreferMany), (std::vector<int>{1, 1})) << "a result of the model";
}

}  // namespace
}  // namespace hone
