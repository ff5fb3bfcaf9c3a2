// Tasks of several stages over strips of rows against the interpreter.
#include <gtest/gtest.h>

#include "tests/compiler/codegen/test_task.h"

namespace hone {
namespace {

struct Layer {
  enum Kind { kPointwise, kDepthwise, kPool, kScale, kConv, kMaxPool } kind;
  int64_t channels = 0;            // kPointwise, kConv: of the result
  int64_t kernel = 1, stride = 1;  // of windows
  int64_t pad = -1;                // negative: kernel / 2
};

struct Case {
  const char* name;
  std::vector<int64_t> x;   // image
  std::vector<Layer> layers;
  bool residual = false;
  int threads = 1;
  bool row_major = false;  // the image
};

using enum Layer::Kind;
const Case kCases[] = {
    {"inverted_residual", {1, 24, 12, 11}, {{kPointwise, 72}, {kDepthwise, 0, 3}, {kPointwise, 24}}, true},
    {"threads", {2, 24, 12, 11}, {{kPointwise, 72}, {kDepthwise, 0, 3}, {kPointwise, 24}}, true, 3},
    {"strided", {1, 16, 17, 14}, {{kPointwise, 48}, {kDepthwise, 0, 3, 2}, {kPointwise, 40}}, false, 2},
    {"strided_even", {1, 16, 16, 16}, {{kPointwise, 48}, {kDepthwise, 0, 5, 2}, {kPointwise, 20}}, false, 2},
    {"separable", {1, 40, 10, 9}, {{kDepthwise, 0, 5}, {kPointwise, 32}}, false, 2},
    {"expansion", {1, 32, 9, 16}, {{kPointwise, 64}, {kDepthwise, 0, 3}}, false, 2},
    {"two_windows",
     {1, 32, 12, 8},
     {{kDepthwise, 0, 3}, {kPointwise, 48}, {kDepthwise, 0, 5, 2}, {kPointwise, 16}},
     false,
     2},
    {"adjacent_windows",
     {1, 16, 12, 8},
     {{kDepthwise, 0, 3}, {kDepthwise, 0, 3}, {kDepthwise, 0, 3}},
     false,
     3},
    {"pooled", {1, 16, 12, 12}, {{kPointwise, 32}, {kPool, 0, 3, 2}}, false, 2},
    {"scaled", {1, 32, 8, 8}, {{kScale}, {kPointwise, 48}}, false, 2},
    {"sparse_rows", {1, 16, 18, 6}, {{kPointwise, 16}, {kDepthwise, 0, 1, 3}, {kPointwise, 16}}, false, 2},
    {"one_row", {1, 16, 1, 20}, {{kPointwise, 32}, {kDepthwise, 0, 3}, {kPointwise, 16}}},
    {"stem", {1, 3, 27, 30}, {{kConv, 32, 3, 2}, {kDepthwise, 0, 3}, {kPointwise, 16}}, false, 1, true},
    {"stem_threads",
     {2, 3, 27, 30},
     {{kConv, 40, 3, 2}, {kDepthwise, 0, 3}, {kPointwise, 16}},
     false,
     2,
     true},
    {"stem_pooled", {1, 3, 41, 38}, {{kConv, 32, 7, 2}, {kMaxPool, 0, 3, 2}}, false, 2, true},
    {"stem_unpadded", {1, 3, 33, 31}, {{kConv, 32, 3, 2, 0}, {kMaxPool, 0, 3, 2, 0}}, false, 2, true},
    {"grey_stem", {1, 1, 24, 20}, {{kConv, 16, 5, 2}, {kMaxPool, 0, 2, 2, 0}}, false, 2, true},
    {"dense", {1, 20, 12, 9}, {{kConv, 24, 3}, {kConv, 32, 3}, {kMaxPool, 0, 2, 2, 0}}, false, 2},
    {"dense_pointwise", {2, 16, 9, 10}, {{kPointwise, 24}, {kConv, 32, 3, 2}, {kPointwise, 48}}, false, 3},
};

TestTask MakeTask(const Case& c, const Target& target) {
  TestTask made;
  Graph& graph = made.task.graph;
  const auto shape = [&](TensorId id) { return *ConstantShape(graph.tensor(id).type.shape); };
  TensorId y = made.AddInput("x", c.x);
  for (const Layer& layer : c.layers) {
    const int64_t channels = shape(y)[1];
    const int64_t pad = layer.pad < 0 ? layer.kernel / 2 : layer.pad;
    AttrMap attrs = {{"strides", std::vector<DimExpr>(2, DimExpr(layer.stride))},
                     {"pads", std::vector<DimExpr>(4, DimExpr(pad))}};
    switch (layer.kind) {
      case kPointwise:
      case kConv:
        y = graph
                .AddNode("conv2d",
                         {y, made.AddConstant("w", {layer.channels, channels, layer.kernel, layer.kernel})},
                         attrs, "conv")
                .value()[0];
        y = graph.AddNode("add", {y, made.AddConstant("b", {1, layer.channels, 1, 1})}, {}, "bias")
                .value()[0];
        if (&layer != &c.layers.back()) y = graph.AddNode("hard_swish", {y}, {}, "act").value()[0];
        break;
      case kDepthwise:
        y = graph
                .AddNode("depthwise_conv2d",
                         {y, made.AddConstant("w", {channels, 1, layer.kernel, layer.kernel})}, attrs, "dw")
                .value()[0];
        y = graph.AddNode("relu", {y}, {}, "act").value()[0];
        break;
      case kPool:
      case kMaxPool:
        attrs["kernel"] = std::vector<DimExpr>(2, DimExpr(layer.kernel));
        y = graph.AddNode(layer.kind == kPool ? "average_pool2d" : "max_pool2d", {y}, attrs, "pool")
                .value()[0];
        break;
      case kScale:
        y = graph.AddNode("mul", {y, made.AddInput("gate", {1, channels, 1, 1})}, {}, "scale").value()[0];
        break;
    }
  }
  if (c.residual)
    y = graph.AddNode("add", {y, made.AddInput("residual", shape(y))}, {}, "residual").value()[0];
  graph.SetOutputs({y});
  made.task.target = target;
  made.task.threads = c.threads;
  made.SetBlockedLayouts();
  if (c.row_major) graph.tensor(graph.inputs()[0]).layout = Layout::Plain(4);
  return made;
}

class StripTest : public testing::TestWithParam<const char*> {};

TEST_P(StripTest, AgreesWithTheInterpreter) {
  const Target target = FindTarget(GetParam()).value();
  if (!target.row->runs_here()) GTEST_SKIP() << "this machine does not run " << GetParam();
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.name);
    const TestTask made = MakeTask(c, target);
    const TensorProgram program = LowerTask(made.task).value();
    const Anchor anchor = FindAnchor(program).value();
    ASSERT_EQ(anchor.kind, AnchorKind::kStrip);
    const std::vector<HostTensor> expected = Interpret(program, made.Operands()).value();
    std::vector<Trace> traces = StripTraces(made.task, anchor);
    ASSERT_FALSE(traces.empty());
    traces.push_back(ReferenceTrace());
    for (const Trace& trace : traces) ExpectAgreement(made, program, trace, expected, 5e-6);
  }
}

TEST_P(StripTest, IsRefusedWhereItDoesNotApply) {
  const Target target = FindTarget(GetParam()).value();
  const auto refused = [&](const Case& c, const std::string& strips) {
    const Task task = MakeTask(c, target).task;
    const Trace trace = Trace::Parse("trace 1; algorithm direct; " + strips).value();
    return std::holds_alternative<Rejection>(Schedule(task, LowerTask(task).value(), trace));
  };
  const std::string vw = " vw=" + std::to_string(target.vector_width());
  const std::string window = "; leaf window tile=3" + vw, contract = "; leaf contract mr=4 nv=1 hold=b ku=1" + vw;
  const Case separable = {"", {1, 32, 12, 9}, {{kDepthwise, 0, 3}, {kPointwise, 32}}};
  EXPECT_FALSE(refused(separable, "strip 4" + window + contract));
  EXPECT_TRUE(refused(separable, "strip 5" + window + contract)) << "no divisor of the rows";
  EXPECT_TRUE(refused(separable, "strip 4" + contract + window)) << "the leaves of other stages";
  EXPECT_TRUE(refused(separable, "strip 4" + window)) << "a leaf is missing";
  EXPECT_TRUE(refused({"", {1, 32, 12, 9}, {{kPointwise, 32}}}, "strip 4" + contract)) << "one stage";
  const Case unpadded = {"", {1, 32, 14, 9}, {{kPointwise, 32}, {kConv, 32, 3, 1, 0}}};
  EXPECT_TRUE(refused(unpadded, "strip 4" + contract + contract)) << "windows over the end of a ring";
  EXPECT_FALSE(refused({"", {1, 32, 12, 9}, {{kConv, 32, 3}}}, "strip 4" + contract))
      << "one stage and its padding";
  EXPECT_TRUE(refused({"", {1, 160, 12, 9}, {{kConv, 160, 3}}}, "strip 4" + contract))
      << "weights leave the cache";
}

INSTANTIATE_TEST_SUITE_P(Targets, StripTest, testing::Values("x86-64-v2", "x86-64-v3", "x86-64-v4"),
                         [](const auto& instance) { return std::string("v") + std::string(instance.param).back(); });

}  // namespace
}  // namespace hone
