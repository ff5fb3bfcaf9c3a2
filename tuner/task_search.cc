#include "tuner/task_search.h"

#include <algorithm>
#include <cmath>

#include "tuner/features.h"

namespace hone {
namespace {

constexpr int kDrafts = 256;             // scored by the model for each batch
constexpr int kParents = 6;              // measured schedules that are mutated
constexpr double kRandomShare = 0.15;    // of a batch: exploration
constexpr double kOptimism = 0.5;        // deviations by which uncertain schedules are favoured
constexpr double kGain = 0.98;           // a ratio below is progress

}  // namespace

absl::StatusOr<TaskSearch> TaskSearch::Make(Task task, TensorProgram program, int weight, const Roofline& roofline) {
  absl::StatusOr<Anchor> anchor = FindAnchor(program);
  if (!anchor.ok()) return anchor.status();
  return TaskSearch(std::move(task), std::move(program), weight, roofline, *anchor);
}

TaskSearch::TaskSearch(Task task, TensorProgram program, int weight, const Roofline& roofline, Anchor anchor)
    : task_(std::move(task)), program_(std::move(program)), weight_(weight), roofline_(roofline), anchor_(anchor),
      space_(task_, anchor_), default_trace_(DefaultTrace(task_, program_)), best_trace_(default_trace_) {
  proposed_.insert(default_trace_.ToString());
  const auto scheduled = Schedule(task_, program_, default_trace_);
  if (const Scheduled* legal = std::get_if<Scheduled>(&scheduled)) {
    prior_seconds_ = PriorSeconds(legal->statistics, roofline_, task_.threads);
    floor_seconds_ = FloorSeconds(legal->statistics, roofline_, task_.threads);
  }
}

CostSample TaskSearch::SampleOf(const Trace& trace, const NestStatistics& statistics) const {
  CostSample sample;
  sample.features = FeaturesOf({anchor_, statistics, trace, roofline_, task_.threads});
  sample.log_prior = std::log(PriorSeconds(statistics, roofline_, task_.threads));
  return sample;
}

void TaskSearch::ObserveIncumbent(const Trace& trace, const Measurement& measurement) {
  if (measurement.outcome != Outcome::kOk || measurement.p20_seconds <= 0) return;
  if (trace == default_trace_ && !default_seconds_) {
    default_seconds_ = measurement.p20_seconds;
    seconds_[trace.ToString()] = measurement.p20_seconds;
    if (!best_seconds_ || measurement.p20_seconds < *best_seconds_) {
      best_seconds_ = measurement.p20_seconds;
      best_trace_ = trace;
    }
    const auto scheduled = Schedule(task_, program_, trace);
    if (const Scheduled* legal = std::get_if<Scheduled>(&scheduled)) {
      samples_.push_back(SampleOf(trace, legal->statistics));
      samples_.back().log_seconds = std::log(measurement.p20_seconds);
    }
  }
}

// Times chain back to the default's: ratio to the batch's incumbent times the incumbent's own.
void TaskSearch::Observe(const Trace& trace, const Trace& incumbent, const Measurement& measurement) {
  proposed_.insert(trace.ToString());
  ++trials_;
  ++trials_without_gain_;
  if (measurement.outcome != Outcome::kOk) return;
  double seconds = measurement.p20_seconds;
  const auto base = seconds_.find(incumbent.ToString());
  if (base != seconds_.end() && measurement.ratio_to_incumbent > 0) {
    seconds = measurement.ratio_to_incumbent * base->second;
  }
  if (seconds <= 0) return;
  seconds_[trace.ToString()] = seconds;
  const auto scheduled = Schedule(task_, program_, trace);
  if (const Scheduled* legal = std::get_if<Scheduled>(&scheduled)) {
    samples_.push_back(SampleOf(trace, legal->statistics));
    samples_.back().log_seconds = std::log(seconds);
  }
  if (!best_seconds_ || seconds < *best_seconds_) {
    if (!best_seconds_ || seconds < kGain * *best_seconds_) trials_without_gain_ = 0;
    best_seconds_ = seconds;
    best_trace_ = trace;
  }
}

std::optional<Draft> TaskSearch::DraftOf(const SearchSpace::Point& point) {
  Trace trace = space_.TraceOf(point);
  if (proposed_.contains(trace.ToString())) return std::nullopt;
  const auto scheduled = Schedule(task_, program_, trace);
  const Scheduled* legal = std::get_if<Scheduled>(&scheduled);
  if (legal == nullptr) return std::nullopt;
  Draft draft{.trace = std::move(trace)};
  draft.sample = SampleOf(draft.trace, legal->statistics);
  return draft;
}

std::vector<Draft> TaskSearch::Candidates(SearchStrategy strategy, std::mt19937_64& random, int count) {
  std::vector<Draft> drafts;
  std::set<std::string> seen;
  const int wanted = strategy == SearchStrategy::kRandom ? count : kDrafts;
  const auto add = [&](const SearchSpace::Point& point) {
    std::optional<Draft> draft = DraftOf(point);
    if (draft && seen.insert(draft->trace.ToString()).second) drafts.push_back(*std::move(draft));
  };
  if (strategy == SearchStrategy::kEvolutionary) {
    // Around the best measured ones: all single steps from the very best, mutations of the others.
    std::vector<std::pair<double, std::string>> measured;
    for (const auto& [text, seconds] : seconds_) measured.emplace_back(seconds, text);
    std::sort(measured.begin(), measured.end());
    for (size_t i = 0; i < measured.size() && i < kParents; ++i) {
      const SearchSpace::Point parent = space_.PointOf(*Trace::Parse(measured[i].second));
      if (parent.empty()) continue;
      if (i == 0) {
        for (const SearchSpace::Point& neighbour : space_.Neighbours(parent)) add(neighbour);
      }
      for (int m = 0; m < kDrafts / (2 * kParents); ++m) add(space_.Mutated(parent, random));
    }
  }
  for (int attempt = 0; attempt < 20 * wanted && static_cast<int>(drafts.size()) < wanted; ++attempt) {
    add(space_.Random(random));
  }
  return drafts;
}

absl::StatusOr<std::vector<Draft>> TaskSearch::Propose(int count, SearchStrategy strategy, const CostModel& model,
                                                       std::mt19937_64& random) {
  std::vector<Draft> drafts = Candidates(strategy, random, count);
  if (drafts.empty()) exhausted_ = true;
  std::vector<CostSample> samples;
  for (const Draft& draft : drafts) samples.push_back(draft.sample);
  const absl::StatusOr<std::vector<CostEstimate>> estimates = model.Estimate(samples);
  if (!estimates.ok()) return estimates.status();
  std::vector<std::pair<double, size_t>> order;
  for (size_t i = 0; i < drafts.size(); ++i) {
    drafts[i].predicted_seconds = std::exp((*estimates)[i].log_seconds);
    order.emplace_back((*estimates)[i].log_seconds - kOptimism * (*estimates)[i].deviation, i);
  }
  if (strategy == SearchStrategy::kEvolutionary) std::stable_sort(order.begin(), order.end());
  std::vector<Draft> chosen;
  const auto exploring = [&] { return static_cast<double>(random() % 1000) < 1000 * kRandomShare; };
  size_t front = 0;
  while (static_cast<int>(chosen.size()) < count && !order.empty()) {
    const bool explore = strategy == SearchStrategy::kEvolutionary && model.trained() && exploring();
    front = explore ? static_cast<size_t>(random() % order.size()) : 0;
    chosen.push_back(std::move(drafts[order[front].second]));
    order.erase(order.begin() + static_cast<ptrdiff_t>(front));
  }
  return chosen;
}

}  // namespace hone
