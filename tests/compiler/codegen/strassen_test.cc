// Strassen's algorithm on even and odd shapes against the interpreter.
#include <gtest/gtest.h>

#include "compiler/ops/op.h"
#include "tests/compiler/codegen/test_task.h"

namespace hone {
namespace {

struct Case {
  const char* name;
  std::vector<int64_t> x, w;   // rank 2: matmul; rank 4: convolution with 1x1 taps
  const char* leaf;
  int threads = 1;
  bool blocked = false, epilogue = true;
  int64_t stride = 1;
  int levels = 1;
  const char* parallel = "m";
};

const Case kCases[] = {
    {"even", {16, 32}, {32, 128}, "mr=4 nv=2 hold=b ku=4", 1, false, false},
    {"odd", {13, 37}, {37, 45}, "mr=4 nv=1 hold=b ku=4"},
    {"odd_wide", {7, 50}, {50, 141}, "mr=4 nv=2 hold=a ku=2"},
    {"batch", {2, 9, 24}, {24, 96}, "mr=3 nv=2 hold=b ku=1", 2},
    {"conv", {1, 64, 6, 5}, {64, 64, 1, 1}, "mr=5 nv=1 hold=b ku=4", 1, true, false},
    {"conv_epilogue", {2, 48, 7, 6}, {80, 48, 1, 1}, "mr=4 nv=1 hold=b ku=4", 2, true},
    {"conv_strided", {1, 32, 9, 8}, {64, 32, 1, 1}, "mr=4 nv=2 hold=b ku=4", 1, true, true, 2},
    {"two_levels", {30, 64}, {64, 256}, "mr=4 nv=2 hold=b ku=4", 2, false, true, 1, 2},
    {"two_levels_odd", {27, 53}, {53, 139}, "mr=4 nv=2 hold=b ku=4", 1, false, true, 1, 2},
    {"two_levels_conv", {1, 80, 7, 10}, {128, 80, 1, 1}, "mr=4 nv=2 hold=b ku=4", 2, true, true, 1, 2},
    {"conv_row", {1, 32, 1, 17}, {32, 32, 1, 1}, "mr=4 nv=1 hold=b ku=4", 1, true},
    // Rows, columns, or the one of two image axes that threads divide, by thread; more parts than threads.
    {"rows", {26, 37}, {37, 45}, "mr=4 nv=1 hold=b ku=4", 2},
    {"columns", {13, 37}, {37, 90}, "mr=4 nv=1 hold=b ku=4", 2, false, true, 1, 1, "n"},
    {"three_threads", {30, 40}, {40, 96}, "mr=4 nv=2 hold=b ku=4", 3},
    {"three_columns", {13, 40}, {40, 96}, "mr=4 nv=1 hold=b ku=4", 3, false, true, 1, 1, "n"},
    {"five_parts", {35, 40}, {40, 70}, "mr=4 nv=2 hold=b ku=4", 3},
    {"conv_columns", {1, 48, 7, 5}, {160, 48, 1, 1}, "mr=4 nv=1 hold=b ku=4", 2, true, true, 1, 1, "n"},
    {"conv_rows", {1, 64, 9, 14}, {64, 64, 1, 1}, "mr=5 nv=1 hold=b ku=4", 3, true},
    {"two_levels_columns", {27, 53}, {53, 278}, "mr=4 nv=2 hold=b ku=4", 2, false, true, 1, 2, "n"},
    {"two_levels_conv_columns",
     {1, 80, 7, 10},
     {256, 80, 1, 1},
     "mr=4 nv=2 hold=b ku=4",
     2,
     true,
     true,
     1,
     2,
     "n"},
};

// relu(product + bias + residual), or the product alone.
TestTask MakeTask(const Case& c, const Target& target) {
  TestTask made;
  Graph& graph = made.task.graph;
  const bool conv = c.x.size() == 4;
  const TensorId x = made.AddInput("x", c.x), w = made.AddConstant("w", c.w);
  const AttrMap attrs = {{"strides", std::vector<DimExpr>{DimExpr(c.stride), DimExpr(c.stride)}}};
  TensorId y = graph.AddNode(conv ? "conv2d" : "matmul", {x, w}, conv ? attrs : AttrMap(), "product").value()[0];
  if (c.epilogue) {
    const std::vector<int64_t> bias = conv ? std::vector<int64_t>{1, c.w[0], 1, 1} : std::vector<int64_t>{c.w[1]};
    y = made.AddEpilogue(y, bias);
  }
  graph.SetOutputs({y});
  made.task.target = target;
  made.task.threads = c.threads;
  if (c.blocked) made.SetBlockedLayouts();
  return made;
}

Trace TraceOf(const Case& c, const Target& target, const char* order) {
  return Trace::Parse(absl::StrCat("trace 1; algorithm strassen levels=", c.levels, "; leaf contract ",
                                   c.leaf, " vw=", target.vector_width(), " rows=affine; order ", order,
                                   "; parallel ", c.parallel))
      .value();
}

class StrassenTest : public testing::TestWithParam<const char*> {};

TEST_P(StrassenTest, AgreesWithTheInterpreter) {
  const Target target = FindTarget(GetParam()).value();
  if (!target.row->runs_here()) GTEST_SKIP() << "this machine does not run " << GetParam();
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.name);
    const TestTask made = MakeTask(c, target);
    const TensorProgram program = LowerTask(made.task).value();
    ExpectAgreement(made, program, TraceOf(c, target, c.threads == 1 ? "m,n" : "n,m"),
                    Interpret(program, made.Operands()).value(), 5e-6);
  }
}

TEST_P(StrassenTest, IsRefusedWhereItDoesNotApply) {
  const Target target = FindTarget(GetParam()).value();
  const auto refused = [&](const Case& c, AlgorithmPolicy policy) {
    Task task = MakeTask(c, target).task;
    task.policy = policy;
    return std::holds_alternative<Rejection>(Schedule(task, LowerTask(task).value(), TraceOf(c, target, "m,n")));
  };
  EXPECT_FALSE(refused(kCases[0], AlgorithmPolicy::kFast));
  EXPECT_TRUE(refused(kCases[0], AlgorithmPolicy::kExact));
  EXPECT_TRUE(refused({"window", {1, 32, 8, 8}, {32, 32, 3, 3}, kCases[0].leaf, 1, true}, AlgorithmPolicy::kFast));
  EXPECT_TRUE(refused({"rows_that_threads_do_not_share", {7, 32}, {32, 128}, kCases[0].leaf, 2},
                      AlgorithmPolicy::kFast));
  EXPECT_TRUE(refused({"part_of_a_block", {1, 42, 8, 8}, {32, 42, 1, 1}, kCases[0].leaf, 1, true}, AlgorithmPolicy::kFast));
}

INSTANTIATE_TEST_SUITE_P(Targets, StrassenTest, testing::Values("x86-64-v2", "x86-64-v3", "x86-64-v4"),
                         [](const auto& instance) { return std::string("v") + std::string(instance.param).back(); });

}  // namespace
}  // namespace hone
