#pragma once

#include "compiler/schedule/schedule.h"
#include "tuner/prior.h"

namespace hone {

struct ZeroTrial {
  Trace trace;
  // By the prior and what it may err by; infinity: not even the default schedule is legal.
  double seconds = 0;
};

// What is built where nothing is measured: the default schedule, or another algorithm where the prior sees a
// clear gain. `anchor` is FindAnchor(program).
ZeroTrial PickZeroTrial(const Task& task, const TensorProgram& program, const Anchor& anchor,
                        const Roofline& roofline);

}  // namespace hone
