#pragma once

#include <variant>
#include <vector>

#include "compiler/schedule/contract_schedule.h"

namespace hone {

// out = a * b, b constant, as seven products of quarters (Strassen's algorithm in Winograd's form): the sums
// of a's quarters by one stage, those of b's when it is packed, sums of products where each product is
// stored. Threads share out the rows or the columns first, as `choice` says; each does all of this with its
// part, in scratch of its own.
struct StrassenPlan {
  StripKernel kernel;
  Layout packed;                          // of the constant after
  AxisTransforms transforms;
  double saved_flops = 0;                 // of the direct product's
  double partial_bytes = 0;               // of temporaries that products write and read
};

// Halves that do not divide an extent overlap: rows and columns in both are computed twice, reduction steps
// count once. Adds the temporaries to `tensors`, and as the last one the packed constant. `levels`: 2 does
// the same with each of the seven. Threads need an axis that they, or a few more, divide.
std::variant<StrassenPlan, Rejection> ScheduleStrassen(const StageLoops& stage, int levels, const ContractChoice& choice,
                                                       const Target& target, int threads,
                                                       std::vector<NestTensor>* tensors);

}  // namespace hone
