#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "proto/values/dtype.h"
#include "proto/values/tensor_spec.h"

// The values of test tensors, as hone-job's interpreter and the workers both see them: made by
// compiler/runtime/input_generator.h, then rounded to the tensor's dtype.
namespace hone {

// Tensors of a task are numbered inputs first, then constants: constant c of a task with n inputs is tensor n
// + c. Writes spec.Bytes() bytes, dense row-major.
void GenerateTensor(const TensorSpec& spec, uint64_t seed, uint64_t tensor, void* out);

// Element of a dense tensor as a double (i64 and u64 beyond 2^53 lose their low bits).
double ReadElement(DType dtype, const void* data, int64_t element);
// Rounds to nearest even; integers truncate towards zero and wrap; bool is value != 0.
void WriteElement(DType dtype, void* data, int64_t element, double value);

}  // namespace hone
