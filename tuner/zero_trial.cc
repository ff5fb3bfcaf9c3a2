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
  ZeroTrial best{.trace = DefaultTrace(task, program)};
  const double direct = best.seconds = seconds(best.trace);
  double least = direct;
  const Primitive* shared = best.trace.Find("parallel");
  const std::vector<std::string> sharing = shared == nullptr ? std::vector<std::string>() : shared->operands;
  const auto consider = [&](std::vector<Trace> traces, double doubt, double sharing_doubt = 1) {
    for (Trace& trace : traces) {
      const Primitive* parallel = trace.Find("parallel");
      const bool alike = task.threads == 1 || (parallel != nullptr && parallel->operands == sharing);
      const double predicted = seconds(trace), doubted = predicted * doubt * (alike ? 1 : sharing_doubt);
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
