#include "tests/performance/sweep.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <random>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/performance/task_bench.h"

namespace hone {
namespace {

constexpr uint32_t kWindows = 16, kFinalWindows = 40;
constexpr size_t kTogether = 9;            // in one rotation, the default schedule among them
// From one rotation to the next ratios to the default drift by 4 %, as neighbours take more or less of the caches, and the
// best of a thousand would be the luckiest. Among the finalists drift hits all alike.
constexpr size_t kFinalists = 192, kFinalTogether = 48;
constexpr size_t kParents = 24;            // that are mutated
constexpr const char* kFinished = "finished";

std::vector<std::string> FastestFirst(const Sweep& sweep) {
  std::vector<std::pair<double, std::string>> order;
  for (const auto& [trace, swept] : sweep) order.emplace_back(swept.seconds, trace);
  std::sort(order.begin(), order.end());
  std::vector<std::string> traces;
  for (auto& [seconds, trace] : order) traces.push_back(std::move(trace));
  return traces;
}

class Sweeper {
 public:
  Sweeper(const TaskSearch& start, const std::string& folder)
      : start_(start), path_(absl::StrCat(folder, "/", start.task().Id().substr(0, 16), ".tsv")),
        reference_(start.default_trace().ToString()) {
    Read();
    file_.open(path_, std::ios::app);
    file_.precision(9);
  }

  Sweep Run(size_t schedules) {
    if (!finished_ || !sweep_.contains(reference_)) {
      TaskBench bench(start_.task());
      MeasureMore(schedules, &bench);
      MeasureFinalists(&bench);
    }
    ShareTimes();
    return std::move(sweep_);
  }

 private:
  // A line each: seconds, "random" or "mutated", trace. The last word on a trace counts.
  void Read() {
    std::string line;
    for (std::ifstream file(path_); std::getline(file, line);) {
      const std::vector<std::string> fields = absl::StrSplit(line, '\t');
      if (fields.size() == 3) sweep_[fields[2]] = {std::atof(fields[0].c_str()), fields[1] == "mutated"};
      finished_ |= line == kFinished;
    }
  }

  void Keep(const std::string& trace, Swept swept) {
    sweep_[trace] = swept;
    file_ << swept.seconds << '\t' << (swept.mutated ? "mutated" : "random") << '\t' << trace << std::endl;
  }

  // Traces after the first, which is the default; times are relative to its own.
  void Measure(const std::vector<Trace>& traces, const std::vector<bool>& mutated, uint32_t windows, TaskBench* bench) {
    const std::vector<Measurement> measured = bench->Measure(traces, windows, /*race=*/windows == kWindows);
    if (!sweep_.contains(reference_)) Keep(reference_, {measured[0].p20_seconds, true});
    const double scale = sweep_.at(reference_).seconds / measured[0].p20_seconds;
    for (size_t i = 1; i < traces.size(); ++i) {
      if (measured[i].outcome == Outcome::kOk) Keep(traces[i].ToString(), {scale * measured[i].p20_seconds, mutated[i]});
    }
  }

  void MeasureMore(size_t schedules, TaskBench* bench) {
    const SearchSpace space(start_.task(), Must(FindAnchor(start_.program())));
    std::mt19937_64 random(1 + sweep_.size());
    while (TracesOf(sweep_, true).size() < schedules || !sweep_.contains(reference_)) {
      std::vector<Trace> traces = {start_.default_trace()};
      std::vector<bool> mutated = {true};
      const std::vector<std::string> order = FastestFirst(sweep_);
      for (int attempt = 0; traces.size() < kTogether && attempt < 10000; ++attempt) {
        SearchSpace::Point point = space.Random(random);
        mutated.resize(traces.size());
        mutated.push_back(traces.size() % 4 == 0 && !order.empty());
        if (mutated.back()) {
          const std::string& parent = order[random() % std::min(order.size(), kParents)];
          const SearchSpace::Point known = space.PointOf(*Trace::Parse(parent));
          if (!known.empty()) point = space.Mutated(known, random);
        }
        Trace trace = space.TraceOf(point);
        if (sweep_.contains(trace.ToString()) || std::find(traces.begin(), traces.end(), trace) != traces.end()) continue;
        if (std::holds_alternative<Scheduled>(Schedule(start_.task(), start_.program(), trace))) traces.push_back(trace);
      }
      if (traces.size() == 1) return;
      Measure(traces, mutated, kWindows, bench);
    }
  }

  void MeasureFinalists(TaskBench* bench) {
    std::set<std::string> codes = {CodeOf(reference_)};
    std::vector<Trace> traces = {start_.default_trace()};
    std::vector<bool> mutated = {true};
    const auto measure = [&] {
      Measure(traces, mutated, kFinalWindows, bench);
      traces.resize(1);
      mutated.resize(1);
    };
    for (const std::string& trace : FastestFirst(sweep_)) {
      if (codes.size() > kFinalists) break;
      if (!codes.insert(CodeOf(trace)).second) continue;
      traces.push_back(*Trace::Parse(trace));
      mutated.push_back(sweep_.at(trace).mutated);
      if (traces.size() == kFinalTogether) measure();
    }
    if (traces.size() > 1) measure();
    file_ << kFinished << std::endl;
  }

  std::string CodeOf(const std::string& trace) const {
    return std::get<Scheduled>(Schedule(start_.task(), start_.program(), *Trace::Parse(trace))).nest.ToString();
  }

  void ShareTimes() {
    std::map<std::string, std::vector<Swept*>> by_code;
    for (auto& [trace, swept] : sweep_) by_code[CodeOf(trace)].push_back(&swept);
    for (auto& [code, same] : by_code) {
      std::sort(same.begin(), same.end(), [](const Swept* a, const Swept* b) { return a->seconds < b->seconds; });
      const double median = same[same.size() / 2]->seconds;
      for (Swept* swept : same) swept->seconds = median;
    }
  }

  const TaskSearch& start_;
  const std::string path_, reference_;
  Sweep sweep_;
  bool finished_ = false;
  std::ofstream file_;
};

}  // namespace

std::set<std::string> TracesOf(const Sweep& sweep, bool random_only) {
  std::set<std::string> traces;
  for (const auto& [trace, swept] : sweep) {
    if (!random_only || !swept.mutated) traces.insert(trace);
  }
  return traces;
}

Sweep SweepOf(const TaskSearch& start, const std::string& folder, size_t schedules) {
  return Sweeper(start, folder).Run(schedules);
}

}  // namespace hone
