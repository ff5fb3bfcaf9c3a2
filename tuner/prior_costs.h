#pragma once

#include "compiler/task/task_costs.h"
#include "tuner/prior.h"

namespace hone {

// What tasks cost under the schedules that they would have without trials, by the prior.
class PriorCosts : public TaskCosts {
 public:
  explicit PriorCosts(const Roofline& roofline) : roofline_(roofline) {}
  double SecondsFor(const Task& task) const override;

 private:
  const Roofline roofline_;
};

}  // namespace hone
