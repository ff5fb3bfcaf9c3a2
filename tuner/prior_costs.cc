#include "tuner/prior_costs.h"

#include <cmath>

#include "tuner/zero_trial.h"

namespace hone {

namespace {

double PickedSeconds(const Task& task, const Roofline& roofline) {
  const absl::StatusOr<TensorProgram> program = LowerTask(task);
  if (!program.ok()) return HUGE_VAL;
  const absl::StatusOr<Anchor> anchor = FindAnchor(*program);
  return anchor.ok() ? PickZeroTrial(task, *program, *anchor, roofline).seconds : HUGE_VAL;
}

}  // namespace

double PriorCosts::SecondsFor(const Task& task) const {
  const auto [known, added] = seconds_.try_emplace(task.Key(), 0);
  if (added) known->second = PickedSeconds(task, roofline_);
  return known->second;
}

}  // namespace hone
