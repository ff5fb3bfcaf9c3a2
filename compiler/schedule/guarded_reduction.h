#pragma once

#include <optional>
#include <vector>

#include "compiler/schedule/loop_nest.h"

namespace hone {

// A reduction's body whose guards became ranges of the reduction axes.
struct GuardedReduction {
  ScalarRef body;
  std::vector<ReduceRange> ranges;   // by reduction axis
};

// Turns what a body selects by the position of its taps (x inside the image, else the padding) into the ranges of taps
// that lie inside. nullopt unless every guard bounds one reduction axis, and what it leaves out adds nothing to the
// result: a zero to a sum (times any finite factor), minus infinity to a maximum.
std::optional<GuardedReduction> RangesOfGuards(const ScalarRef& body, Combine combine, const std::vector<Axis>& reduce);

}  // namespace hone
