#pragma once

#include <cstdint>
#include <set>
#include <vector>

#include "compiler/schedule/fused_stages.h"

namespace hone {

// Where conditions on an axis change their value: cuts into pieces in which each is constant (padding's inside and
// outside, for example).
class Breakpoints {
 public:
  explicit Breakpoints(const Axis& axis) : axis_(axis), points_{0, Extent(axis)} {}

  void Collect(const StageLoops& stage);
  void Collect(const ScalarRef& scalar);
  std::vector<int64_t> points() const { return {points_.begin(), points_.end()}; }

 private:
  void Compare(const Scalar& scalar);

  const Axis& axis_;
  std::set<int64_t> points_;
};

}  // namespace hone
