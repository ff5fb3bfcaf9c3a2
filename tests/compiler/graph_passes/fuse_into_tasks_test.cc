#include "compiler/graph_passes/fuse_into_tasks.h"

#include "absl/strings/str_cat.h"
#include "compiler/graph_passes/pass_table.h"
#include "compiler/task/evaluate.h"
#include "gtest/gtest.h"
#include "tests/compiler/graph_passes/small_networks.h"

namespace hone {
namespace {

const Target kV3 = FindTarget("x86-64-v3").value();

CutGraph CutOf(Graph graph) {
  EXPECT_TRUE(RunPasses(graph, {kV3}).ok());
  return FuseIntoTasks(std::move(graph), kV3, 1, AlgorithmPolicy::kFast).value();
}

std::string Labels(const CutGraph& cut) {
  std::string text;
  for (const TaskCall& call : cut.calls) text += cut.tasks[call.task].Label() + "\n";
  return text;
}

TEST(FuseIntoTasksTest, TasksComputeTheNetworks) {
  for (const SmallNetwork& network : SmallNetworks()) {
    const std::vector<HostTensor> inputs = MakeInputs(network.graph);
    const auto expected = EvaluateGraph(network.graph, inputs);
    ASSERT_TRUE(expected.ok()) << network.name << expected.status();
    const auto got = EvaluateCut(CutOf(network.graph), inputs);
    ASSERT_TRUE(got.ok()) << network.name << got.status();
    EXPECT_LT(Difference(*got, *expected), 1e-5) << network.name;
  }
}

TEST(FuseIntoTasksTest, EveryTaskHasOneAnchorAndOneLayout) {
  for (const SmallNetwork& network : SmallNetworks()) {
    const CutGraph cut = CutOf(network.graph);
    for (const Task& task : cut.tasks) {
      const absl::StatusOr<Task> parsed = Task::Parse(task.Key());
      ASSERT_TRUE(parsed.ok()) << parsed.status();
      EXPECT_EQ(parsed->Key(), task.Key());
      EXPECT_TRUE(LowerTask(task).ok());
      for (int i = 1; i < task.graph.node_count(); ++i) {
        const Node& node = task.graph.node({i});
        const bool rearranges = task.graph.node({0}).op->op_class == OpClass::kData;
        EXPECT_TRUE(rearranges || node.op->op_class == OpClass::kElementwise) << network.name << " " << task.Label();
        for (const TensorId id : node.inputs) {
          const Tensor& operand = task.graph.tensor(id);
          const bool same_shape = operand.type.shape == task.graph.tensor(node.outputs[0]).type.shape;
          EXPECT_TRUE(!same_shape || operand.layout == task.graph.tensor(node.outputs[0]).layout)
              << task.Label();
        }
      }
    }
    for (const TaskCall& call : cut.calls) {
      EXPECT_EQ(call.constants.size(), cut.tasks[call.task].Constants().size());
      EXPECT_EQ(call.inputs.size(), cut.tasks[call.task].graph.inputs().size());
    }
  }
}

TEST(FuseIntoTasksTest, ResidualAdditionJoinsTheLastProducer) {
  EXPECT_EQ(Labels(CutOf(FindSmallNetwork("residual"))),
            "conv2d 3x7x7 -> 16x7x7 3x3 + add + relu\n"
            "conv2d 16x7x7 -> 16x7x7 3x3 + add + relu\n"
            "conv2d 16x7x7 -> 16x7x7 3x3 + add + add + relu\n"
            "conv2d 16x7x7 -> 32x4x4 3x3 + add + relu\n"
            "reduce_mean 32x4x4 -> 32x1x1\n"
            "matmul 32 -> 10\n");
}

TEST(FuseIntoTasksTest, DiamondsOfElementwiseOperatorsFuse) {
  EXPECT_EQ(Labels(CutOf(FindSmallNetwork("squeeze_excite"))),
            "conv2d 3x9x9 -> 16x9x9 3x3 + add\n"
            "add 16x9x9 -> 16x9x9 + clip + mul + mul\n"
            "depthwise_conv2d 16x9x9 -> 16x9x9 5x5 + add + relu\n"
            "reduce_mean 16x9x9 -> 16x1x1\n"
            "conv2d 16x1x1 -> 6x1x1 1x1 + add + relu\n"
            "conv2d 6x1x1 -> 16x1x1 1x1 + add + hard_sigmoid\n"
            "mul 16x16x1x1 -> 16x16x1x1\n"
            "conv2d 16x9x9 -> 16x9x9 1x1 + add + add\n"
            "identity 16x9x9 -> 16x9x9\n");
  EXPECT_EQ(Labels(CutOf(FindSmallNetwork("elementwise"))), "add 2x3x5 -> 2x3x5 + sigmoid + sub + mul\n");
}

// Written out, thirty squares of each other have 2^30 terms: no phase may be asked to.
TEST(FuseIntoTasksTest, ExpressionsStaySmall) {
  Graph graph;
  TensorId x = graph.AddInput("x", {DType::kF32, {DimExpr(4), DimExpr(8)}});
  const AttrMap rows = {{"axes", std::vector<DimExpr>{DimExpr(1)}}, {"keepdims", int64_t{1}}};
  x = graph.AddNode("reduce_sum", {x}, rows, "s")->front();
  for (int i = 0; i < 200; ++i) x = graph.AddNode("mul", {x, x}, {}, absl::StrCat("m", i))->front();
  graph.SetOutputs({x});
  const CutGraph cut = CutOf(std::move(graph));
  EXPECT_GT(cut.calls.size(), 10u);
  EXPECT_LT(cut.calls.size(), 40u);
}

// One growing tensor holds all features; the left half is copied beside the right one, which is written there.
TEST(FuseIntoTasksTest, ConcatenationsAndSlicesAreViews) {
  const CutGraph cut = CutOf(FindSmallNetwork("dense_block"));
  EXPECT_EQ(Labels(cut),
            "conv2d 3x6x6 -> 32x6x6 3x3 + relu\n"
            "mul 32x6x6 -> 32x6x6 + add + relu\n"
            "conv2d 32x6x6 -> 16x6x6 3x3\n"
            "mul 48x6x6 -> 48x6x6 + add + relu\n"
            "conv2d 48x6x6 -> 16x6x6 3x3\n"
            "mul 64x6x6 -> 64x6x6 + add + relu\n"
            "conv2d 64x6x6 -> 16x6x6 3x3\n"
            "conv2d 80x6x6 -> 32x6x6 1x1 + relu\n"
            "conv2d 16x6x6 -> 16x6x6 3x3 + relu\n"
            "identity 16x6x6 -> 16x6x6\n"
            "reduce_mean 32x6x6 -> 32x1x1\n");
  std::string views;
  for (const ViewAlias& view : cut.views) {
    views += absl::StrCat(cut.graph.tensor(view.view).type.ToString(), " in ", cut.graph.tensor(view.of).type.ToString(),
                          " at ", view.offset / (6 * 6 * 4), "\n");
  }
  EXPECT_EQ(views,
            "f32[1,16,6,6] in f32[1,32,6,6] at 0\n"
            "f32[1,16,6,6] in f32[1,32,6,6] at 16\n"
            "f32[1,32,6,6] in f32[1,48,6,6] at 0\n"
            "f32[1,16,6,6] in f32[1,48,6,6] at 32\n"
            "f32[1,48,6,6] in f32[1,64,6,6] at 0\n"
            "f32[1,16,6,6] in f32[1,64,6,6] at 48\n"
            "f32[1,64,6,6] in f32[1,80,6,6] at 0\n"
            "f32[1,16,6,6] in f32[1,80,6,6] at 64\n"
            "f32[1,16,6,6] in f32[1,32,6,6] at 0\n"
            "f32[1,16,6,6] in f32[1,32,6,6] at 16\n");
}

TEST(FuseIntoTasksTest, SlicesThatMakeUpATensorAreIt) {
  EXPECT_EQ(Labels(CutOf(FindSmallNetwork("cross_stage"))),
            "conv2d 3x4x4 -> 32x4x4 3x3 + relu\n"
            "conv2d 16x4x4 -> 16x4x4 3x3 + relu\n"
            "conv2d 48x4x4 -> 16x4x4 1x1 + relu\n"
            "reduce_mean 16x4x4 -> 16x1x1\n");
}

// One copy makes each half out of two; the last shuffle has no slices behind it.
TEST(FuseIntoTasksTest, ShufflesFuseWithWhatTheyRearrange) {
  EXPECT_EQ(Labels(CutOf(FindSmallNetwork("shuffle_units"))),
            "conv2d 3x4x4 -> 28x4x4 3x3 + relu\n"
            "slice 28x4x4 -> 14x4x4\n"
            "slice 28x4x4 -> 14x4x4\n"
            "conv2d 14x4x4 -> 14x4x4 1x1 + relu\n"
            "concat 14x4x4 -> 28x4x4 + channel_shuffle + slice\n"
            "concat 14x4x4 -> 28x4x4 + channel_shuffle + slice\n"
            "conv2d 14x4x4 -> 14x4x4 1x1 + relu\n"
            "concat 14x4x4 -> 28x4x4 + channel_shuffle\n"
            "conv2d 28x4x4 -> 16x4x4 1x1 + relu\n"
            "identity 16x4x4 -> 16x4x4\n");
}

TEST(FuseIntoTasksTest, TransformerTasks) {
  EXPECT_EQ(Labels(CutOf(FindSmallNetwork("transformer"))),
            "layer_norm 5x16 -> 5x16\n"
            "matmul 5x16 -> 5x16 + add\n"
            "transpose 5x2x8 -> 2x5x8\n"
            "matmul 5x16 -> 5x16 + add\n"
            "matmul 5x16 -> 5x16 + add\n"
            "transpose 5x2x8 -> 2x5x8\n"
            "transpose 5x2x8 -> 2x5x8\n"
            "matmul 2x5x8 -> 2x5x5 + mul\n"
            "softmax 2x5x5 -> 2x5x5\n"
            "matmul 2x5x5 -> 2x5x8\n"
            "transpose 2x5x8 -> 5x2x8\n"
            "add 5x16 -> 5x16\n"
            "matmul 5x16 -> 5x32 + mul + erf + add + mul + mul\n"
            "matmul 5x32 -> 5x16 + add\n");
}

TEST(FuseIntoTasksTest, EqualTasksAreOne) {
  const CutGraph cut = CutOf(FindSmallNetwork("transformer"));
  int most = 0;
  for (size_t i = 0; i < cut.tasks.size(); ++i) most = std::max(most, cut.WeightOf(static_cast<int>(i)));
  EXPECT_EQ(most, 3);
}

}  // namespace
}  // namespace hone
