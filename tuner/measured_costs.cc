#include "tuner/measured_costs.h"

#include <cmath>

namespace hone {

MeasuredCosts::MeasuredCosts(const std::vector<TaskSearch>& searches, const TaskCosts& prior)
    : prior_(prior) {
  for (const TaskSearch& search : searches) {
    if (!search.measured()) continue;
    seconds_[search.task().Key()] = search.best_seconds();
    const double price = prior.SecondsFor(search.task());
    if (!std::isfinite(price) || price <= 0) continue;
    for (Scale* scale : {&all_, &scales_[search.anchor().kind]}) {
      scale->sum += std::log(search.best_seconds() / price);
      ++scale->count;
    }
  }
}

double MeasuredCosts::SecondsFor(const Task& task) const {
  const auto [known, added] = seconds_.try_emplace(task.Key(), 0);
  if (added) known->second = ScaledPrice(task);
  return known->second;
}

double MeasuredCosts::ScaledPrice(const Task& task) const {
  const double price = prior_.SecondsFor(task);
  if (!std::isfinite(price) || all_.count == 0) return price;
  const absl::StatusOr<TensorProgram> program = LowerTask(task);
  const absl::StatusOr<Anchor> anchor = program.ok() ? FindAnchor(*program) : program.status();
  const auto kind = anchor.ok() ? scales_.find(anchor->kind) : scales_.end();
  const Scale& scale = kind == scales_.end() ? all_ : kind->second;
  return price * std::exp(scale.sum / scale.count);
}

}  // namespace hone
