#pragma once

#include <map>
#include <string>

#include "compiler/task/task_costs.h"
#include "tuner/prior.h"

namespace hone {

// What tasks cost under the schedules that they would have without trials, by the prior; remembered. For one
// thread.
class PriorCosts : public TaskCosts {
 public:
  explicit PriorCosts(const Roofline& roofline) : roofline_(roofline) {}
  double SecondsFor(const Task& task) const override;

 private:
  const Roofline roofline_;
  mutable std::map<std::string, double> seconds_;  // by key
};

}  // namespace hone
