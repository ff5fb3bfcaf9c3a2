#pragma once

#include <map>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "compiler/tensor_program/tensor_program.h"
#include "proto/values/dtype.h"

namespace hone {

// A dense row-major tensor of any dtype in host memory.
struct HostTensor {
  DType dtype = DType::kF32;
  std::vector<int64_t> dims;
  std::vector<uint8_t> bytes;

  static HostTensor Zeros(DType dtype, std::vector<int64_t> dims);
  int64_t Elements() const;
  double Get(int64_t element) const;            // as f64 (integers beyond 2^53 lose bits: use GetInteger)
  int64_t GetInteger(int64_t element) const;
  void Set(int64_t element, double value);      // rounds to the dtype
  void SetInteger(int64_t element, int64_t value);
};

// The slow, obviously right reference of all tests: direct evaluation, real arithmetic in f64, integers exact.
// `operands`: inputs then constants in order of TensorProgram::TensorsOf. Returns the outputs in order.
// InvalidArgument: operands that do not fit the program, or symbols that the operands' shapes leave unbound.
// Internal: the program does not verify, or reads outside a tensor. ResourceExhausted: it writes more than 4 GiB.
absl::StatusOr<std::vector<HostTensor>> Interpret(const TensorProgram& program, std::span<const HostTensor> operands);

// Values of output number `output` at single elements (row-major logical index), evaluating only what they need:
// temporaries are memoised per element. Static programs only. DeadlineExceeded after `max_evaluations` scalar loads (an
// expression without loads counts as one).
absl::StatusOr<std::vector<double>> InterpretElements(const TensorProgram& program, std::span<const HostTensor> operands,
                                                      int output, std::span<const int64_t> elements,
                                                      int64_t max_evaluations);

}  // namespace hone
