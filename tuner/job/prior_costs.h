#pragma once

#include "compiler/compile.h"
#include "tuner/prior.h"

namespace hone {

// What tasks cost where nothing was measured; layouts are decided by a simple rule today and do not ask.
class PriorCosts : public TaskCosts {
 public:
  explicit PriorCosts(const Device& device) : device_(device) {}
  double SecondsFor(const Task& task) const override {
    const absl::StatusOr<TensorProgram> program = LowerTask(task);
    if (!program.ok()) return 0;
    const auto scheduled = Schedule(task, *program, DefaultTrace(task, *program));
    const Scheduled* legal = std::get_if<Scheduled>(&scheduled);
    return legal == nullptr ? 0 : PriorSeconds(legal->statistics, Roofline::Of(device_, task.target), task.threads);
  }

 private:
  const Device& device_;
};

}  // namespace hone
