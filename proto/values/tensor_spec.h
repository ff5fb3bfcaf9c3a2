#pragma once

#include <cstdint>
#include <vector>

#include "proto/values/dtype.h"

namespace hone {

// A dense row-major tensor whose values compiler/runtime/input_generator.h makes: uniform in [low, high)
// (integers: [low, high)).
struct TensorSpec {
  DType dtype = DType::kF32;
  std::vector<int64_t> dims;
  double low = -1;
  double high = 1;

  int64_t Elements() const {
    int64_t n = 1;
    for (int64_t d : dims) n *= d;
    return n;
  }
  int64_t Bytes() const { return Elements() * DTypeBytes(dtype); }
  bool operator==(const TensorSpec&) const = default;
};

}  // namespace hone
