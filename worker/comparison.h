#pragma once

#include <span>
#include <string>

#include "proto/values/tensor_spec.h"
#include "worker/lease.h"

namespace hone {

// How far one output is from what it should be.
struct Difference {
  double max_error = 0;  // max |actual - expected| / max |expected|; infinite where one of them is not finite
  int64_t element = -1;  // where, row-major; -1 = nowhere
  double actual = 0, expected = 0;
};

// Compares dense tensors of one spec. Equal NaNs and equal infinities agree; integers and bools must be equal
// (an unequal one has infinite error). If all expected values are 0 the error is absolute.
Difference CompareTensors(const TensorSpec& spec, const void* expected, const void* actual);

// Compares `actual` at the sample's elements; max |expected| is that of the samples. An element out of range
// is an infinite error.
Difference CompareSamples(const TensorSpec& spec, const OracleSample& sample, const void* actual);

// The bound on max_error for a dtype: `tolerance`, but never below one unit in the last place of the dtype.
double Bound(DType dtype, double tolerance);

std::string Describe(size_t output,
                     const Difference& difference);  // "output 0, element 7: 0.1 instead of 0.3 (...)"

}  // namespace hone
