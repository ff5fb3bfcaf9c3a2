// Winograd convolutions of every shape and size against the interpreter, and the exactness of what they are made of.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "compiler/ops/op.h"
#include "compiler/schedule/cook_toom.h"
#include "compiler/schedule/linear_program.h"
#include "tests/compiler/codegen/test_task.h"

namespace hone {
namespace {

std::vector<double> Times(const Matrix& matrix, const std::vector<double>& x) {
  std::vector<double> y(static_cast<size_t>(matrix.rows), 0.0);
  for (int r = 0; r < matrix.rows; ++r) {
    for (int c = 0; c < matrix.columns; ++c) y[r] += matrix(r, c) * x[c];
  }
  return y;
}

TEST(CookToomTest, EverySizeIsACorrelation) {
  for (int m = 1; m <= 8; ++m) {
    for (int r = 1; r <= 7; ++r) {
      const CookToom transform = MakeCookToom(m, r);
      std::vector<double> data, kernel;
      for (int i = 0; i < m + r - 1; ++i) data.push_back(3 * i * i % 17 - 8);
      for (int k = 0; k < r; ++k) kernel.push_back(5 * k % 7 - 3);
      std::vector<double> products = Times(transform.kernel, kernel);
      const std::vector<double> points = Times(transform.input, data);
      double largest = 1;
      for (size_t i = 0; i < products.size(); ++i) {
        products[i] *= points[i];
        largest = std::max(largest, std::fabs(products[i]));
      }
      const std::vector<double> result = Times(transform.output, products);
      double scale = 1;
      for (const double value : transform.output.values) scale = std::max(scale, std::fabs(value));
      for (int i = 0; i < m; ++i) {
        double sum = 0;
        for (int k = 0; k < r; ++k) sum += kernel[k] * data[i + k];
        EXPECT_NEAR(result[i], sum, 1e-13 * largest * scale) << "F(" << m << "," << r << ")";
      }
    }
  }
}

TEST(LinearProgramTest, ComputesTheMatrixInFewerOperations) {
  for (const auto& [m, r] : {std::pair(2, 3), std::pair(4, 3), std::pair(5, 3), std::pair(6, 3), std::pair(2, 5), std::pair(3, 7)}) {
    const CookToom transform = MakeCookToom(m, r);
    for (const Matrix* matrix : {&transform.input, &transform.kernel, &transform.output}) {
      const LinearProgram program = LinearProgram::Of(*matrix);
      std::vector<double> x;
      for (int c = 0; c < matrix->columns; ++c) x.push_back(1 + 0.37 * c * c);
      std::vector<double> values = x;
      for (const LinearProgram::Sum& sum : program.sums) {
        double total = 0;
        for (const LinearProgram::Term& term : sum) total += term.coefficient * values[term.value];
        values.push_back(total);
      }
      const std::vector<double> expected = Times(*matrix, x);
      int dense = 0;
      for (const double value : matrix->values) dense += value != 0 ? 1 : 0;
      for (int row = 0; row < matrix->rows; ++row) EXPECT_NEAR(values[program.outputs[row]], expected[row], 1e-9);
      EXPECT_LE(program.operations(), dense);
    }
  }
  EXPECT_LE(LinearProgram::Of(MakeCookToom(4, 3).input).operations(), 13);
}

constexpr int64_t kPassChannels = 8;

struct Case {
  const char* name;
  std::vector<int64_t> x, w;
  std::vector<int64_t> pads;
  int m, tiles, threads;
  bool epilogue;
  const char* leaf;
  const char* parallel = "m";
  std::vector<int64_t> strides = {1, 1};
  bool plain_input = false;
  int in_parts = 1, out_parts = 1;  // blocks of channels in a vector
  std::vector<int64_t> dilations = {1, 1};
};

const Case kCases[] = {
    {"3x3", {1, 16, 12, 12}, {32, 16, 3, 3}, {1, 1, 1, 1}, 4, 16, 1, false, "mr=4 nv=2 hold=b ku=4"},
    {"odd", {2, 20, 11, 13}, {19, 20, 3, 3}, {1, 1, 1, 1}, 4, 5, 1, true, "mr=5 nv=1 hold=b ku=4"},
    {"unpadded", {1, 17, 9, 10}, {33, 17, 3, 3}, {0, 0, 0, 0}, 2, 7, 2, true, "mr=3 nv=2 hold=a ku=2"},
    {"uneven_pads", {1, 16, 7, 9}, {16, 16, 3, 3}, {2, 0, 1, 2}, 3, 4, 2, true, "mr=4 nv=1 hold=b ku=1"},
    {"small", {1, 24, 3, 2}, {8, 24, 3, 3}, {1, 1, 1, 1}, 4, 8, 1, true, "mr=2 nv=1 hold=b ku=4"},
    {"F5", {1, 32, 14, 14}, {32, 32, 3, 3}, {1, 1, 1, 1}, 5, 9, 2, true, "mr=3 nv=2 hold=b ku=4"},
    {"F6", {1, 32, 13, 15}, {40, 32, 3, 3}, {1, 1, 1, 1}, 6, 9, 1, true, "mr=3 nv=2 hold=b ku=4"},
    {"5x5", {1, 16, 9, 11}, {16, 16, 5, 5}, {2, 2, 2, 2}, 2, 9, 1, true, "mr=4 nv=1 hold=b ku=4"},
    {"1x7", {1, 16, 6, 17}, {16, 16, 1, 7}, {0, 3, 0, 3}, 2, 20, 2, true, "mr=4 nv=1 hold=b ku=4"},
    {"3x1", {1, 16, 9, 7}, {24, 16, 3, 1}, {1, 0, 1, 0}, 4, 12, 1, true, "mr=4 nv=2 hold=b ku=4"},
    {"panels", {2, 16, 9, 9}, {88, 16, 3, 3}, {1, 1, 1, 1}, 4, 6, 2, true, "mr=3 nv=2 hold=b ku=4", "n"},
    {"panels_odd", {1, 16, 7, 7}, {51, 16, 3, 3}, {1, 1, 1, 1}, 4, 3, 3, true, "mr=3 nv=2 hold=b ku=4", "n"},
    {"passes",
     {1, 64, 8, 8},
     {16, 64, 3, 3},
     {1, 1, 1, 1},
     4,
     4,
     1,
     true,
     "mr=4 nv=1 hold=b ku=4; split k 24"},
    {"3x3_s2",
     {1, 16, 12, 12},
     {32, 16, 3, 3},
     {1, 1, 1, 1},
     4,
     16,
     1,
     false,
     "mr=4 nv=2 hold=b ku=4",
     "m",
     {2, 2}},
    {"3x3_s2_odd",
     {2, 20, 13, 11},
     {19, 20, 3, 3},
     {1, 1, 1, 1},
     6,
     5,
     2,
     true,
     "mr=4 nv=1 hold=b ku=4; split k 24",
     "m",
     {2, 2}},
    {"3x3_s2_F7",
     {1, 32, 28, 27},
     {40, 32, 3, 3},
     {0, 1, 1, 0},
     7,
     9,
     1,
     true,
     "mr=3 nv=2 hold=a ku=4",
     "m",
     {2, 2}},
    {"5x5_s2",
     {1, 17, 15, 18},
     {33, 17, 5, 5},
     {2, 2, 2, 2},
     4,
     6,
     2,
     true,
     "mr=3 nv=2 hold=b ku=4",
     "n",
     {2, 2}},
    {"7x7_s2",
     {1, 16, 23, 22},
     {16, 16, 7, 7},
     {3, 3, 3, 3},
     5,
     9,
     1,
     true,
     "mr=4 nv=1 hold=b ku=4",
     "m",
     {2, 2}},
    {"4x4_s2",
     {1, 16, 9, 11},
     {16, 16, 4, 4},
     {1, 1, 1, 1},
     4,
     9,
     1,
     true,
     "mr=4 nv=1 hold=b ku=4",
     "m",
     {2, 2}},
    {"5x3_s3x1",
     {1, 16, 17, 11},
     {16, 16, 5, 3},
     {0, 1, 2, 1},
     2,
     9,
     2,
     true,
     "mr=4 nv=1 hold=b ku=2",
     "m",
     {3, 1}},
    {"1x3_s2",
     {1, 16, 9, 19},
     {24, 16, 1, 3},
     {0, 1, 0, 1},
     6,
     9,
     1,
     true,
     "mr=4 nv=1 hold=b ku=4",
     "m",
     {2, 2}},
    {"stem",
     {1, 3, 46, 40},
     {64, 3, 7, 7},
     {3, 3, 3, 3},
     5,
     9,
     1,
     true,
     "mr=4 nv=2 hold=b ku=4",
     "m",
     {2, 2},
     true},
    {"stem_odd",
     {3, 3, 33, 29},
     {35, 3, 7, 7},
     {3, 3, 2, 2},
     4,
     7,
     2,
     true,
     "mr=4 nv=1 hold=b ku=4",
     "n",
     {2, 2},
     true},
    {"stem_3x3",
     {2, 3, 35, 21},
     {32, 3, 3, 3},
     {0, 0, 0, 0},
     6,
     5,
     2,
     false,
     "mr=4 nv=2 hold=b ku=2",
     "m",
     {2, 2},
     true},
    {"one_channel",
     {1, 1, 17, 31},
     {16, 1, 5, 5},
     {2, 0, 2, 4},
     3,
     20,
     1,
     true,
     "mr=4 nv=1 hold=b ku=1",
     "m",
     {1, 2},
     true},
    {"stem_16",
     {1, 3, 16, 16},
     {16, 3, 7, 7},
     {0, 0, 0, 0},
     5,
     9,
     1,
     false,
     "mr=1 nv=1 hold=a ku=1",
     "m",
     {2, 2},
     true},
    {"plain_5",
     {1, 5, 9, 24},
     {16, 5, 4, 3},
     {1, 1, 1, 1},
     4,
     4,
     1,
     false,
     "mr=2 nv=1 hold=b ku=1",
     "m",
     {3, 2},
     true},
    {"half_blocks",
     {1, 24, 11, 9},
     {24, 24, 3, 3},
     {1, 1, 1, 1},
     4,
     5,
     1,
     true,
     "mr=4 nv=2 hold=b ku=4",
     "m",
     {1, 1},
     false,
     2,
     2},
    {"half_in",
     {2, 20, 12, 9},
     {19, 20, 5, 5},
     {2, 2, 2, 2},
     2,
     5,
     2,
     true,
     "mr=4 nv=1 hold=b ku=4",
     "m",
     {2, 2},
     false,
     2,
     1},
    {"half_out",
     {1, 16, 7, 7},
     {51, 16, 3, 3},
     {1, 1, 1, 1},
     4,
     3,
     3,
     true,
     "mr=3 nv=2 hold=b ku=4",
     "n",
     {1, 1},
     false,
     1,
     2},
    {"half_stem",
     {1, 3, 33, 29},
     {24, 3, 5, 5},
     {2, 2, 2, 2},
     4,
     7,
     1,
     false,
     "mr=4 nv=2 hold=b ku=1",
     "m",
     {2, 2},
     true,
     1,
     2},
    {"7x7_s3",
     {1, 18, 19, 23},
     {16, 18, 7, 7},
     {3, 3, 3, 3},
     4,
     9,
     1,
     false,
     "mr=4 nv=1 hold=b ku=4",
     "m",
     {3, 3}},
    {.name = "dilated",
     .x = {2, 16, 13, 12},
     .w = {32, 16, 3, 3},
     .pads = {2, 2, 2, 2},
     .m = 4,
     .tiles = 9,
     .threads = 2,
     .epilogue = true,
     .leaf = "mr=4 nv=2 hold=b ku=4",
     .dilations = {2, 2}},
    {.name = "dilated_unpadded",
     .x = {1, 20, 15, 17},
     .w = {19, 20, 3, 3},
     .pads = {0, 0, 0, 0},
     .m = 2,
     .tiles = 7,
     .threads = 1,
     .epilogue = false,
     .leaf = "mr=4 nv=1 hold=b ku=4",
     .dilations = {3, 4}},
    {.name = "dilated_beyond",
     .x = {1, 16, 7, 9},
     .w = {16, 16, 3, 3},
     .pads = {6, 12, 6, 12},
     .m = 4,
     .tiles = 9,
     .threads = 1,
     .epilogue = true,
     .leaf = "mr=4 nv=1 hold=b ku=4",
     .dilations = {6, 12}},
    {.name = "dilated_rows",
     .x = {1, 16, 11, 9},
     .w = {16, 16, 5, 1},
     .pads = {4, 0, 2, 0},
     .m = 3,
     .tiles = 5,
     .threads = 2,
     .epilogue = true,
     .leaf = "mr=4 nv=1 hold=b ku=4",
     .parallel = "n",
     .dilations = {2, 1}},
    {.name = "dilated_across",
     .x = {1, 24, 9, 19},
     .w = {24, 24, 3, 3},
     .pads = {1, 5, 1, 5},
     .m = 6,
     .tiles = 12,
     .threads = 1,
     .epilogue = true,
     .leaf = "mr=4 nv=2 hold=b ku=4",
     .in_parts = 2,
     .out_parts = 2,
     .dilations = {1, 5}},
    {.name = "groups",
     .x = {1, 64, 12, 9},
     .w = {96, 32, 3, 3},
     .pads = {1, 1, 1, 1},
     .m = 4,
     .tiles = 9,
     .threads = 2,
     .epilogue = true,
     .leaf = "mr=2 nv=3 hold=b ku=4"},
    {.name = "groups_by_panels",
     .x = {2, 48, 7, 7},
     .w = {96, 16, 3, 3},
     .pads = {1, 1, 1, 1},
     .m = 4,
     .tiles = 4,
     .threads = 3,
     .epilogue = true,
     .leaf = "mr=4 nv=1 hold=b ku=4",
     .parallel = "n"},
    {.name = "groups_s2",
     .x = {1, 96, 13, 11},
     .w = {32, 48, 5, 3},
     .pads = {2, 1, 2, 1},
     .m = 4,
     .tiles = 6,
     .threads = 1,
     .epilogue = false,
     .leaf = "mr=4 nv=1 hold=b ku=4",
     .strides = {2, 1}},
};

// relu(conv + bias + residual), or the convolution alone.
TestTask MakeTask(const Case& c, const Target& target) {
  TestTask made;
  Graph& graph = made.task.graph;
  const TensorId x = made.AddInput("x", c.x);
  const TensorId w = made.AddConstant("w", c.w);
  const AttrMap attrs = {{"pads", std::vector<DimExpr>(c.pads.begin(), c.pads.end())},
                         {"strides", std::vector<DimExpr>(c.strides.begin(), c.strides.end())},
                         {"dilations", std::vector<DimExpr>(c.dilations.begin(), c.dilations.end())},
                         {"group", c.x[1] / c.w[1]}};
  TensorId y = graph.AddNode("conv2d", {x, w}, attrs, "conv").value()[0];
  if (c.epilogue) {
    y = made.AddEpilogue(y, {1, c.w[0], 1, 1});
  }
  graph.SetOutputs({y});
  for (int t = 0; t < graph.tensor_count(); ++t) {
    Tensor& tensor = graph.tensor({t});
    if (tensor.constant == nullptr)
      tensor.layout = ImageLayout(
          std::max(4, target.vector_width() / (t == x.index ? c.in_parts : c.out_parts)), c.threads);
  }
  if (c.plain_input) graph.tensor(x).layout = Layout::Plain(4);
  made.task.target = target;
  made.task.threads = c.threads;
  return made;
}

// Kernels that are transformed at each run take several passes where there are channels enough.
Trace TraceOf(const Case& c, const Target& target, bool given = false) {
  std::string leaf = c.leaf, rest;
  if (const size_t end = leaf.find(';'); end != std::string::npos) {
    rest = leaf.substr(end);
    leaf.resize(end);
  }
  if (given)
    rest = c.w[1] % kPassChannels == 0 && c.w[1] > kPassChannels ? absl::StrCat("; split k ", kPassChannels)
                                                                 : "";
  return Trace::Parse(absl::StrCat("trace 1; algorithm winograd m=", c.m, " tiles=", c.tiles,
                                   given ? " kernels=given" : "", "; leaf contract ", leaf,
                                   " vw=", target.vector_width(), " rows=affine; order n,m; parallel ",
                                   c.parallel, rest))
      .value();
}

class WinogradTest : public testing::TestWithParam<const char*> {};

TEST_P(WinogradTest, AgreesWithTheInterpreter) {
  const Target target = FindTarget(GetParam()).value();
  if (!target.row->runs_here()) GTEST_SKIP() << "this machine does not run " << GetParam();
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.name);
    const TestTask made = MakeTask(c, target);
    const TensorProgram program = LowerTask(made.task).value();
    const auto expected = Interpret(program, made.Operands()).value();
    ExpectAgreement(made, program, TraceOf(c, target), expected, 2e-5);
    // One channel without phases is no sum.
    if (c.w[1] > 1 || c.strides[0] > 1)
      ExpectAgreement(made, program, TraceOf(c, target, /*given=*/true), expected, 3e-5);
  }
}

TEST_P(WinogradTest, IsRefusedWhereItDoesNotApply) {
  const Target target = FindTarget(GetParam()).value();
  const std::string vw = std::to_string(target.vector_width());
  const Trace trace = Trace::Parse("trace 1; algorithm winograd m=4 tiles=9; leaf contract mr=4 nv=2 vw=" + vw +
                                   " hold=b ku=1 rows=affine; order m,n; parallel m").value();
  const auto refused = [&](const Task& task) {
    return std::holds_alternative<Rejection>(Schedule(task, LowerTask(task).value(), trace));
  };
  Case c = kCases[0];
  Task exact = MakeTask(c, target).task;
  EXPECT_FALSE(refused(exact));
  exact.policy = AlgorithmPolicy::kExact;
  EXPECT_TRUE(refused(exact));
  c.w = {32, 16, 1, 1};
  EXPECT_TRUE(refused(MakeTask(c, target).task));
  c.w = {32, 8, 3, 3};  // groups within a vector
  EXPECT_TRUE(refused(MakeTask(c, target).task));
  Task plain = MakeTask(kCases[0], target).task;
  for (const TensorId id : {plain.graph.inputs()[0], plain.graph.outputs()[0]}) plain.graph.tensor(id).layout = Layout::Plain(4);
  EXPECT_TRUE(refused(plain));
}

INSTANTIATE_TEST_SUITE_P(Targets, WinogradTest, testing::Values("x86-64-v2", "x86-64-v3", "x86-64-v4"),
                         [](const auto& instance) { return std::string("v") + std::string(instance.param).back(); });

}  // namespace
}  // namespace hone
