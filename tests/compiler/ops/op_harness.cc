#include "tests/compiler/ops/op_harness.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "compiler/runtime/input_generator.h"

namespace hone {

std::vector<DimExpr> DimList(std::vector<int64_t> list) { return {list.begin(), list.end()}; }

HostTensor Generated(const TensorType& type, uint64_t number, double low, double high) {
  HostTensor tensor = HostTensor::Zeros(type.dtype, *ConstantShape(type.shape));
  const bool truth = type.dtype == DType::kBool;
  for (int64_t e = 0; e < tensor.Elements(); ++e) {
    const uint64_t element = static_cast<uint64_t>(e);
    if (IsFloat(type.dtype)) {
      tensor.Set(e, HoneGenerateReal(1, number, element, low, high));
    } else {
      tensor.SetInteger(e, HoneGenerateInteger(1, number, element, truth ? 0 : low, truth ? 2 : high));
    }
  }
  return tensor;
}

HostTensor Floats(std::vector<int64_t> dims, uint64_t number) {
  return Generated({DType::kF32, DimList(std::move(dims))}, number);
}

HostTensor Integers(DType dtype, std::vector<int64_t> dims, const std::vector<int64_t>& values) {
  HostTensor tensor = HostTensor::Zeros(dtype, std::move(dims));
  for (size_t e = 0; e < values.size(); ++e) tensor.SetInteger(static_cast<int64_t>(e), values[e]);
  return tensor;
}

absl::StatusOr<TensorProgram> ProgramOf(std::string_view op, const AttrMap& attrs,
                                        const std::vector<TensorType>& inputs) {
  const OpRow* row = FindOp(op);
  if (row == nullptr) return absl::NotFoundError(std::string(op));
  const absl::StatusOr<std::vector<TensorType>> outputs = row->infer(attrs, inputs);
  if (!outputs.ok()) return outputs.status();
  TensorProgram program;
  OpLowering context{program, attrs, {}, inputs, {}, *outputs, "n"};
  for (size_t i = 0; i < inputs.size(); ++i) {
    context.inputs.push_back(program.AddTensor(
        {absl::StrCat("in", i), ProgramTensor::Role::kInput, inputs[i].dtype, inputs[i].shape}));
  }
  for (size_t i = 0; i < outputs->size(); ++i) {
    context.outputs.push_back(program.AddTensor(
        {absl::StrCat("out", i), ProgramTensor::Role::kOutput, (*outputs)[i].dtype, (*outputs)[i].shape}));
  }
  if (absl::Status status = row->lower(context); !status.ok()) return status;
  if (absl::Status status = program.Verify(); !status.ok()) return status;
  return program;
}

absl::StatusOr<std::vector<HostTensor>> RunOp(std::string_view op, const AttrMap& attrs,
                                              const std::vector<HostTensor>& inputs) {
  std::vector<TensorType> types;
  for (const HostTensor& input : inputs) types.push_back({input.dtype, DimList(input.dims)});
  const absl::StatusOr<TensorProgram> program = ProgramOf(op, attrs, types);
  if (!program.ok()) return program.status();
  return Interpret(*program, inputs);
}

bool Inside(const HostTensor& tensor, const std::vector<int64_t>& point) {
  for (size_t d = 0; d < point.size(); ++d) {
    if (point[d] < 0 || point[d] >= tensor.dims[d]) return false;
  }
  return true;
}

double At(const HostTensor& tensor, const std::vector<int64_t>& point) {
  EXPECT_EQ(point.size(), tensor.dims.size());
  EXPECT_TRUE(Inside(tensor, point));
  int64_t element = 0;
  for (size_t d = 0; d < point.size(); ++d) element = element * tensor.dims[d] + point[d];
  return tensor.Get(element);
}

void ExpectFormula(std::string_view op, const AttrMap& attrs, const std::vector<HostTensor>& inputs,
                   const std::vector<int64_t>& dims, const Formula& formula) {
  const auto outputs = RunOp(op, attrs, inputs);
  ASSERT_TRUE(outputs.ok()) << op << ": " << outputs.status();
  const HostTensor& output = outputs->front();
  ASSERT_EQ(output.dims, dims) << op;
  std::vector<int64_t> point(dims.size(), 0);
  for (int64_t e = 0; e < output.Elements(); ++e) {
    int64_t rest = e;
    for (size_t d = dims.size(); d-- > 0; rest /= dims[d]) point[d] = rest % dims[d];
    const double expected = formula(point), actual = output.Get(e);
    ASSERT_TRUE(actual == expected ||
                std::fabs(actual - expected) <= 1e-6 * std::max(1.0, std::fabs(expected)))
        << op << " " << AttrsText(attrs) << " element " << e << ": " << actual << " instead of " << expected;
  }
}

}  // namespace hone
