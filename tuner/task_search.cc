#include "tuner/task_search.h"

#include <algorithm>
#include <cmath>

#include "tuner/features.h"
#include "tuner/zero_trial.h"

namespace hone {
namespace {

constexpr int kDrawn = 512;              // random schedules scored by the prior, once per task
constexpr int kGenerations = 3;          // ... of mutations of the best of them
constexpr size_t kPoolParents = 24;      // that are mutated in each
constexpr int kPoolMutations = 4;        // of each parent
constexpr int kParents = 6;              // measured schedules that are mutated
constexpr int kMutations = 32;           // of each of them, for each batch
constexpr double kRandomShare = 0.2;     // of a batch: exploration
constexpr double kPriorError = 0.15;     // priors (log seconds) that differ by less say nothing
constexpr size_t kExploredPart = 4;      // ... among the better one in so many candidates
constexpr int kApart = 2;                // decisions in which the members of a batch differ, where there is a choice
constexpr double kOptimism = 0.5;        // deviations by which uncertain schedules are favoured
constexpr double kGain = 0.98;           // a ratio below is progress

size_t CodeOf(const LoopNest& nest) { return std::hash<std::string>()(nest.ToString()); }

}  // namespace

absl::StatusOr<TaskSearch> TaskSearch::Make(Task task, TensorProgram program, int weight, const Roofline& roofline) {
  absl::StatusOr<Anchor> anchor = FindAnchor(program);
  if (!anchor.ok()) return anchor.status();
  return TaskSearch(std::move(task), std::move(program), weight, roofline, *anchor);
}

TaskSearch::TaskSearch(Task task, TensorProgram program, int weight, const Roofline& roofline, Anchor anchor)
    : task_(std::move(task)),
      program_(std::move(program)),
      weight_(weight),
      roofline_(roofline),
      anchor_(anchor),
      space_(task_, anchor_),
      default_trace_(PickZeroTrial(task_, program_, anchor_, roofline_).trace),
      best_trace_(default_trace_) {
  MarkProposed(default_trace_);
  const auto scheduled = Schedule(task_, program_, default_trace_);
  if (const Scheduled* legal = std::get_if<Scheduled>(&scheduled)) {
    prior_seconds_ = PriorSeconds(legal->statistics, roofline_, task_.threads);
    floor_seconds_ = FloorSeconds(legal->statistics, roofline_, task_.threads, space_.Saving());
    best_added_ = AddedByModel(legal->statistics);
  }
}

void TaskSearch::MarkProposed(const Trace& trace) {
  const auto scheduled = Schedule(task_, program_, trace);
  if (const Scheduled* legal = std::get_if<Scheduled>(&scheduled)) proposed_.insert(CodeOf(legal->nest));
}

void TaskSearch::RestrictTo(const std::set<std::string>& traces) {
  only_ = traces;
  std::vector<Point> points;
  for (const std::string& trace : traces) {
    Point point = space_.PointOf(*Trace::Parse(trace));
    if (!point.empty() && traces.contains(space_.TraceOf(point).ToString())) points.push_back(std::move(point));
  }
  space_.DrawFrom(std::move(points));
}

double TaskSearch::AddedByModel(const NestStatistics& statistics) const {
  return ModelSeconds(statistics, roofline_, task_.threads) -
         PriorSeconds(statistics, roofline_, task_.threads);
}

CostSample TaskSearch::SampleOf(const Trace& trace, const NestStatistics& statistics) const {
  CostSample sample;
  sample.features = FeaturesOf({anchor_, statistics, trace, roofline_, task_.threads});
  sample.log_prior = std::log(PriorSeconds(statistics, roofline_, task_.threads));
  return sample;
}

absl::StatusOr<CostSample> TaskSearch::SampleOf(const Trace& trace) const {
  const auto scheduled = Schedule(task_, program_, trace);
  const Scheduled* legal = std::get_if<Scheduled>(&scheduled);
  if (legal == nullptr)
    return absl::InvalidArgumentError("this is no legal schedule of the task: " + trace.ToString());
  return SampleOf(trace, legal->statistics);
}

std::optional<double> TaskSearch::ErrorOf(const Trace& trace) const {
  const auto found = errors_.find(trace.ToString());
  return found == errors_.end() ? std::nullopt : std::optional(found->second);
}

void TaskSearch::ObserveIncumbent(const Trace& trace, const Measurement& measurement) {
  if (measurement.outcome != Outcome::kOk || measurement.p20_seconds <= 0) return;
  double& error = errors_[trace.ToString()];
  error = std::max(error, measurement.max_error);
  const auto [least, first] = incumbent_seconds_.try_emplace(trace.ToString(), measurement.p20_seconds);
  least->second = std::min(least->second, measurement.p20_seconds);
  seconds_[least->first] = least->second;
  if (trace == best_trace_) best_seconds_ = best_bound_ = least->second;
  if (trace != default_trace_) return;
  default_seconds_ = least->second;
  const auto scheduled = Schedule(task_, program_, trace);
  const Scheduled* legal = std::get_if<Scheduled>(&scheduled);
  if (first && legal) {
    samples_.push_back(SampleOf(trace, legal->statistics));
    samples_.back().log_seconds = std::log(measurement.p20_seconds);
  }
}

// A time is the ratio to the batch's incumbent times the incumbent's own.
void TaskSearch::Observe(const Trace& trace, const Trace& incumbent, const Measurement& measurement) {
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
  errors_[trace.ToString()] = measurement.max_error;
  double added = 0;
  const auto scheduled = Schedule(task_, program_, trace);
  if (const Scheduled* legal = std::get_if<Scheduled>(&scheduled)) {
    proposed_.insert(CodeOf(legal->nest));
    samples_.push_back(SampleOf(trace, legal->statistics));
    samples_.back().log_seconds = std::log(seconds);
    added = AddedByModel(legal->statistics);
  }
  // Better beyond doubt: a lucky window must not win. The best so far is what this batch is compared with, or of this batch.
  const bool interval = base != seconds_.end() && measurement.ratio_high > 0;
  const double bound = interval ? measurement.ratio_high * base->second : seconds;
  const double limit = base != seconds_.end() && best_trace_ == incumbent ? base->second : best_bound_;
  if (!best_seconds_ || bound + added < limit + best_added_) {
    if (!best_seconds_ || seconds + added < kGain * (*best_seconds_ + best_added_)) trials_without_gain_ = 0;
    best_seconds_ = seconds;
    best_bound_ = bound;
    best_added_ = added;
    best_trace_ = trace;
  }
}

const std::optional<TaskSearch::Scored>& TaskSearch::ScoreOf(const Point& point) {
  const auto [entry, added] = scored_.try_emplace(point);
  if (!added) return entry->second;
  const Trace trace = space_.TraceOf(point);
  if (!only_.empty() && !only_.contains(trace.ToString())) return entry->second;
  const auto scheduled = Schedule(task_, program_, trace);
  if (const Scheduled* legal = std::get_if<Scheduled>(&scheduled)) {
    entry->second = Scored{trace.ToString(), CodeOf(legal->nest), AddedByModel(legal->statistics),
                           SampleOf(trace, legal->statistics)};
  }
  return entry->second;
}

std::vector<TaskSearch::Point> TaskSearch::RandomPoints(int count, std::mt19937_64& random) {
  std::vector<Point> points;
  std::set<size_t> seen;
  for (int attempt = 0; attempt < 20 * count && static_cast<int>(points.size()) < count; ++attempt) {
    Point point = space_.Random(random);
    const std::optional<Scored>& scored = ScoreOf(point);
    if (!scored || proposed_.contains(scored->code) || !seen.insert(scored->code).second) continue;
    points.push_back(std::move(point));
  }
  return points;
}

// What the prior likes: of schedules drawn at random, then of generations of mutations of the best. The same
// whenever it happens: a job that is resumed fills it later than one that was not.
void TaskSearch::FillPool() {
  if (!pool_.empty()) return;
  std::mt19937_64 random(1);
  std::set<std::pair<double, Point>> best_first;
  const auto consider = [&](const Point& point) {
    if (const std::optional<Scored>& scored = ScoreOf(point))
      best_first.emplace(std::exp(scored->sample.log_prior) + scored->added, point);
  };
  const double most =
      only_.empty() ? kDrawn : 3 * static_cast<double>(only_.size());  // a replay's few: all of them
  const int drawn = static_cast<int>(std::min(most, 3 * space_.size()));
  for (int i = 0; i < drawn; ++i) consider(space_.Random(random));
  for (int generation = 0; generation < kGenerations; ++generation) {
    std::vector<Point> parents;
    for (auto next = best_first.begin(); next != best_first.end() && parents.size() < kPoolParents; ++next) {
      parents.push_back(next->second);
    }
    for (const Point& parent : parents) {
      for (int i = 0; i < kPoolMutations; ++i) consider(space_.Mutated(parent, random));
    }
  }
  for (const auto& [prior, point] : best_first) pool_.push_back(point);
}

// All single steps from the best schedule (coordinate descent), mutations of the better ones (evolution), and the pool.
std::vector<TaskSearch::Point> TaskSearch::Candidates(std::mt19937_64& random) {
  FillPool();
  std::vector<Point> points;
  std::set<size_t> seen;
  const auto add = [&](const Point& point) {
    const std::optional<Scored>& scored = ScoreOf(point);
    if (scored && !proposed_.contains(scored->code) && seen.insert(scored->code).second) points.push_back(point);
  };
  const Point best = space_.PointOf(best_trace_);
  if (!best.empty()) {
    for (const Point& neighbour : space_.Neighbours(best)) add(neighbour);
  }
  std::vector<std::pair<double, std::string>> parents;
  for (const auto& [text, seconds] : seconds_) parents.emplace_back(seconds, text);
  std::sort(parents.begin(), parents.end());
  for (size_t i = 0; i < parents.size() && i < kParents; ++i) {
    const Point parent = space_.PointOf(*Trace::Parse(parents[i].second));
    if (parent.empty()) continue;
    for (int m = 0; m < kMutations; ++m) add(space_.Mutated(parent, random));
  }
  for (const Point& point : pool_) add(point);
  return points;
}

Draft TaskSearch::DraftOf(const Point& point, double log_seconds) {
  return {space_.TraceOf(point), ScoreOf(point)->sample, std::exp(log_seconds)};
}

namespace {

int Distance(const SearchSpace::Point& a, const SearchSpace::Point& b) {
  int distance = 0;
  for (size_t d = 0; d < a.size(); ++d) distance += a[d] != b[d] ? 1 : 0;
  return distance;
}

// Takes up to `count` numbers of points, given best first: mostly the first ones, some at random, not too alike.
std::vector<size_t> ChooseBatch(const std::vector<size_t>& order, const std::vector<SearchSpace::Point>& points, size_t count,
                                std::mt19937_64& random) {
  std::vector<size_t> chosen;
  std::set<size_t> taken;
  for (int apart = kApart; apart > 0 && chosen.size() < count; --apart) {
    const auto try_take = [&](size_t i) {
      if (taken.contains(i)) return false;
      for (const size_t other : chosen) {
        if (Distance(points[i], points[other]) < apart) return false;
      }
      taken.insert(i);
      chosen.push_back(i);
      return true;
    };
    for (size_t next = 0; next < order.size() && chosen.size() < count;) {
      const bool explore = static_cast<double>(random() % 1000) < 1000 * kRandomShare;
      if (explore && try_take(order[random() % (1 + order.size() / kExploredPart)])) continue;
      try_take(order[next++]);
    }
  }
  return chosen;
}

}  // namespace

absl::StatusOr<std::vector<Draft>> TaskSearch::Propose(int count, SearchStrategy strategy, const CostModel& model,
                                                       std::mt19937_64& random) {
  const bool guided = strategy == SearchStrategy::kEvolutionary;
  const std::vector<Point> points = guided ? Candidates(random) : RandomPoints(count, random);
  if (points.empty()) exhausted_ = true;
  std::vector<CostSample> samples;
  for (const Point& point : points) samples.push_back(ScoreOf(point)->sample);
  const absl::StatusOr<std::vector<CostEstimate>> estimates = model.Estimate(samples);
  if (!estimates.ok()) return estimates.status();
  std::vector<size_t> chosen(points.size());
  for (size_t i = 0; i < chosen.size(); ++i) chosen[i] = i;
  if (guided) {
    std::vector<double> hoped;   // log seconds in the model
    for (size_t i = 0; i < points.size(); ++i) {
      const CostEstimate& estimate = (*estimates)[i];
      const double inside = std::exp(estimate.log_seconds) + ScoreOf(points[i])->added;
      hoped.push_back(std::log(inside) - kOptimism * estimate.deviation);
    }
    std::stable_sort(chosen.begin(), chosen.end(), [&](size_t a, size_t b) { return hoped[a] < hoped[b]; });
    if (samples_.empty()) {
      // Nothing measured here yet: any of the schedules that the prior cannot tell from its best.
      const auto end = std::find_if(chosen.begin(), chosen.end(),
                                    [&](size_t i) { return hoped[i] > hoped[chosen.front()] + kPriorError; });
      for (auto last = end; last - chosen.begin() > 1; --last) {
        std::swap(*(last - 1), chosen[random() % static_cast<uint64_t>(last - chosen.begin())]);
      }
    }
    chosen = ChooseBatch(chosen, points, static_cast<size_t>(count), random);
  }
  std::vector<Draft> drafts;
  for (const size_t i : chosen) drafts.push_back(DraftOf(points[i], (*estimates)[i].log_seconds));
  return drafts;
}

}  // namespace hone
