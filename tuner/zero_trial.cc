#include "tuner/zero_trial.h"

#include <cmath>

namespace hone {
namespace {

// What the prior may err by.
constexpr double kAlgorithmDoubt = 1.06;  // between algorithms
constexpr double kStrassenDoubt = 1.05;   // ... that share their leaf
constexpr double kSharingDoubt = 1.05;    // between ways of sharing one out among threads

}  // namespace

ZeroTrial PickZeroTrial(const Task& task, const TensorProgram& program, const Anchor& anchor,
                        const Roofline& roofline) {
  const auto seconds = [&](const Trace& trace) {
    const auto scheduled = Schedule(task, program, trace);
    const Scheduled* legal = std::get_if<Scheduled>(&scheduled);
    return legal == nullptr ? HUGE_VAL : ModelSeconds(legal->statistics, roofline, task.threads);
  };
  const Trace by_default = DefaultTrace(task, program);
  const auto shared_alike = [&](const Trace& trace) {
    const Primitive *own = trace.Find("parallel"), *other = by_default.Find("parallel");
    return task.threads == 1 || (own != nullptr && other != nullptr && *own == *other);
  };
  ZeroTrial best{.trace = by_default};
  const double direct = best.seconds = seconds(best.trace);
  double least = direct;
  const auto consider = [&](std::vector<Trace> traces, double doubt, double sharing_doubt = 1) {
    for (Trace& trace : traces) {
      const double predicted = seconds(trace);
      const double doubted = predicted * doubt * (shared_alike(trace) ? 1 : sharing_doubt);
      if (predicted >= least || doubted >= direct) continue;
      least = predicted;
      best = {std::move(trace), doubted};
    }
  };
  if (anchor.kind == AnchorKind::kContract) consider(StripTraces(task, anchor), 1);
  consider(DirectTraces(task, program), 1, kSharingDoubt);
  consider(BandTraces(task, program), 1, kSharingDoubt);
  consider(WinogradTraces(task, program), kAlgorithmDoubt);
  consider(StrassenTraces(task, program), kStrassenDoubt);
  return best;
}

}  // namespace hone
