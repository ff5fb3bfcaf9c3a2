#include "tuner/job/module_reference.h"

namespace hone {
namespace {

constexpr double kMostFlops = 1.2e10;   // above, reference schedules would run for tens of seconds

}  // namespace

ModuleReference ReferenceOf(const TuningSession& session) {
  double flops = 0;
  for (const TaskSearch& task : session.tasks()) {
    flops += task.weight() * static_cast<double>(task.task().Flops().AsConstant().value_or(0));
  }
  if (flops <= kMostFlops) return {"reference", std::vector<Trace>(session.tasks().size(), ReferenceTrace())};
  ModuleReference direct{.name = "default"};
  for (const TaskSearch& task : session.tasks()) {
    direct.traces.push_back(DefaultTrace(task.task(), task.program()));
    if (direct.traces.back() != task.default_trace()) direct.name = "direct";
  }
  return direct;
}

}  // namespace hone
