#include "compiler/task/task.h"

#include <cstring>

#include "compiler/task/evaluate.h"
#include "compiler/tensor_program/interpreter.h"
#include "gtest/gtest.h"

namespace hone {
namespace {

ConstantRef Floats(std::vector<int64_t> dims, const std::vector<float>& values) {
  const auto* begin = reinterpret_cast<const uint8_t*>(values.data());
  return MakeConstant(DType::kF32, std::move(dims), {begin, begin + values.size() * sizeof(float)});
}

std::vector<float> Ramp(size_t n, float step) {
  std::vector<float> values(n);
  for (size_t i = 0; i < n; ++i) values[i] = step * static_cast<float>(static_cast<int>(i % 17) - 8);
  return values;
}

// conv 1x1, bias, + 3, clip, * x / 6: what stands before a depthwise convolution of MobileNetV3.
Task HardSwishTask(const std::string& prefix) {
  Task task;
  task.target = FindTarget("x86-64-v3").value();
  task.threads = 2;
  Graph& g = task.graph;
  const TensorId x = g.AddInput(prefix + "x", {DType::kF32, {1, 8, 3, 5}});
  const TensorId w = g.AddConstant(prefix + "w", Floats({8, 8, 1, 1}, Ramp(64, 0.1f)));
  const TensorId b = g.AddConstant(prefix + "b", Floats({1, 8, 1, 1}, Ramp(8, 0.2f)));
  const TensorId three = g.AddConstant(prefix + "three", Floats({}, {3}));
  const TensorId sixth = g.AddConstant(prefix + "sixth", Floats({1}, {1.0f / 6}));
  const auto add = [&](std::string_view op, std::vector<TensorId> inputs, AttrMap attrs = {}) {
    return g.AddNode(op, std::move(inputs), std::move(attrs), prefix + std::string(op)).value().front();
  };
  const TensorId conv = add("add", {add("conv2d", {x, w}), b});
  const TensorId gate = add("clip", {add("add", {conv, three})}, {{"low", 0.0}, {"high", 6.0}});
  g.SetOutputs({add("mul", {add("mul", {conv, gate}), sixth})});
  return task;
}

TEST(TaskTest, KeyIsCanonicalAndParsesBack) {
  const Task task = HardSwishTask("a/");
  EXPECT_EQ(task.Key(), HardSwishTask("other ").Key());
  EXPECT_EQ(task.Id().size(), 64u);
  const absl::StatusOr<Task> parsed = Task::Parse(task.Key());
  ASSERT_TRUE(parsed.ok()) << parsed.status() << task.Key();
  EXPECT_EQ(parsed->Key(), task.Key());
  EXPECT_EQ(parsed->threads, 2);
  EXPECT_EQ(task.Label(), "conv2d 8x3x5 -> 8x3x5 1x1 + add + add + clip + mul + mul");
  EXPECT_GE(task.Flops().Constant(), 2 * 8 * 8 * 15);
}

TEST(TaskTest, KeyTellsWhatDecidesTheCode) {
  const Task task = HardSwishTask("");
  Task other = task;
  other.threads = 1;
  EXPECT_NE(other.Key(), task.Key());
  other = task;
  other.policy = AlgorithmPolicy::kExact;
  EXPECT_NE(other.Key(), task.Key());
  other = task;
  other.target = FindTarget("x86-64-v2").value();
  EXPECT_NE(other.Key(), task.Key());
  other = task;
  other.graph.tensor(other.graph.outputs()[0]).layout = Layout::Blocked(4, 1, 8);
  EXPECT_NE(other.Key(), task.Key());
  EXPECT_EQ(task.Key().find("host"), std::string::npos);
}

TEST(TaskTest, BrokenKeysAreInvalid) {
  const std::string key = HardSwishTask("").Key();
  for (const std::string& bad :
       {std::string(), key.substr(0, 20), "x" + key, key.substr(0, key.find("threads")) + "threads 0\n"}) {
    EXPECT_FALSE(Task::Parse(bad).ok());
  }
  std::string other = key;
  other.replace(other.find("cpu="), 5, "cpu=z");
  EXPECT_EQ(Task::Parse(other).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(TaskTest, OperandsAreSpecified) {
  const Task task = HardSwishTask("");
  ASSERT_EQ(task.Constants().size(), 2u);  // weights and bias; 3 and 1/6 are written by value
  EXPECT_EQ(task.ConstantSpecs()[0].dims, (std::vector<int64_t>{8, 8, 1, 1}));
  EXPECT_EQ(task.ConstantSpecs()[1].dims, (std::vector<int64_t>{1, 8, 1, 1}));
  EXPECT_EQ(task.InputSpecs()[0].dims, (std::vector<int64_t>{1, 8, 3, 5}));
  EXPECT_EQ(task.OutputSpecs()[0].dims, (std::vector<int64_t>{1, 8, 3, 5}));
}

// The whole program against the graph evaluated node by node, also after a round trip through the key.
TEST(TaskTest, LoweringComputesTheGraph) {
  const Task task = HardSwishTask("");
  HostTensor x = HostTensor::Zeros(DType::kF32, {1, 8, 3, 5});
  for (int64_t i = 0; i < x.Elements(); ++i) x.Set(i, static_cast<double>(i % 13) / 4 - 1.5);
  const auto expected = EvaluateGraph(task.graph, std::vector<HostTensor>{x});
  ASSERT_TRUE(expected.ok()) << expected.status();
  const std::vector<HostTensor> operands = {x, HostTensorOf(*task.graph.tensor(task.Constants()[0]).constant),
                                            HostTensorOf(*task.graph.tensor(task.Constants()[1]).constant)};
  const absl::StatusOr<Task> parsed = Task::Parse(task.Key());
  ASSERT_TRUE(parsed.ok());
  for (const Task* each : {&task, &*parsed}) {
    const absl::StatusOr<TensorProgram> program = LowerTask(*each);
    ASSERT_TRUE(program.ok()) << program.status();
    EXPECT_EQ(program->TensorsOf(ProgramTensor::Role::kInput).size(), 1u);
    EXPECT_EQ(program->TensorsOf(ProgramTensor::Role::kConstant).size(), 2u);
    const auto got = Interpret(*program, operands);
    ASSERT_TRUE(got.ok()) << got.status();
    for (int64_t i = 0; i < x.Elements(); ++i) EXPECT_NEAR((*got)[0].Get(i), (*expected)[0].Get(i), 1e-6);
  }
}

TEST(TaskTest, RootsAndQuotientsGetPositiveOperands) {
  Task task;
  task.target = FindTarget("x86-64-v3").value();
  const TensorId x = task.graph.AddInput("x", {DType::kF32, {4}});
  task.graph.SetOutputs(task.graph.AddNode("sqrt", {x}, {}, "y").value());
  EXPECT_GT(task.InputSpecs()[0].low, 0);
}

}  // namespace
}  // namespace hone
