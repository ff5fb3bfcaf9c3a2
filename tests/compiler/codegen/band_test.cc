// Convolutions whose tiles skip the taps in the padding, against the interpreter.
#include <gtest/gtest.h>

#include "tests/compiler/codegen/test_task.h"

namespace hone {
namespace {

struct Case {
  const char* name;
  std::vector<int64_t> x, w, pads;
  std::vector<int64_t> strides = {1, 1}, dilations = {1, 1};
  const char* leaf = "mr=4 nv=1 hold=b ku=4";
  const char* rest = "order m,n; parallel m";
  int threads = 1;
  bool row_major = false;
};

const Case kCases[] = {
    {"beyond_the_image", {1, 32, 14, 14}, {48, 32, 3, 3}, {12, 12, 12, 12}, {1, 1}, {12, 12}},
    {"one_pixel_around",
     {2, 20, 7, 9},
     {19, 20, 3, 3},
     {1, 1, 1, 1},
     {1, 1},
     {1, 1},
     "mr=5 nv=1 hold=a ku=2",
     "order n,m; parallel n",
     2},
    {"overlapping_bands",
     {1, 40, 7, 13},
     {32, 40, 3, 5},
     {3, 6, 3, 6},
     {1, 1},
     {3, 3},
     "mr=4 nv=2 hold=a ku=4",
     "order m,n; block m 3; parallel mn",
     3},
    {"strided", {1, 24, 12, 15}, {16, 24, 5, 3}, {4, 3, 3, 2}, {2, 3}, {2, 4}, "mr=4 nv=1 hold=b ku=1"},
    {"rows_only", {1, 48, 9, 8}, {16, 48, 3, 1}, {5, 0, 5, 0}, {1, 1}, {5, 1}},
    {"columns_only",
     {1, 40, 5, 17},
     {32, 40, 1, 3},
     {0, 9, 0, 9},
     {1, 1},
     {1, 9},
     "mr=4 nv=2 hold=b ku=2",
     "order n,m; split k 48; parallel m"},
    {"uneven",
     {1, 17, 8, 10},
     {33, 17, 3, 3},
     {6, 0, 2, 5},
     {1, 1},
     {3, 4},
     "mr=5 nv=1 hold=b ku=4",
     "order m,n; parallel m",
     2},
    {"row_major",
     {1, 12, 9, 10},
     {32, 12, 3, 3},
     {4, 4, 4, 4},
     {1, 1},
     {4, 4},
     "mr=4 nv=1 hold=b ku=4",
     "order m,n; parallel m",
     1,
     true},
    {"window_outermost", {1, 1, 12, 13}, {16, 1, 3, 3}, {1, 1, 1, 1}},
    {"window_outermost_of_a_block", {1, 16, 9, 30}, {32, 16, 5, 3}, {2, 1, 2, 1}, {2, 1}},
    {"groups",
     {1, 64, 10, 10},
     {96, 32, 3, 3},
     {6, 6, 6, 6},
     {1, 1},
     {6, 6},
     "mr=4 nv=1 hold=b ku=4",
     "order n,m; parallel m",
     2},
};

// relu(conv + bias + residual)
TestTask MakeTask(const Case& c, const Target& target) {
  TestTask made;
  Graph& graph = made.task.graph;
  const TensorId x = made.AddInput("x", c.x);
  const auto list = [](const std::vector<int64_t>& values) {
    return std::vector<DimExpr>(values.begin(), values.end());
  };
  const AttrMap attrs = {{"pads", list(c.pads)},
                         {"strides", list(c.strides)},
                         {"dilations", list(c.dilations)},
                         {"group", c.x[1] / c.w[1]}};
  TensorId y = graph.AddNode("conv2d", {x, made.AddConstant("w", c.w)}, attrs, "conv").value()[0];
  y = made.AddEpilogue(y, {1, c.w[0], 1, 1});
  graph.SetOutputs({y});
  made.task.target = target;
  made.task.threads = c.threads;
  made.SetBlockedLayouts();
  if (c.row_major) graph.tensor(x).layout = Layout::Plain(4);
  return made;
}

Trace TraceOf(const Case& c, const Target& target) {
  return Trace::Parse(absl::StrCat("trace 1; algorithm direct; leaf contract ", c.leaf,
                                   " vw=", target.vector_width(), " rows=bands; ", c.rest))
      .value();
}

class BandTest : public testing::TestWithParam<const char*> {};

TEST_P(BandTest, AgreesWithTheInterpreter) {
  const Target target = FindTarget(GetParam()).value();
  if (!target.row->runs_here()) GTEST_SKIP() << "this machine does not run " << GetParam();
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.name);
    const TestTask made = MakeTask(c, target);
    const TensorProgram program = LowerTask(made.task).value();
    ExpectAgreement(made, program, TraceOf(c, target), Interpret(program, made.Operands()).value(), 2e-6);
  }
}

TEST_P(BandTest, CountsTheTapsInsideAndCopiesNothing) {
  const Target target = FindTarget(GetParam()).value();
  const TestTask made = MakeTask(kCases[0], target);
  const TensorProgram program = LowerTask(made.task).value();
  EXPECT_NEAR(FindAnchor(program)->inside, 18.0 * 18 / (42 * 42),
              1e-9);  // of 14 rows 2, 10, 2 have 2, 1, 2 taps
  const auto statistics =
      std::get<Scheduled>(Schedule(made.task, program, TraceOf(kCases[0], target))).statistics;
  EXPECT_NEAR(statistics.executed_flops, statistics.flops * 18 * 18 / (42 * 42), 1);
  EXPECT_EQ(statistics.copy_bytes, 0);
  const TestTask edges = MakeTask(kCases[1], target);   // bands of one pixel
  const auto waits = Schedule(edges.task, LowerTask(edges.task).value(), TraceOf(kCases[1], target));
  EXPECT_GT(std::get<Scheduled>(waits).statistics.waiting_flops, 0);
  EXPECT_FALSE(BandTraces(made.task, program).empty());
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.name);
    const TestTask other = MakeTask(c, target);
    const TensorProgram lowered = LowerTask(other.task).value();
    const auto counted = std::get<Scheduled>(Schedule(other.task, lowered, TraceOf(c, target))).statistics;
    const int64_t lanes = target.vector_width(),
                  filled = (c.w[0] / (c.x[1] / c.w[1]) + lanes - 1) / lanes * lanes;
    const double padded = static_cast<double>(filled * (c.x[1] / c.w[1])) / static_cast<double>(c.w[0]);
    EXPECT_NEAR(counted.executed_flops, counted.flops * padded * FindAnchor(lowered)->inside, 1);
  }
  const TestTask inside = MakeTask({"no_padding", {1, 32, 14, 14}, {48, 32, 3, 3}, {0, 0, 0, 0}}, target);
  EXPECT_TRUE(BandTraces(inside.task, LowerTask(inside.task).value()).empty());
}

TEST_P(BandTest, IsRefusedWhereItDoesNotApply) {
  const Target target = FindTarget(GetParam()).value();
  const auto refused = [&](const Case& c) {
    const TestTask made = MakeTask(c, target);
    return std::holds_alternative<Rejection>(
        Schedule(made.task, LowerTask(made.task).value(), TraceOf(c, target)));
  };
  EXPECT_FALSE(refused(kCases[0]));
  EXPECT_TRUE(refused({"no_window", {1, 32, 8, 8}, {16, 32, 1, 1}, {0, 0, 0, 0}}));
  EXPECT_TRUE(refused({"nothing_read", {1, 32, 8, 8}, {16, 32, 3, 3}, {3, 3, 3, 3}}))
      << "outputs that lie in the padding whole";
  const int64_t block = target.vector_width();
  Case passes = {"window_outermost", {1, block, 12, 12}, {16, block, 3, 3}, {1, 1, 1, 1}};
  passes.rest = "order m,n; split k 48; parallel m";
  EXPECT_TRUE(refused(passes)) << "a pass might be skipped";
}

INSTANTIATE_TEST_SUITE_P(Targets, BandTest, testing::Values("x86-64-v2", "x86-64-v3", "x86-64-v4"),
                         [](const auto& instance) {
                           return std::string("v") + std::string(instance.param).back();
                         });

}  // namespace
}  // namespace hone
