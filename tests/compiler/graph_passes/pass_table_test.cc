#include "compiler/graph_passes/pass_table.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "compiler/graph_passes/fuse_into_tasks.h"
#include "compiler/graph_passes/memory_views.h"
#include "compiler/task/evaluate.h"
#include "gtest/gtest.h"
#include "tests/compiler/graph_passes/small_networks.h"

namespace hone {
namespace {

const Target kV3 = FindTarget("x86-64-v3").value();
const Target kV4 = FindTarget("x86-64-v4").value();

std::string Operators(const Graph& graph) {
  std::string text;
  for (int i = 0; i < graph.node_count(); ++i)
    text += (i == 0 ? "" : " ") + std::string(graph.node({i}).op->name);
  return text;
}

Graph After(const std::string& network, const Target& target = kV3) {
  Graph graph = FindSmallNetwork(network);
  EXPECT_TRUE(RunPasses(graph, {target}).ok());
  return graph;
}

// Every pass leaves a graph that verifies, prints, parses and computes what it did before.
TEST(PassTableTest, EveryPassKeepsWhatEveryNetworkComputes) {
  for (const Target& target : {kV3, kV4}) {
    for (const SmallNetwork& network : SmallNetworks()) {
      const std::vector<HostTensor> inputs = MakeInputs(network.graph);
      const auto expected = EvaluateGraph(network.graph, inputs);
      ASSERT_TRUE(expected.ok()) << network.name << expected.status();
      Graph graph = network.graph;
      int seen = 0;
      const absl::Status status = RunPasses(graph, {target}, [&](const GraphPass& pass, const Graph& after) {
        ++seen;
        const auto got = EvaluateGraph(after, inputs);
        ASSERT_TRUE(got.ok()) << network.name << " after " << pass.name << got.status();
        EXPECT_LT(Difference(*got, *expected), 1e-5) << network.name << " after " << pass.name;
        const absl::StatusOr<Graph> parsed = Graph::Parse(after.ToString());
        ASSERT_TRUE(parsed.ok()) << parsed.status();
        EXPECT_EQ(parsed->ToString(), after.ToString());
        for (size_t i = 0; i < graph.outputs().size(); ++i) {
          EXPECT_EQ(after.tensor(after.outputs()[i]).name,
                    network.graph.tensor(network.graph.outputs()[i]).name);
        }
      });
      EXPECT_TRUE(status.ok()) << network.name << status;
      EXPECT_EQ(seen, static_cast<int>(PassTable().size()));
    }
  }
}

TEST(PassTableTest, BatchNormGoesIntoWeightsAndOneTerm) {
  EXPECT_EQ(Operators(After("conv_bn_relu")), "conv2d add relu identity");
  EXPECT_EQ(Operators(After("upsample")).find("mul"), std::string::npos);
}

TEST(PassTableTest, TransposesAndReshapesCancel) {
  EXPECT_EQ(Operators(After("flatten_transpose")), "conv2d relu transpose reshape matmul softmax");
}

TEST(PassTableTest, ChannelShuffleIsRecognised) {
  const std::string operators = Operators(After("shuffle_units"));
  EXPECT_NE(operators.find("concat channel_shuffle slice"), std::string::npos) << operators;
  EXPECT_EQ(operators.find("transpose"), std::string::npos) << operators;
}

TEST(PassTableTest, TapsThatReadPaddingOnlyGo) {
  const Graph graph = After("padded_taps");
  std::vector<std::string> windows;
  for (int i = 0; i < graph.node_count(); ++i) {
    const Node& node = graph.node({i});
    const std::string op(node.op->name);
    if (op != "conv2d" && op != "depthwise_conv2d") continue;
    const std::vector<DimExpr>& dims = graph.tensor(node.inputs[1]).type.shape;
    windows.push_back(absl::StrCat(op, " ", dims[2].ToString(), "x", dims[3].ToString()));
  }
  std::sort(windows.begin(), windows.end());
  EXPECT_EQ(absl::StrJoin(windows, ", "),
            "conv2d 1x1, conv2d 1x1, conv2d 3x3, conv2d 3x3, conv2d 4x4, depthwise_conv2d 1x1");
}

TEST(PassTableTest, BranchesThatAreBroadcastStay) {
  EXPECT_EQ(Operators(After("broadcast_branches")),
            "conv2d relu conv2d conv2d add add add relu conv2d relu identity");
}

TEST(PassTableTest, ZerosAroundAnImageAreItsConvolutions) {
  EXPECT_EQ(Operators(After("padded_before")), "conv2d relu pad conv2d depthwise_conv2d add identity");
}

TEST(PassTableTest, SummedBranchesOfAnImageBecomeOne) {
  EXPECT_EQ(
      Operators(After("summed_branches")),
      "conv2d relu conv2d add relu conv2d add relu depthwise_conv2d conv2d add conv2d add relu identity");
}

TEST(PassTableTest, MapsGoBeforeConcatenations) {
  EXPECT_EQ(
      Operators(After("mixed_windows")),
      "conv2d relu conv2d conv2d depthwise_conv2d add sigmoid mul add sigmoid mul add sigmoid mul concat "
      "conv2d conv2d add add concat relu reduce_mean sigmoid mul identity");
}

TEST(PassTableTest, PoolingMovesToFewerPixelsOrChannels) {
  EXPECT_EQ(Operators(After("pooled_convolutions")),
            "conv2d relu average_pool2d conv2d add relu conv2d average_pool2d add relu identity");
}

// 16x9x9 pixels against 16x16 weights: cheaper. The gate's own convolutions read single pixels and stay.
TEST(PassTableTest, FactorsOfAnImageGoIntoWeightsWhereTheseAreFewer) {
  const Graph graph = After("squeeze_excite");
  std::vector<std::string> scaled;
  for (int i = 0; i < graph.node_count(); ++i) {
    const Node& node = graph.node({i});
    if (node.op->name != "conv2d") continue;
    const NodeId producer = graph.tensor(node.inputs[1]).producer;
    if (producer.index >= 0) {
      scaled.push_back(absl::StrCat(std::string(graph.node(producer).op->name),
                                    ShapeText(graph.tensor(node.inputs[1]).type.shape)));
    }
  }
  EXPECT_EQ(scaled, (std::vector<std::string>{"mul[16,16,1,1]"}));
}

// Groups of 15 channels take two blocks of 8; one channel needs no padding.
TEST(PassTableTest, TransposedConvolutionsWithoutOverlapArePointwise) {
  const Graph graph = After("tiled_upsample");
  EXPECT_EQ(Operators(graph), "conv2d relu conv2d depth_to_space add relu conv2d depth_to_space sigmoid");
  std::vector<std::string> weights;
  for (int i = 0; i < graph.node_count(); ++i) {
    if (graph.node({i}).op->name == "conv2d") weights.push_back(ShapeText(graph.tensor(graph.node({i}).inputs[1]).type.shape));
  }
  EXPECT_EQ(weights, (std::vector<std::string>{"[16,3,3,3]", "[64,16,1,1]", "[4,15,1,1]"}));
}

TEST(PassTableTest, LayerNormIsRecognised) {
  const std::string operators = Operators(After("transformer"));
  EXPECT_EQ(operators.substr(0, 17), "layer_norm matmul") << operators;
  EXPECT_EQ(operators.find("sqrt"), std::string::npos);
}

TEST(PassTableTest, TransposedOperandIsReadInPlace) {
  const Graph graph = After("transformer");
  bool found = false;
  for (int i = 0; i < graph.node_count(); ++i)
    found = found || IntAttr(graph.node({i}).attrs, "transpose_b") != 0;
  EXPECT_TRUE(found);
}

TEST(PassTableTest, LayoutsOfAResidualNetwork) {
  const Graph graph = After("residual");
  for (int i = 0; i < graph.node_count(); ++i) {
    const Tensor& tensor = graph.tensor(graph.node({i}).outputs[0]);
    const bool image = tensor.type.rank() == 4 && !(tensor.type.shape[2] == DimExpr(1));
    EXPECT_EQ(tensor.layout.ToString(), image ? "aBcd8b" : Layout::Plain(tensor.type.rank()).ToString())
        << tensor.name;
  }
  EXPECT_TRUE(graph.tensor(graph.inputs()[0]).layout.IsPlain());
}

// The widest vector whose blocks are filled by three quarters; none for odd numbers of channels that leave more room.
TEST(PassTableTest, BlocksAreMostlyFull) {
  const Graph graph = After("concat_pool", kV4);
  std::map<int64_t, std::string> layouts;
  for (int i = 0; i < graph.tensor_count(); ++i) {
    const Tensor& tensor = graph.tensor({i});
    if (tensor.producer.index >= 0 && tensor.layout.rank() == 4)
      layouts[tensor.type.shape[1].Constant()] = tensor.layout.ToString();
  }
  EXPECT_EQ(layouts[13], "aBcd16b");
  EXPECT_TRUE(After("squeeze_excite", kV4).ToString().find("aBcd16b") != std::string::npos);
}

// For several threads rows lie outermost where an image is small and no view of memory needs it otherwise. No
// task is added by that.
TEST(PassTableTest, ThreadsHaveRowsOutermost) {
  int ordered = 0, kept = 0;
  for (const SmallNetwork& network : SmallNetworks()) {
    size_t views = 0;
    std::vector<Layout> before;
    Graph graph = network.graph;
    const absl::Status status =
        RunPasses(graph, {.target = kV4, .threads = 2}, [&](const GraphPass& pass, const Graph& after) {
          if (pass.name == "order_rows") {
            EXPECT_EQ(MemoryViews(after).aliases().size(), views) << network.name;
            ASSERT_EQ(static_cast<size_t>(after.tensor_count()), before.size()) << network.name;
            for (int i = 0; i < after.tensor_count(); ++i) {
              const Layout &was = before[static_cast<size_t>(i)], &is = after.tensor({i}).layout;
              if (is == was) {
                kept += was.IsPlain() ? 0 : 1;
              } else {
                EXPECT_EQ(is, Layout::BlockedRows(was.BlockOf(1))) << network.name;
                ++ordered;
              }
            }
          }
          views = MemoryViews(after).aliases().size();
          before.clear();
          for (int i = 0; i < after.tensor_count(); ++i) before.push_back(after.tensor({i}).layout);
        });
    ASSERT_TRUE(status.ok()) << status;
    Graph alone = network.graph;
    ASSERT_TRUE(RunPasses(alone, {kV4}).ok());
    const auto one = FuseIntoTasks(std::move(alone), kV4, 1, AlgorithmPolicy::kFast),
               two = FuseIntoTasks(graph, kV4, 2, AlgorithmPolicy::kFast);
    ASSERT_TRUE(one.ok() && two.ok());
    EXPECT_EQ(one->calls.size(), two->calls.size()) << network.name;
  }
  EXPECT_GT(ordered, 0);
  EXPECT_GT(kept, 0);
}

TEST(PassTableTest, InterfaceStaysPlain) {
  for (const SmallNetwork& network : SmallNetworks()) {
    const Graph graph = After(network.name);
    for (const auto* ids : {&graph.inputs(), &graph.outputs()}) {
      for (const TensorId id : *ids)
        EXPECT_TRUE(graph.tensor(id).layout.IsPlain()) << network.name << " " << graph.tensor(id).name;
    }
  }
}

}  // namespace
}  // namespace hone
