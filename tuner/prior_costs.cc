#include "tuner/prior_costs.h"

#include <cmath>

#include "tuner/zero_trial.h"

namespace hone {

double PriorCosts::SecondsFor(const Task& task) const {
  const absl::StatusOr<TensorProgram> program = LowerTask(task);
  if (!program.ok()) return HUGE_VAL;
  const absl::StatusOr<Anchor> anchor = FindAnchor(*program);
  return anchor.ok() ? PickZeroTrial(task, *program, *anchor, roofline_).seconds : HUGE_VAL;
}

}  // namespace hone
