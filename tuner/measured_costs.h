#pragma once

#include <map>
#include <string>
#include <vector>

#include "compiler/task/task_costs.h"
#include "tuner/task_search.h"

namespace hone {

// What tasks cost by what a search has measured of them: its best schedule's time. Of others, the prior's
// price, times what measured ones of their kind took of theirs (geometric mean; of any kind, where none was
// measured).
class MeasuredCosts : public TaskCosts {
 public:
  // `prior` outlives this.
  MeasuredCosts(const std::vector<TaskSearch>& searches, const TaskCosts& prior);
  double SecondsFor(const Task& task) const override;

 private:
  // The mean of log(measured / prior).
  struct Scale {
    double sum = 0;
    int count = 0;
  };
  double ScaledPrice(const Task& task) const;

  const TaskCosts& prior_;
  mutable std::map<std::string, double> seconds_;  // by key
  std::map<AnchorKind, Scale> scales_;
  Scale all_;
};

}  // namespace hone
