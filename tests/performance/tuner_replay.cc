// The tuner judged without the machine's noise: one sweep of many schedules per task is measured once and kept; searches of
// many seeds then look their measurements up.
//   tuner_replay FOLDER [schedules [seeds [target]]]      FOLDER keeps the sweeps: made where they are missing
// Prints per task: log regret after 16 trials of the tuner and of random search, trials until within 3 % of the best, and
// the zero-trial pick. Exits with 1 where a bar is missed (README, benchmarks).
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <set>

#include "absl/strings/str_cat.h"
#include "proto/values/host_lock.h"
#include "tests/performance/task_bench.h"
#include "tuner/cost_model/booster.h"
#include "tuner/tuning_session.h"
#include "worker/device_detection.h"

namespace hone {
namespace {

constexpr uint32_t kWindows = 8;
constexpr size_t kTogether = 9;            // in one rotation, the default schedule among them
constexpr uint32_t kTrials = 256, kRegretAfter = 16;
constexpr double kNear = 1.03;             // of the best
constexpr double kFewTrials = 12;          // random search that needs fewer leaves nothing to gain
constexpr double kShareOfRandom = 1.0 / 3, kZeroTrials = 1.15;

// Seconds by trace.
using Sweep = std::map<std::string, double>;

// Schedules of all kinds: random ones, and mutations of the best known, round by round.
std::vector<Trace> NextTraces(const Task& task, const TensorProgram& program, const SearchSpace& space, const Sweep& sweep,
                              std::mt19937_64& random) {
  std::vector<std::pair<double, std::string>> order;
  for (const auto& [trace, seconds] : sweep) order.emplace_back(seconds, trace);
  std::sort(order.begin(), order.end());
  std::vector<Trace> traces;
  std::set<std::string> seen;
  for (int attempt = 0; traces.size() + 1 < kTogether && attempt < 10000; ++attempt) {
    SearchSpace::Point point = space.Random(random);
    if (attempt % 2 == 1 && !order.empty()) {
      const size_t parent = random() % std::min<size_t>(order.size(), 24);
      const SearchSpace::Point known = space.PointOf(*Trace::Parse(order[parent].second));
      if (!known.empty()) point = space.Mutated(known, random);
    }
    Trace trace = space.TraceOf(point);
    const std::string text = trace.ToString();
    if (sweep.contains(text) || !seen.insert(text).second) continue;
    if (std::holds_alternative<Scheduled>(Schedule(task, program, trace))) traces.push_back(std::move(trace));
  }
  return traces;
}

Sweep Measured(const Task& task, const TaskSearch& start, size_t schedules) {
  TaskBench bench(task);
  const SearchSpace space(task, Must(FindAnchor(start.program())));
  std::mt19937_64 random(1);
  Sweep sweep;
  double base = 0;   // of the default schedule: each rotation's times are relative to its own
  while (sweep.size() < schedules) {
    std::vector<Trace> traces = NextTraces(task, start.program(), space, sweep, random);
    if (traces.empty()) break;
    traces.insert(traces.begin(), start.default_trace());
    const std::vector<Measurement> measured = bench.Measure(traces, kWindows, /*race=*/true);
    if (base == 0) base = measured[0].p20_seconds;
    for (size_t i = 0; i < traces.size(); ++i) {
      if (measured[i].outcome != Outcome::kOk) continue;
      sweep.emplace(traces[i].ToString(), base * measured[i].p20_seconds / measured[0].p20_seconds);
    }
  }
  return sweep;
}

Sweep SweepOf(const Task& task, const TaskSearch& start, const std::string& folder, size_t schedules) {
  const std::string path = absl::StrCat(folder, "/", task.Id().substr(0, 16), ".tsv");
  Sweep sweep;
  std::string line;
  for (std::ifstream file(path); std::getline(file, line);) {
    const size_t tab = line.find('\t');
    if (tab != std::string::npos) sweep[line.substr(tab + 1)] = std::atof(line.c_str());
  }
  if (sweep.size() >= schedules) return sweep;
  sweep = Measured(task, start, schedules);
  std::ofstream file(path);
  file.precision(9);
  for (const auto& [trace, seconds] : sweep) file << seconds << '\t' << trace << '\n';
  return sweep;
}

struct Score {
  double regret = 0;    // log(best after kRegretAfter trials / best of the sweep)
  double trials = 0;    // until within kNear of it
};

Score Replay(const TaskSearch& start, const Sweep& sweep, double best, SearchStrategy strategy, uint64_t seed) {
  TuningSession session({start}, {.seed = seed, .strategy = strategy, .budget = {.trials = kTrials}});
  Booster model(seed);
  // Random search knows no default: it starts from nothing.
  double found = strategy == SearchStrategy::kRandom ? HUGE_VAL : sweep.at(start.default_trace().ToString());
  Score score{.regret = std::log(found / best), .trials = found <= kNear * best ? 0.0 : kTrials};
  uint32_t trials = 0;
  while (const std::optional<Batch> batch = Must(session.Next(0, &model))) {
    const double base = sweep.at(batch->incumbent.ToString());
    for (size_t i = 0; i <= batch->drafts.size(); ++i) {
      const bool incumbent = i == batch->drafts.size();
      const double seconds = incumbent ? base : sweep.at(batch->drafts[i].trace.ToString());
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
  TaskSearch start = Must(TaskSearch::Make(task, Must(LowerTask(task)), 1, roofline));
  const Sweep sweep = SweepOf(task, start, folder, schedules);
  std::set<std::string> traces;
  double best = HUGE_VAL;
  for (const auto& [trace, seconds] : sweep) {
    traces.insert(trace);
    best = std::min(best, seconds);
  }
  start.RestrictTo(traces);
  double regret[2] = {};
  std::vector<double> trials[2];
  for (int seed = 1; seed <= seeds; ++seed) {
    for (const SearchStrategy strategy : {SearchStrategy::kEvolutionary, SearchStrategy::kRandom}) {
      const int s = strategy == SearchStrategy::kRandom ? 1 : 0;
      const Score score = Replay(start, sweep, best, strategy, static_cast<uint64_t>(seed));
      regret[s] += score.regret / seeds;
      trials[s].push_back(score.trials);
    }
  }
  const double zero = sweep.at(start.default_trace().ToString()) / best, few = Median(trials[0]), many = Median(trials[1]);
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
