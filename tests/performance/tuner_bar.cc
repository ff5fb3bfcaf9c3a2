// The tuner against random search in the same space with the same measuring, on this machine: five tasks of ResNet-50,
// several seeds, 32 trials each; then all finalists of a task measured once more, in rotation.
//   tuner_bar [seeds [trials [tasks [target]]]]
// Exits with 1 where a bar is missed: geometric mean below 1, no task worse than 3 %, zero-trial pick within 25 % of the
// best known.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>

#include "absl/strings/str_cat.h"
#include "proto/values/host_lock.h"
#include "tests/performance/task_bench.h"
#include "tuner/cost_model/booster.h"
#include "tuner/tuning_session.h"
#include "worker/device_detection.h"

namespace hone {
namespace {

constexpr uint32_t kSearchWindows = 8, kFinalWindows = 25;
constexpr double kWorstTask = 1.03, kZeroTrials = 1.25;

// Best trace after `trials`.
Trace Tune(const TaskSearch& start, TaskBench* bench, SearchStrategy strategy, uint64_t seed, uint32_t trials) {
  TuningSession session({start}, {.seed = seed, .strategy = strategy, .budget = {.trials = trials}});
  Booster model(seed);
  while (const std::optional<Batch> batch = Must(session.Next(0, &model))) {
    std::vector<Trace> traces = {batch->incumbent};
    for (const Draft& draft : batch->drafts) traces.push_back(draft.trace);
    const std::vector<Measurement> measured = bench->Measure(traces, kSearchWindows, /*race=*/true);
    for (size_t i = measured.size(); i-- > 0;) {
      TuningRecord record{.batch = batch->number, .measurement = measured[i]};
      record.trial_id = absl::StrCat("b", batch->number, ".", i == 0 ? "incumbent" : absl::StrCat(i - 1));
      session.Observe(record);
    }
  }
  return session.tasks()[0].best_trace();
}

struct Finals {
  double log_ratio = 0;    // tuner / random, mean over seeds
  double zero_trials = 0;  // zero-trial pick / best known
};

Finals RunTask(const Task& task, const Roofline& roofline, int seeds, uint32_t trials) {
  const TaskSearch start = Must(TaskSearch::Make(task, Must(LowerTask(task)), 1, roofline));
  TaskBench bench(task);
  std::vector<Trace> finalists = {start.default_trace()};
  for (int seed = 1; seed <= seeds; ++seed) {
    for (const SearchStrategy strategy : {SearchStrategy::kEvolutionary, SearchStrategy::kRandom}) {
      finalists.push_back(Tune(start, &bench, strategy, static_cast<uint64_t>(seed), trials));
    }
  }
  std::map<std::string, double> seconds;
  std::vector<Trace> distinct;
  for (const Trace& trace : finalists) {
    if (seconds.emplace(trace.ToString(), 0).second) distinct.push_back(trace);
  }
  const std::vector<Measurement> measured = bench.Measure(distinct, kFinalWindows, /*race=*/false);
  double best = HUGE_VAL;
  std::string best_text;
  for (size_t i = 0; i < distinct.size(); ++i) {
    seconds[distinct[i].ToString()] = measured[i].p20_seconds;
    if (measured[i].p20_seconds < best) best_text = distinct[i].ToString();
    best = std::min(best, measured[i].p20_seconds);
  }
  const auto of = [&](const Trace& trace) { return seconds.at(trace.ToString()); };
  Finals finals;
  std::string ratios;
  for (size_t i = 1; i + 1 < finalists.size(); i += 2) {
    const double ratio = of(finalists[i]) / of(finalists[i + 1]);
    finals.log_ratio += std::log(ratio) / seeds;
    absl::StrAppend(&ratios, " ", std::round(1000 * ratio) / 1000);
  }
  finals.zero_trials = of(finalists[0]) / best;
  std::printf("%-34s tuner/random %.3f (%s ) zero-trial/best %.3f roofline %.2f\n  zero %s\n  best %s\n", task.Label().c_str(),
              std::exp(finals.log_ratio), ratios.c_str(), finals.zero_trials, start.floor_seconds() / best,
              finalists[0].ToString().c_str(), best_text.c_str());
  std::fflush(stdout);
  return finals;
}

int Main(int argc, char** argv) {
  const int seeds = argc > 1 ? std::atoi(argv[1]) : 5;
  const uint32_t trials = argc > 2 ? static_cast<uint32_t>(std::atoi(argv[2])) : 32;
  const size_t most_tasks = argc > 3 ? static_cast<size_t>(std::atoi(argv[3])) : 5;
  const Target target = Must(FindTarget(argc > 4 ? argv[4] : "host"));
  Device device = DetectDevice();
  device.calibration = Must(CalibrateAlone(device, HostLock::kDefaultPath));
  const Roofline roofline = Roofline::Of(device, target);
  std::printf("%s, %s, %.1f GFLOP/s, %d seeds, %u trials\n", device.cpu_name.c_str(), target.ToString().c_str(),
              roofline.gflops, seeds, trials);
  double log_ratio = 0, worst = 0, worst_zero = 0;
  size_t count = 0;
  for (const Task& task : JudgedTasks(target)) {
    if (count == most_tasks) break;
    const Finals finals = RunTask(task, roofline, seeds, trials);
    log_ratio += finals.log_ratio;
    worst = std::max(worst, std::exp(finals.log_ratio));
    worst_zero = std::max(worst_zero, finals.zero_trials);
    ++count;
  }
  const double mean = std::exp(log_ratio / static_cast<double>(count));
  std::printf("tuner/random: geomean %.3f (bar < 1), worst task %.3f (bar <= %.2f); zero trials/best %.3f (bar <= %.2f)\n", mean,
              worst, kWorstTask, worst_zero, kZeroTrials);
  return mean < 1 && worst <= kWorstTask && worst_zero <= kZeroTrials ? 0 : 1;
}

}  // namespace
}  // namespace hone

int main(int argc, char** argv) { return hone::Main(argc, argv); }
