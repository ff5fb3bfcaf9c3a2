#include "compiler/tensor_program/tensor_program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/compiler/tensor_program/program_samples.h"

namespace hone {
namespace {

TensorProgram Sample(std::string_view name) {
  for (const ProgramSample& sample : kProgramSamples) {
    if (sample.name == name) return *TensorProgram::Parse(sample.text);
  }
  return {};
}

TEST(TensorProgramTest, FindsProducersAndUses) {
  const TensorProgram program = Sample("softmax");
  const auto inputs = program.TensorsOf(ProgramTensor::Role::kInput);
  ASSERT_EQ(inputs.size(), 1u);
  EXPECT_EQ(program.ProducerOf(inputs[0]), nullptr);
  EXPECT_EQ(program.UsesOf(inputs[0]), 2);
  EXPECT_EQ(program.ProducerOf(2)->name, "exp");
  EXPECT_EQ(program.UsesOf(2), 2);
  const TensorProgram scan = Sample("cumulative_sum");
  EXPECT_EQ(scan.ProducerOf(3)->name, "steps");
  EXPECT_EQ(scan.UsesOf(1), 1);
}

// Breaks a valid program in one way at a time; the fault names the stage and what is wrong.
TEST(TensorProgramTest, VerifyFindsEachFault) {
  const ScalarRef real = Real(0);
  struct Fault {
    const char* program;
    void (*spoil)(TensorProgram*);
    const char* message;
  };
  const Fault faults[] = {
      {"matmul", [](TensorProgram* p) { p->tensors[1].name = "a"; }, "tensor 'a' twice"},
      {"softmax", [](TensorProgram* p) { p->stages[1].name = "max"; }, "name used twice"},
      {"softmax", [](TensorProgram* p) { std::swap(p->stages[0], p->stages[1]); }, "before it is written"},
      {"softmax", [](TensorProgram* p) { p->stages[2].outputs = {1}; }, "writes 'most' again"},
      {"matmul", [](TensorProgram* p) { p->stages[0].outputs = {0}; }, "extent of axis 1"},
      {"matmul", [](TensorProgram* p) { p->stages.clear(); }, "output 'c' is not written"},
      {"matmul", [](TensorProgram* p) { p->stages[0].outputs = {7}; }, "unknown tensor"},
      {"matmul", [](TensorProgram* p) { p->stages[0].combine = Combine::kNone; }, "without a combiner"},
      {"matmul", [](TensorProgram* p) { p->stages[0].axes.pop_back(); }, "one axis per dimension"},
      {"matmul", [](TensorProgram* p) { p->stages[0].axes[1].extent = 5; }, "extent of axis 1"},
      {"matmul", [](TensorProgram* p) { p->stages[0].reduce[0].extent = 6; }, "runs outside dimension 5"},
      {"matmul", [](TensorProgram* p) { p->stages[0].reduce[0].variable = MakeSymbol("j"); }, "neither an axis"},
      {"matmul", [](TensorProgram* p) { p->stages[0].body = {Real(0, DType::kF64)}; }, "type of the output"},
      {"matmul", [](TensorProgram* p) { p->stages[0].body = {nullptr}; }, "null expression"},
      {"matmul", [](TensorProgram* p) { p->stages[0].body = {Load(0, DType::kF32, {})}; }, "wrong rank"},
      {"matmul", [](TensorProgram* p) { p->stages[0].body = {Load(9, DType::kF32, {})}; }, "unknown tensor"},
      {"matmul", [](TensorProgram* p) { p->stages[0].body = {Parameter(0, DType::kF32)}; }, "outside a combiner"},
      {"arg_max", [](TensorProgram* p) { p->stages[0].tuple.reset(); }, "tuple without a combiner"},
      {"arg_max", [](TensorProgram* p) { p->stages[0].tuple->combine.pop_back(); }, "size of the combiner"},
      {"arg_max", [](TensorProgram* p) { p->stages[0].tuple->identity[0] = Parameter(0, DType::kF32); }, "outside a combiner"},
      {"arg_max", [](TensorProgram* p) { p->stages[0].tuple->combine[0] = Parameter(4, DType::kF32); }, "number of a parameter"},
      {"arg_max", [](TensorProgram* p) { p->stages[0].tuple->combine[0] = Parameter(1, DType::kF32); }, "type of a parameter"},
      {"arg_max", [](TensorProgram* p) { p->stages[0].tuple->combine[1] = p->stages[0].body[1]; }, "depends on the position"},
      {"arg_max", [](TensorProgram* p) { p->stages[0].tuple->combine[0] = p->stages[0].body[0]; }, "a combiner loads"},
      {"cumulative_sum", [](TensorProgram* p) { p->stages[1].scan->body = nullptr; }, "no body"},
      {"cumulative_sum", [](TensorProgram* p) { p->stages[1].scan->length = 5; }, "input 1 of the body"},
      {"cumulative_sum", [](TensorProgram* p) { p->stages[1].scan->scanned.clear(); }, "number of inputs"},
      {"cumulative_sum", [](TensorProgram* p) { p->stages[1].scan->initial = {3}; }, "before it is written"},
      {"cumulative_sum", [](TensorProgram* p) { p->tensors[2].dtype = DType::kI64; }, "last value of carried"},
      {"cumulative_sum", [](TensorProgram* p) { p->stages[1].axes = p->stages[0].axes; }, "of its own"},
  };
  for (const Fault& fault : faults) {
    TensorProgram program = Sample(fault.program);
    ASSERT_TRUE(program.Verify().ok());
    fault.spoil(&program);
    const absl::Status status = program.Verify();
    EXPECT_EQ(status.code(), absl::StatusCode::kInternal) << fault.message;
    EXPECT_THAT(std::string(status.message()), testing::HasSubstr(fault.message));
  }
}

TEST(TensorProgramTest, GuardedLoadsMayRunOutside) {
  const auto guarded = [](const std::string& body) {
    return TensorProgram::Parse("input x f32[4]\noutput y f32[4]\nstage s (i:4) y = " + body + "\n").ok();
  };
  EXPECT_TRUE(guarded("select(less(i64 0, index(i)), x[i - 1], f32 0)"));
  EXPECT_FALSE(guarded("x[i - 1]"));
  EXPECT_TRUE(guarded("x[3 - i]"));
  EXPECT_FALSE(guarded("x[4 - i]"));
  EXPECT_TRUE(guarded("x[floordiv(i, 2) + 9]"));   // not affine: left to the interpreter
}

}  // namespace
}  // namespace hone
