// Every operator's generated cases through schedules and machine code, against the interpreter.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cfloat>
#include <cmath>
#include <cstring>

#include "compiler/ops/op.h"
#include "compiler/runtime/input_generator.h"
#include "tests/compiler/codegen/test_task.h"

namespace hone {
namespace {

HostTensor Generate(const TensorType& type, uint64_t number, double low, double high) {
  HostTensor tensor = HostTensor::Zeros(type.dtype, *ConstantShape(type.shape));
  for (int64_t e = 0; e < tensor.Elements(); ++e) {
    const uint64_t element = static_cast<uint64_t>(e);
    if (IsFloat(type.dtype)) {
      tensor.Set(e, HoneGenerateReal(1, number, element, low, high));
    } else {
      tensor.SetInteger(e, HoneGenerateInteger(1, number, element, type.dtype == DType::kBool ? 0 : low, type.dtype == DType::kBool ? 2 : high));
    }
  }
  return tensor;
}

// The operator on its own, images read in blocks of `in` and written in blocks of `out` (1: row-major); where
// `constant` its second operand is a constant.
absl::StatusOr<TestTask> MakeTask(const OpRow& op, const OpCase& sample, const Target& target, int threads,
                                  int in, int out, bool constant) {
  TestTask test;
  std::vector<TensorId> ids;
  for (size_t i = 0; i < sample.inputs.size(); ++i) {
    HostTensor tensor = Generate(sample.inputs[i], i, sample.low, sample.high);
    if (i == 1 && constant && tensor.Elements() > 8) {
      ids.push_back(test.task.graph.AddConstant("w", MakeConstant(tensor.dtype, tensor.dims, tensor.bytes)));
      test.constants.push_back(tensor);
    } else {
      ids.push_back(test.task.graph.AddInput("x" + std::to_string(i), sample.inputs[i]));
      test.inputs.push_back(tensor);
    }
  }
  absl::StatusOr<std::vector<TensorId>> outputs = test.task.graph.AddNode(op.name, ids, sample.attrs, "node");
  if (!outputs.ok()) return outputs.status();
  test.task.graph.SetOutputs(*outputs);
  for (int t = 0; t < test.task.graph.tensor_count(); ++t) {
    Tensor& tensor = test.task.graph.tensor({t});
    const int block = tensor.producer.index < 0 ? in : out;
    if (block > 1 && tensor.constant == nullptr && tensor.type.rank() == 4)
      tensor.layout = ImageLayout(block, threads);
  }
  test.task.target = target;
  test.task.threads = threads;
  return test;
}

std::vector<Trace> TracesFor(const Task& task, const TensorProgram& program) {
  std::vector<Trace> traces = {ReferenceTrace(), DefaultTrace(task, program)};
  // Elementwise operators differ in their expression only: one schedule says it all.
  if (task.graph.node({0}).op->op_class == OpClass::kElementwise) return traces;
  const int lanes = task.target.vector_width();
  const std::string vw = std::to_string(lanes);
  for (const std::string& text : {
           "leaf contract mr=3 nv=1 vw=" + vw + " hold=a ku=2 rows=table; order n,m; parallel n",
           "leaf contract mr=5 nv=2 vw=" + vw + " hold=b ku=4 rows=affine; order m,n; block m 2; parallel mn",
           "leaf contract mr=1 nv=2 vw=" + vw + " hold=none ku=1 rows=affine; order m,n; split k 16; parallel m",
           "leaf window tile=3 vw=" + vw + "; parallel outer", "leaf row vw=" + vw + " unroll=2; parallel outer",
           std::string("leaf map vw=4 unroll=2; parallel outer")}) {
    traces.push_back(*Trace::Parse("trace 1; algorithm direct; " + text));
  }
  return traces;
}

void CheckTask(const TestTask& test, const std::string& name, int* compiled, int* rejected,
               bool by_default = false) {
  const auto program = LowerTask(test.task);
  ASSERT_TRUE(program.ok()) << name << ": " << program.status();
  const auto expected = Interpret(*program, test.Operands());
  ASSERT_TRUE(expected.ok()) << name << ": " << expected.status();
  for (const Trace& trace :
       by_default ? std::vector{DefaultTrace(test.task, *program)} : TracesFor(test.task, *program)) {
    const std::string label = name + " " + trace.ToString();
    const auto scheduled = Schedule(test.task, *program, trace);
    if (std::holds_alternative<Rejection>(scheduled)) {
      ++*rejected;
      continue;
    }
    const auto error = MachineCodeError(test, std::get<Scheduled>(scheduled), *expected);
    ASSERT_TRUE(error.ok()) << label << ": " << error.status();
    EXPECT_LE(*error, 2e-5) << label << "\n" << std::get<Scheduled>(scheduled).nest.ToString() << program->ToString();
    ++*compiled;
  }
}

class KernelTest : public testing::TestWithParam<std::string> {};

TEST_P(KernelTest, EveryOperatorAgreesWithTheInterpreter) {
  const auto target = FindTarget(GetParam());
  ASSERT_TRUE(target.ok());
  if (!target->row->runs_here()) GTEST_SKIP() << "this machine does not run " << GetParam();
  int compiled = 0, rejected = 0;
  for (const OpRow& op : OpTable()) {
    for (const OpCase& sample : op.cases()) {
      const bool image = sample.inputs[0].rank() == 4;
      for (const int block : {1, target->vector_width()}) {
        if (block > 1 && (!image || op.op_class == OpClass::kView)) continue;
        const int threads = block > 1 ? 2 : 1;
        const auto test = MakeTask(op, sample, *target, threads, block, block, true);
        ASSERT_TRUE(test.ok()) << op.name << " " << sample.name << ": " << test.status();
        const auto program = LowerTask(test->task);
        if (program.ok() && std::holds_alternative<Rejection>(Schedule(test->task, *program, ReferenceTrace()))) {
          ++rejected;   // sine, scans...: refused with a reason
          continue;
        }
        CheckTask(*test, std::string(op.name) + "/" + sample.name + (block > 1 ? "/blocked" : ""), &compiled, &rejected);
      }
    }
  }
  EXPECT_GT(compiled, 300);
  RecordProperty("compiled", compiled);
  printf("%s: %d kernels compiled and checked, %d traces rejected\n", GetParam().c_str(), compiled, rejected);
}

// A conversion that a task makes on its way.
TEST_P(KernelTest, ImagesAreReadAndWrittenInDifferentBlocks) {
  const auto target = FindTarget(GetParam());
  ASSERT_TRUE(target.ok());
  if (!target->row->runs_here()) GTEST_SKIP() << "this machine does not run " << GetParam();
  const int width = target->vector_width();
  int compiled = 0, rejected = 0;
  for (const OpRow& op : OpTable()) {
    if (op.op_class == OpClass::kElementwise || op.op_class == OpClass::kView) continue;
    for (const OpCase& sample : op.cases()) {
      for (const auto& [in, out] :
           {std::pair(1, width), std::pair(width, 1), std::pair(4, width), std::pair(width, 4)}) {
        if (in == out || sample.inputs[0].rank() != 4) continue;
        const auto test = MakeTask(op, sample, *target, 1, in, out, true);
        ASSERT_TRUE(test.ok()) << op.name << " " << sample.name << ": " << test.status();
        const auto program = LowerTask(test->task);
        if (program.ok() &&
            std::holds_alternative<Rejection>(Schedule(test->task, *program, ReferenceTrace())))
          continue;
        CheckTask(*test, absl::StrCat(std::string(op.name), "/", sample.name, "/", in, "_to_", out),
                  &compiled, &rejected, true);
      }
    }
  }
  EXPECT_GT(compiled, 50);
  EXPECT_EQ(rejected, 0);
}

// Copies that change the order of elements: blocks transposed in registers, with tails on either side.
TEST_P(KernelTest, CopiesBetweenLayoutsAgreeWithTheInterpreter) {
  const auto target = FindTarget(GetParam());
  ASSERT_TRUE(target.ok());
  if (!target->row->runs_here()) GTEST_SKIP() << "this machine does not run " << GetParam();
  int compiled = 0, rejected = 0;
  for (const std::vector<int64_t>& dims : {std::vector<int64_t>{2, 32, 3, 21}, {1, 35, 17, 5}, {1, 64, 1, 1}}) {
    for (const int threads : {1, 2}) {
      for (const bool to_blocks : {true, false}) {
        auto test = MakeTask(*FindOp("identity"), {"image", {{DType::kF32, {dims.begin(), dims.end()}}}, {}},
                             *target, threads, 1, 1, false);
        ASSERT_TRUE(test.ok());
        Graph& graph = test->task.graph;
        const TensorId blocked = to_blocks ? graph.outputs()[0] : graph.inputs()[0];
        graph.tensor(blocked).layout = ImageLayout(target->vector_width(), threads);
        CheckTask(*test, to_blocks ? "to blocks" : "from blocks", &compiled, &rejected);
      }
    }
  }
  for (const std::vector<int64_t>& perm : {std::vector<int64_t>{0, 2, 3, 1}, {3, 0, 1, 2}, {0, 3, 2, 1}}) {
    const AttrMap attrs = {{"perm", std::vector<DimExpr>(perm.begin(), perm.end())}};
    auto test = MakeTask(*FindOp("transpose"), {"any", {{DType::kF32, {2, 19, 3, 37}}}, attrs}, *target, 1, 1,
                         1, false);
    ASSERT_TRUE(test.ok());
    CheckTask(*test, "transpose", &compiled, &rejected);
  }
}

// Some of every exponent of either sign, infinities and NaN among them.
TEST_P(KernelTest, ElementaryFunctionsKeepTheirBounds) {
  const auto target = FindTarget(GetParam());
  ASSERT_TRUE(target.ok());
  if (!target->row->runs_here()) GTEST_SKIP() << "this machine does not run " << GetParam();
  const struct { const char* op; double (*exact)(double); double ulps; } kFunctions[] = {
      {"exp", [](double x) { return std::exp(x); }, 2},
      {"tanh", [](double x) { return std::tanh(x); }, 4},
      {"sigmoid", [](double x) { return 1 / (1 + std::exp(-x)); }, 4},
      {"erf", [](double x) { return std::erf(x); }, 5}};
  const int64_t count = int64_t{1} << 18;
  HostTensor x = HostTensor::Zeros(DType::kF32, {count});
  for (int64_t i = 0; i < count; ++i) {
    const uint32_t bits = static_cast<uint32_t>(i << 14) + static_cast<uint32_t>(i * 7919 % 16384);
    float value;
    std::memcpy(&value, &bits, sizeof value);
    x.Set(i, static_cast<double>(value));
  }
  for (const auto& function : kFunctions) {
    auto test =
        MakeTask(*FindOp(function.op), {"all", {{DType::kF32, {DimExpr(count)}}}}, *target, 1, 1, 1, false);
    ASSERT_TRUE(test.ok());
    const auto scheduled = Schedule(test->task, *LowerTask(test->task), DefaultTrace(test->task, *LowerTask(test->task)));
    auto runner = CandidateRunner::Load(*LinkCandidate(test->task, *CompileNest(test->task, std::get<Scheduled>(scheduled), "f")));
    ASSERT_TRUE(runner.ok());
    (*runner)->SetInputs({x}, {});
    ASSERT_EQ((*runner)->Run(), 0);
    std::vector<HostTensor> y = {HostTensor::Zeros(DType::kF32, {count})};
    (*runner)->GetOutputs(&y);
    double worst = 0;
    for (int64_t i = 0; i < count; ++i) {
      const double exact = function.exact(x.Get(i)), got = y[0].Get(i);
      if (got == exact || (std::isnan(got) && std::isnan(exact))) continue;
      const bool overflows = std::fabs(exact) > FLT_MAX && std::isinf(got);
      if (overflows || std::fabs(got - exact) <= 2 * FLT_MIN) continue;
      const double ulp = std::ldexp(1.0, std::max(-126, std::ilogb(exact)) - 23);
      worst = std::max(worst, std::isnan(got) ? HUGE_VAL : std::fabs(got - exact) / ulp);
    }
    EXPECT_LE(worst, function.ulps) << function.op;
  }
}

// Two tensors joined where no block of channels ends, shuffled, and cut likewise: vectors permuted in registers.
TEST_P(KernelTest, ShuffledBlocksAgreeWithTheInterpreter) {
  const auto target = FindTarget(GetParam());
  ASSERT_TRUE(target.ok());
  if (!target->row->runs_here()) GTEST_SKIP() << "this machine does not run " << GetParam();
  int compiled = 0, rejected = 0;
  for (const int64_t half : {29, 40}) {
    for (const int threads : {1, 2}) {
      const TensorType part{DType::kF32, {1, half, 3, 5}};
      auto test = MakeTask(*FindOp("concat"), {"halves", {part, part}, {{"axis", int64_t{1}}}}, *target,
                           threads, 1, 1, false);
      ASSERT_TRUE(test.ok());
      Graph& graph = test->task.graph;
      const TensorId shuffled = graph.AddNode("channel_shuffle", graph.outputs(), {{"groups", int64_t{2}}}, "s")->front();
      const AttrMap second = {{"starts", std::vector<DimExpr>{0, half, 0, 0}},
                              {"ends", std::vector<DimExpr>{1, 2 * half, 3, 5}},
                              {"steps", std::vector<DimExpr>{1, 1, 1, 1}}};
      graph.SetOutputs(*graph.AddNode("slice", {shuffled}, second, "right"));
      for (const TensorId id : {graph.inputs()[0], graph.inputs()[1], graph.outputs()[0]}) {
        graph.tensor(id).layout = ImageLayout(target->vector_width(), threads);
      }
      CheckTask(*test, "shuffle", &compiled, &rejected);
      const auto program = LowerTask(test->task);
      const auto scheduled = Schedule(test->task, *program, DefaultTrace(test->task, *program));
      const auto& kernel = std::get<StageKernel>(std::get<Scheduled>(scheduled).nest.kernels[0]);
      EXPECT_EQ(kernel.stages[0].lanes, target->vector_width());
      EXPECT_NE(kernel.stages[0].each_block, nullptr);
    }
  }
}

// Threads share out the rows of images in channel blocks, in parts of equal height; too few rows stay
// together.
TEST_P(KernelTest, RowsOfBlocksAreSharedOut) {
  const auto target = FindTarget(GetParam());
  ASSERT_TRUE(target.ok());
  if (!target->row->runs_here()) GTEST_SKIP() << "this machine does not run " << GetParam();
  const struct {
    int64_t rows, parts;
  } kImages[] = {{7, 0}, {14, 2}, {15, 3}};
  const int64_t channels = 40;  // the last block is padded
  int compiled = 0, rejected = 0;
  for (const auto& image : kImages) {
    const TensorType x{DType::kF32, {1, channels, image.rows, 9}}, w{DType::kF32, {channels, 1, 3, 3}};
    const AttrMap attrs = {{"pads", std::vector<DimExpr>(4, DimExpr(1))}};
    const auto test = MakeTask(*FindOp("depthwise_conv2d"), {"rows", {x, w}, attrs}, *target, 2,
                               target->vector_width(), target->vector_width(), true);
    ASSERT_TRUE(test.ok());
    CheckTask(*test, "depthwise", &compiled, &rejected);
    const auto program = LowerTask(test->task);
    const auto scheduled = Schedule(test->task, *program, DefaultTrace(test->task, *program));
    const auto& kernel = std::get<StageKernel>(std::get<Scheduled>(scheduled).nest.kernels.back());
    int64_t parts = 0;
    for (const Axis& axis : kernel.outer) {
      if (axis.variable->name.ends_with("_part")) parts = axis.extent.Constant();
    }
    EXPECT_EQ(parts, image.parts) << image.rows;
    // One row of either neighbour.
    EXPECT_EQ(std::get<Scheduled>(scheduled).statistics.halo_bytes, parts > 0 ? 2 * channels * 9 * 4 : 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, KernelTest, testing::Values("x86-64-v2", "x86-64-v3", "x86-64-v4"),
                         [](const auto& info) { return "v" + info.param.substr(8); });

}  // namespace
}  // namespace hone
