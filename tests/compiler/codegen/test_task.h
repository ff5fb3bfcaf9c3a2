#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/status/statusor.h"
#include "compiler/codegen/codegen.h"
#include "compiler/runtime/input_generator.h"
#include "compiler/schedule/schedule.h"
#include "compiler/tensor_program/interpreter.h"
#include "tests/compiler/codegen/candidate_runner.h"

namespace hone {

inline HostTensor GenerateReals(const std::vector<int64_t>& dims, uint64_t number) {
  HostTensor tensor = HostTensor::Zeros(DType::kF32, dims);
  for (int64_t e = 0; e < tensor.Elements(); ++e) {
    tensor.Set(e, HoneGenerateReal(1, number, static_cast<uint64_t>(e), -1, 1));
  }
  return tensor;
}

// Of an image in blocks of channels; several threads have its rows outermost, as order_rows gives them.
inline Layout ImageLayout(int64_t block, int threads) {
  return threads > 1 ? Layout::BlockedRows(block) : Layout::Blocked(4, 1, block);
}

struct TestTask {
  Task task;
  std::vector<HostTensor> inputs, constants;

  // Add an f32 tensor to the graph, and what it holds.
  TensorId AddInput(const char* name, const std::vector<int64_t>& dims) {
    inputs.push_back(GenerateReals(dims, inputs.size()));
    return task.graph.AddInput(name, {DType::kF32, {dims.begin(), dims.end()}});
  }
  TensorId AddConstant(const char* name, const std::vector<int64_t>& dims) {
    constants.push_back(GenerateReals(dims, 10 + constants.size()));
    return task.graph.AddConstant(name, MakeConstant(DType::kF32, dims, constants.back().bytes));
  }

  // relu(y + bias + residual)
  TensorId AddEpilogue(TensorId y, const std::vector<int64_t>& bias) {
    Graph& graph = task.graph;
    const std::vector<int64_t> dims = *ConstantShape(graph.tensor(y).type.shape);
    y = graph.AddNode("add", {y, AddConstant("bias", bias)}, {}, "bias").value()[0];
    y = graph.AddNode("add", {y, AddInput("residual", dims)}, {}, "residual").value()[0];
    return graph.AddNode("relu", {y}, {}, "relu").value()[0];
  }
  // All images in blocks of the target's vector width.
  void SetBlockedLayouts() {
    for (int t = 0; t < task.graph.tensor_count(); ++t) {
      Tensor& tensor = task.graph.tensor({t});
      if (tensor.constant == nullptr) tensor.layout = ImageLayout(task.target.vector_width(), task.threads);
    }
  }

  std::vector<HostTensor> Operands() const {
    std::vector<HostTensor> operands = inputs;
    operands.insert(operands.end(), constants.begin(), constants.end());
    return operands;
  }
};

// The largest difference of each output, relative to its largest reference value; the greatest of all outputs.
inline double RelativeError(const std::vector<HostTensor>& actual, const std::vector<HostTensor>& expected) {
  double worst = 0;
  for (size_t i = 0; i < actual.size(); ++i) {
    double most = 1e-30, difference = 0;
    for (int64_t e = 0; e < expected[i].Elements(); ++e) {
      const double a = actual[i].Get(e), b = expected[i].Get(e);
      if (std::isnan(a) != std::isnan(b)) return HUGE_VAL;
      if (std::isnan(b)) continue;
      if (std::isfinite(b)) most = std::max(most, std::fabs(b));
      if (a != b) difference = std::max(difference, std::fabs(a - b));
    }
    worst = std::max(worst, difference / most);
  }
  return worst;
}

// The RelativeError of the scheduled task's machine code, run on test.task.threads slices, from `expected`.
inline absl::StatusOr<double> MachineCodeError(const TestTask& test, const Scheduled& scheduled,
                                               const std::vector<HostTensor>& expected) {
  const auto code = CompileNest(test.task, scheduled, "kernel");
  if (!code.ok()) return code.status();
  const auto object = LinkCandidate(test.task, *code);
  if (!object.ok()) return object.status();
  auto runner = CandidateRunner::Load(*object);
  if (!runner.ok()) return runner.status();
  (*runner)->SetInputs(test.inputs, test.constants);
  if (const int code_of_run = (*runner)->Run(test.task.threads); code_of_run != 0) {
    return absl::InternalError(absl::StrCat("the candidate ended with ", code_of_run));
  }
  std::vector<HostTensor> actual;
  for (const HostTensor& output : expected) actual.push_back(HostTensor::Zeros(output.dtype, output.dims));
  (*runner)->GetOutputs(&actual);
  return RelativeError(actual, expected);
}

// That the trace is legal, and its machine code as near to `expected`.
inline void ExpectAgreement(const TestTask& test, const TensorProgram& program, const Trace& trace,
                            const std::vector<HostTensor>& expected, double most) {
  SCOPED_TRACE(trace.ToString());
  const auto scheduled = Schedule(test.task, program, trace);
  ASSERT_TRUE(std::holds_alternative<Scheduled>(scheduled)) << RejectionText(std::get<Rejection>(scheduled));
  const auto error = MachineCodeError(test, std::get<Scheduled>(scheduled), expected);
  ASSERT_TRUE(error.ok()) << error.status();
  EXPECT_LE(*error, most) << std::get<Scheduled>(scheduled).nest.ToString();
}

}  // namespace hone
