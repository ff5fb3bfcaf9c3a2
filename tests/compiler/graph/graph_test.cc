#include "compiler/graph/graph.h"

#include <cstring>

#include "gtest/gtest.h"

namespace hone {
namespace {

ConstantRef Floats(std::vector<int64_t> dims, const std::vector<float>& values) {
  const auto* begin = reinterpret_cast<const uint8_t*>(values.data());
  return MakeConstant(DType::kF32, std::move(dims), {begin, begin + values.size() * sizeof(float)});
}

TensorId Add(Graph& graph, std::string_view op, std::vector<TensorId> inputs, AttrMap attrs,
             const std::string& name) {
  return graph.AddNode(op, std::move(inputs), std::move(attrs), name).value().front();
}

AttrMap Conv(int64_t pad) {
  return {{"pads", std::vector<DimExpr>(4, DimExpr(pad))}, {"strides", std::vector<DimExpr>(2, DimExpr(1))}};
}

Graph Sample() {
  Graph graph;
  const TensorId x = graph.AddInput("x", {DType::kF32, {1, 3, 8, 8}});
  const TensorId w = graph.AddConstant("w", Floats({16, 3, 3, 3}, std::vector<float>(432, 0.5f)));
  const TensorId scale = graph.AddConstant("scale", Floats({1}, {0.1f}));
  TensorId y = Add(graph, "conv2d", {x, w}, Conv(1), "conv one");
  y = Add(graph, "mul", {y, scale}, {}, "mul");
  y = Add(graph, "relu", {y}, {}, "relu");
  graph.tensor(y).layout = Layout::Blocked(4, 1, 8);
  graph.SetOutputs({y});
  return graph;
}

TEST(GraphTest, PrintsAndParsesBack) {
  const Graph graph = Sample();
  const std::string text = graph.ToString();
  EXPECT_EQ(text,
            "input x f32[1,3,8,8] abcd\n"
            "constant w f32[16,3,3,3] abcd\n"
            "constant scale f32[1] a = 0.100000001\n"
            "conv_one f32[1,16,8,8] abcd = conv2d(x, w) {pads=[1, 1, 1, 1], strides=[1, 1]}\n"
            "mul f32[1,16,8,8] abcd = mul(conv_one, scale) {}\n"
            "relu f32[1,16,8,8] aBcd8b = relu(mul) {}\n"
            "output relu\n");
  const absl::StatusOr<Graph> parsed = Graph::Parse(text);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->ToString(), text);
  EXPECT_EQ(parsed->tensor({1}).constant->data, nullptr);
}

TEST(GraphTest, SymbolsAndEqualNamesParseBack) {
  Graph graph;
  const DimExpr n(graph.AddSymbol(MakeSymbol("n", 1, 64, 2)));
  const TensorId x = graph.AddInput("a:b", {DType::kF32, {n, 4}});
  const TensorId y = graph.AddInput("a b", {DType::kF32, {n, 4}});
  const TensorId z = Add(graph, "add", {x, y}, {}, "a_b");
  graph.SetOutputs({Add(graph, "reshape", {z}, {{"shape", std::vector<DimExpr>{n * DimExpr(4)}}}, "flat")});
  const std::string text = graph.ToString();
  const absl::StatusOr<Graph> parsed = Graph::Parse(text);
  ASSERT_TRUE(parsed.ok()) << parsed.status() << text;
  EXPECT_EQ(parsed->ToString(), text);
}

TEST(GraphTest, CompactDropsWhatNoOutputNeedsAndOrdersAppendedNodes) {
  Graph graph = Sample();
  Add(graph, "exp", {graph.inputs()[0]}, {}, "unused");
  const TensorId mul = graph.node({1}).outputs[0];
  const TensorId abs = Add(graph, "abs", {mul}, {}, "abs");  // appended behind its user
  graph.node({2}).inputs = {abs};
  EXPECT_FALSE(graph.Verify().ok());
  graph.Compact();
  ASSERT_TRUE(graph.Verify().ok()) << graph.Verify();
  EXPECT_EQ(graph.node_count(), 4);
  EXPECT_EQ(graph.node({3}).op->name, "relu");
  EXPECT_EQ(graph.tensor(graph.outputs()[0]).name, "relu");
}

TEST(GraphTest, ReplaceUsesRedirectsOutputsToo) {
  Graph graph = Sample();
  graph.ReplaceUses(graph.outputs()[0], graph.node({1}).outputs[0]);
  graph.Compact();
  EXPECT_EQ(graph.node_count(), 2);
  EXPECT_TRUE(graph.Verify().ok());
}

TEST(GraphTest, WrongShapesNameTheNode) {
  Graph graph;
  const TensorId x = graph.AddInput("x", {DType::kF32, {1, 3, 8, 8}});
  const TensorId w = graph.AddConstant("w", Floats({16, 4, 3, 3}, std::vector<float>(576)));
  const absl::Status status = graph.AddNode("conv2d", {x, w}, Conv(1), "stem").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("stem"), absl::string_view::npos) << status;
}

TEST(GraphTest, BrokenTextIsInvalid) {
  const std::string text = Sample().ToString();
  for (size_t length = 1; length < text.size(); length += 7) {
    const absl::StatusOr<Graph> parsed = Graph::Parse(std::string_view(text).substr(0, length));
    EXPECT_TRUE(parsed.ok() || absl::IsInvalidArgument(parsed.status())) << parsed.status();
  }
  for (const char* bad :
       {"input x f32[1,2 ab\n", "input x f32[1,2] abc\n", "y f32[1] a = relu(x) {}\n", "output x\n",
        "input x f99[1] a\n", "constant c f32[9] a = 1\n", "input x f32[1] a\ninput x f32[1] a\n",
        "input x f32[1] a\ny f32[1] a = nonsense(x) {}\n", "constant c f32[-1] a = 1\n"}) {
    EXPECT_EQ(Graph::Parse(bad).status().code(), absl::StatusCode::kInvalidArgument) << bad;
  }
}

TEST(GraphTest, ConstantsByValueAreFewAndEqual) {
  EXPECT_TRUE(IsWrittenByValue(*Floats({2}, {1, 1})));
  EXPECT_FALSE(IsWrittenByValue(*Floats({2}, {1, 2})));
  EXPECT_FALSE(IsWrittenByValue(*Floats({9}, std::vector<float>(9, 1))));
  EXPECT_FALSE(IsWrittenByValue(*Floats({0}, {})));
}

}  // namespace
}  // namespace hone
