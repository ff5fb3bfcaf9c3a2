#pragma once

#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "proto/values/measurement.h"
#include "tuner/cost_model.h"
#include "tuner/prior.h"
#include "tuner/search_space.h"

namespace hone {

enum class SearchStrategy { kEvolutionary, kRandom };

// A legal schedule considered for a batch.
struct Draft {
  Trace trace;
  CostSample sample;            // features and prior; no measurement yet
  double predicted_seconds = 0;
};

// The search of one task: what was proposed, what was measured, what to try next. Everything it does follows from its
// seed and the measurements it was shown, in order.
class TaskSearch {
 public:
  // `program` is LowerTask(task). NotLowered tasks give an error.
  static absl::StatusOr<TaskSearch> Make(Task task, TensorProgram program, int weight, const Roofline& roofline);

  const Task& task() const { return task_; }
  const TensorProgram& program() const { return program_; }
  const Anchor& anchor() const { return anchor_; }
  int weight() const { return weight_; }  // calls in the model
  void set_weight(int weight) { weight_ = weight; }
  const Trace& default_trace() const { return default_trace_; }
  const Trace& best_trace() const { return best_trace_; }

  // Seconds; before the first measurement the prior's.
  double default_seconds() const { return default_seconds_.value_or(prior_seconds_); }
  double best_seconds() const { return best_seconds_.value_or(default_seconds()); }
  double floor_seconds() const { return floor_seconds_; }
  // Of the default or best schedule, as measured: the largest deviation from the reference, of its largest value.
  std::optional<double> ErrorOf(const Trace& trace) const;
  bool measured() const { return default_seconds_.has_value(); }
  int trials() const { return trials_; }
  int trials_without_gain() const { return trials_without_gain_; }
  bool exhausted() const { return exhausted_; }   // no new legal schedule was found

  // For replays of recorded measurements: proposes no others than these and the default.
  void RestrictTo(const std::set<std::string>& traces);
  void MarkProposed(const Trace& trace);
  // The incumbent is measured again with every batch. The least of its times replaces the ratio that chose it, which
  // luck has made too good.
  void ObserveIncumbent(const Trace& trace, const Measurement& measurement);
  void Observe(const Trace& trace, const Trace& incumbent, const Measurement& measurement);
  const std::vector<CostSample>& samples() const { return samples_; }
  // As the cost model sees a schedule, measured or not. InvalidArgument: it is not legal.
  absl::StatusOr<CostSample> SampleOf(const Trace& trace) const;

  // Up to `count` new schedules, most promising first, diverse. Deterministic in `random` and what was observed.
  absl::StatusOr<std::vector<Draft>> Propose(int count, SearchStrategy strategy, const CostModel& model,
                                             std::mt19937_64& random);

 private:
  // A point of the space as the search sees it; empty where it is no legal schedule. Computed once each.
  struct Scored {
    std::string trace;
    size_t code = 0;      // of traces that give the same loop nest only one is worth a measurement
    double added = 0;     // by the model around it: AddedByModel
    CostSample sample;
  };
  using Point = SearchSpace::Point;
  TaskSearch(Task task, TensorProgram program, int weight, const Roofline& roofline, Anchor anchor);
  const std::optional<Scored>& ScoreOf(const Point& point);
  void FillPool();
  std::vector<Point> RandomPoints(int count, std::mt19937_64& random);
  std::vector<Point> Candidates(std::mt19937_64& random);
  CostSample SampleOf(const Trace& trace, const NestStatistics& statistics) const;
  // Seconds that a measurement of the task alone does not show: threads read what others have computed.
  double AddedByModel(const NestStatistics& statistics) const;
  Draft DraftOf(const Point& point, double log_seconds);

  Task task_;
  TensorProgram program_;
  int weight_;
  Roofline roofline_;
  Anchor anchor_;
  SearchSpace space_;
  Trace default_trace_, best_trace_;
  double prior_seconds_ = 0, floor_seconds_ = 0;
  std::optional<double> default_seconds_, best_seconds_;
  double best_bound_ = 0;                          // upper end of the best one's interval, seconds
  double best_added_ = 0;                          // by the model around it
  std::map<std::string, double> seconds_;          // by trace, of what was measured
  std::map<std::string, double> incumbent_seconds_; // by trace, least as an incumbent
  std::map<std::string, double> errors_;           // by trace, largest measured
  std::set<size_t> proposed_;                      // codes
  std::map<Point, std::optional<Scored>> scored_;
  std::set<std::string> only_;                     // empty: every legal trace
  std::vector<Point> pool_;                        // legal points by prior, best first; the same for every seed
  std::vector<CostSample> samples_;
  int trials_ = 0, trials_without_gain_ = 0;
  bool exhausted_ = false;
};

}  // namespace hone
