// The tuner judged without the machine's noise: one sweep of many schedules per task is measured once and kept; searches of
// many seeds then look their measurements up.
//   tuner_replay FOLDER [schedules [seeds [target]]]      FOLDER keeps the sweeps: made where they are missing or unfinished
// `schedules` are drawn at random; a third as many more are mutations of the best, for the tuner alone.
// Prints per task: log regret after 16 trials of the tuner and of random search, trials until within 3 % of the best, and
// the zero-trial pick. Exits with 1 where a bar is missed (README, benchmarks).
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "proto/values/host_lock.h"
#include "tests/performance/sweep.h"
#include "tests/performance/task_bench.h"
#include "tuner/cost_model/booster.h"
#include "tuner/tuning_session.h"
#include "worker/device_detection.h"

namespace hone {
namespace {

constexpr uint32_t kTrials = 256, kRegretAfter = 16;
constexpr double kNear = 1.03;             // of the best
constexpr double kFewTrials = 12;          // random search that needs fewer leaves nothing to gain
constexpr double kShareOfRandom = 1.0 / 3, kZeroTrials = 1.15;

struct Score {
  double regret = 0;    // log(best after kRegretAfter trials / best of the sweep)
  double trials = 0;    // until within kNear of it
};

Score Replay(const TaskSearch& start, const Sweep& sweep, double best, SearchStrategy strategy, uint64_t seed) {
  TuningSession session({start}, {.seed = seed, .strategy = strategy, .budget = {.trials = kTrials}});
  Booster model(seed);
  // Random search knows no default: it starts from nothing.
  double found = strategy == SearchStrategy::kRandom ? HUGE_VAL : sweep.at(start.default_trace().ToString()).seconds;
  Score score{.regret = std::log(found / best), .trials = found <= kNear * best ? 0.0 : kTrials};
  uint32_t trials = 0;
  while (const std::optional<Batch> batch = Must(session.Next(0, &model))) {
    const double base = sweep.at(batch->incumbent.ToString()).seconds;
    for (size_t i = 0; i <= batch->drafts.size(); ++i) {
      const bool incumbent = i == batch->drafts.size();
      const double seconds = incumbent ? base : sweep.at(batch->drafts[i].trace.ToString()).seconds;
      TuningRecord record{.batch = batch->number};
      record.measurement = {.outcome = Outcome::kOk, .p20_seconds = seconds};
      record.measurement.ratio_to_incumbent = record.measurement.ratio_low = record.measurement.ratio_high = seconds / base;
      record.trial_id = absl::StrCat("b", batch->number, ".", incumbent ? "incumbent" : absl::StrCat(i));
      session.Observe(record);
      if (incumbent) continue;
      ++trials;
      found = std::min(found, seconds);
      if (trials <= kRegretAfter) score.regret = std::log(found / best);
      if (found <= kNear * best) score.trials = std::min<double>(score.trials, trials);
    }
  }
  return score;
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Whether the task meets the bars.
bool Judge(const Task& task, const Roofline& roofline, const std::string& folder, size_t schedules, int seeds) {
  const TaskSearch start = Must(TaskSearch::Make(task, Must(LowerTask(task)), 1, roofline));
  const Sweep sweep = SweepOf(start, folder, schedules);
  double best = HUGE_VAL;
  for (const auto& [trace, swept] : sweep) best = std::min(best, swept.seconds);
  TaskSearch searches[2] = {start, start};
  for (int s = 0; s < 2; ++s) searches[s].RestrictTo(TracesOf(sweep, s == 1));
  double regret[2] = {};
  std::vector<double> trials[2];
  for (int seed = 1; seed <= seeds; ++seed) {
    for (const SearchStrategy strategy : {SearchStrategy::kEvolutionary, SearchStrategy::kRandom}) {
      const int s = strategy == SearchStrategy::kRandom ? 1 : 0;
      const Score score = Replay(searches[s], sweep, best, strategy, static_cast<uint64_t>(seed));
      regret[s] += score.regret / seeds;
      trials[s].push_back(score.trials);
    }
  }
  const double zero = sweep.at(start.default_trace().ToString()).seconds / best, few = Median(trials[0]), many = Median(trials[1]);
  const bool reached = regret[0] <= kShareOfRandom * regret[1] && (many < kFewTrials || few <= kShareOfRandom * many) &&
                       zero <= kZeroTrials;
  std::printf("%-34s %4zu schedules; log regret after %u: tuner %.3f random %.3f; trials to 3 %%: %.0f and %.0f; zero-trial "
              "pick %.3f%s\n", task.Label().c_str(), sweep.size(), kRegretAfter, regret[0], regret[1], few, many, zero,
              reached ? "" : "  MISSED");
  std::fflush(stdout);
  return reached;
}

int Main(int argc, char** argv) {
  const std::string folder = argc > 1 ? argv[1] : (std::filesystem::temp_directory_path() / "hone-sweeps").string();
  const size_t schedules = argc > 2 ? static_cast<size_t>(std::atoi(argv[2])) : 1000;
  const int seeds = argc > 3 ? std::atoi(argv[3]) : 5;
  const Target target = Must(FindTarget(argc > 4 ? argv[4] : "host"));
  std::filesystem::create_directories(folder);
  Device device = DetectDevice();
  device.calibration = Must(CalibrateAlone(device, HostLock::kDefaultPath));
  std::printf("%s, %s, %zu schedules a task, %d seeds\n", device.cpu_name.c_str(), target.ToString().c_str(), schedules, seeds);
  bool reached = true;
  for (const Task& task : JudgedTasks(target)) {
    reached = Judge(task, Roofline::Of(device, target), folder, schedules, seeds) && reached;
  }
  return reached ? 0 : 1;
}

}  // namespace
}  // namespace hone

int main(int argc, char** argv) { return hone::Main(argc, argv); }
