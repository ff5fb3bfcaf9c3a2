#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "compiler/ops/op.h"
#include "compiler/tensor_program/interpreter.h"

namespace hone {

std::vector<DimExpr> DimList(std::vector<int64_t> list);

// A tensor of reproducible values in [low, high]; `number` tells operands apart.
HostTensor Generated(const TensorType& type, uint64_t number, double low = -1, double high = 1);
HostTensor Floats(std::vector<int64_t> dims, uint64_t number);
HostTensor Integers(DType dtype, std::vector<int64_t> dims, const std::vector<int64_t>& values);

// The operator on its own as a program: inputs in0.., outputs out0...
absl::StatusOr<TensorProgram> ProgramOf(std::string_view op, const AttrMap& attrs,
                                        const std::vector<TensorType>& inputs);
// Infers, lowers, verifies, interprets.
absl::StatusOr<std::vector<HostTensor>> RunOp(std::string_view op, const AttrMap& attrs,
                                              const std::vector<HostTensor>& inputs);

// The element at a point; the tensor has that many dimensions.
double At(const HostTensor& tensor, const std::vector<int64_t>& point);
bool Inside(const HostTensor& tensor, const std::vector<int64_t>& point);

// Runs the operator and compares every element of its first output with `formula` of the point.
using Formula = std::function<double(const std::vector<int64_t>& point)>;
void ExpectFormula(std::string_view op, const AttrMap& attrs, const std::vector<HostTensor>& inputs,
                   const std::vector<int64_t>& dims, const Formula& formula);

}  // namespace hone
