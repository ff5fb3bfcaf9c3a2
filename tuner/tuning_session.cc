#include "tuner/tuning_session.h"

#include <algorithm>
#include <iterator>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace hone {
namespace {

constexpr uint32_t kBatchTrials = 8;
constexpr double kNearFloor = 1.03;      // a task this close to its floor is finished
constexpr int kPatience = 48;            // trials without gain after which "until no gain" gives a task up
constexpr double kPatienceScale = 16;    // trials without gain that halve a task's promise
constexpr double kJoined = 1e9;          // the promise of what is measured before anything else

}  // namespace

TuningSession::TuningSession(std::vector<TaskSearch> tasks, SessionOptions options)
    : tasks_(std::move(tasks)), options_(options) {}

void TuningSession::Join(std::vector<TaskSearch> joined) {
  joined_ = tasks_.size();
  std::move(joined.begin(), joined.end(), std::back_inserter(tasks_));
}

void TuningSession::Weigh(const std::vector<int>& weights) {
  for (size_t i = 0; i < tasks_.size(); ++i) tasks_[i].set_weight(weights[i]);
}

std::optional<size_t> TuningSession::Find(const std::string& task_key) const {
  for (size_t i = 0; i < tasks_.size(); ++i) {
    if (tasks_[i].task().Key() == task_key) return i;
  }
  return std::nullopt;
}

absl::Status TuningSession::ReplayBatch(uint32_t number, const std::string& task_key,
                                        const std::vector<std::string>& trial_ids,
                                        const std::vector<std::string>& traces) {
  if (number != next_number()) return absl::InternalError(absl::StrCat("batch ", number, " out of order"));
  if (trial_ids.size() != traces.size()) return absl::InternalError(absl::StrCat("batch ", number, " lacks traces"));
  Sent sent{.trial_ids = trial_ids};
  sent.measured.resize(trial_ids.size());
  const std::optional<size_t> found = Find(task_key);
  if (!found)
    return absl::FailedPreconditionError(absl::StrCat(
        "batch ", number,
        " is of a task that this compiler does not make of the model: the job is of another version"));
  sent.task = static_cast<int>(*found);
  TaskSearch& task = tasks_[*found];
  sent.incumbent = task.best_trace();
  for (const std::string& text : traces) {
    absl::StatusOr<Trace> trace = Trace::Parse(text);
    if (!trace.ok()) return trace.status();
    task.MarkProposed(*trace);
    sent.traces.push_back(*std::move(trace));
  }
  trials_proposed_ += static_cast<uint32_t>(trial_ids.size());
  batches_.push_back(std::move(sent));
  return absl::OkStatus();
}

void TuningSession::SkipBatch() { batches_.push_back({}); }

void TuningSession::Observe(const TuningRecord& record) {
  if (record.batch < 1 || record.batch > batches_.size()) return;
  Sent& sent = batches_[record.batch - 1];
  if (sent.task < 0) return;
  if (record.trial_id == absl::StrCat("b", record.batch, ".incumbent")) {
    if (sent.incumbent_measured) return;
    sent.incumbent_measured = record.measurement;
    if (sent.learnt) tasks_[sent.task].ObserveIncumbent(sent.incumbent, record.measurement);
  } else {
    const auto found = std::find(sent.trial_ids.begin(), sent.trial_ids.end(), record.trial_id);
    if (found == sent.trial_ids.end()) return;
    std::optional<Measurement>& measured = sent.measured[static_cast<size_t>(found - sent.trial_ids.begin())];
    if (measured) return;
    measured = record.measurement;
    ++trials_done_;
  }
  if (sent.Complete() && !sent.learnt) Learn(&sent);
}

bool TuningSession::Sent::Complete() const {
  bool compared = false;
  for (const std::optional<Measurement>& trial : measured) {
    if (!trial) return false;
    compared |= trial->outcome == Outcome::kOk && trial->ratio_to_incumbent > 0;
  }
  return incumbent_measured || !compared;
}

// The incumbent first: the others' times are ratios to its own.
void TuningSession::Learn(Sent* sent) {
  sent->learnt = true;
  TaskSearch& task = tasks_[sent->task];
  if (sent->incumbent_measured) task.ObserveIncumbent(sent->incumbent, *sent->incumbent_measured);
  for (size_t i = 0; i < sent->traces.size(); ++i) task.Observe(sent->traces[i], sent->incumbent, *sent->measured[i]);
}

bool TuningSession::BatchComplete() const { return batches_.empty() || batches_.back().Complete(); }

// Budget goes where the whole model gains most: weight x distance to the floor, discounted while nothing is found.
std::optional<int> TuningSession::MostPromising() const {
  const bool until_no_gain = options_.budget.trials == 0 && options_.budget.seconds <= 0;
  std::optional<int> best;
  double most = 0;
  for (size_t i = 0; i < tasks_.size(); ++i) {
    const TaskSearch& task = tasks_[i];
    if (task.exhausted() || task.weight() == 0) continue;
    if (task.measured() && task.best_seconds() <= kNearFloor * task.floor_seconds()) continue;
    if (until_no_gain && task.trials_without_gain() >= kPatience) continue;
    const double distance = std::max(task.best_seconds() - task.floor_seconds(), 1e-3 * task.best_seconds());
    double promise = task.weight() * distance / (1 + task.trials_without_gain() / kPatienceScale);
    if (!task.measured()) promise *= joined_ > 0 && i >= joined_ ? kJoined : 2;
    if (!best || promise > most) {
      best = static_cast<int>(i);
      most = promise;
    }
  }
  return best;
}

absl::Status TuningSession::Train(CostModel* model) const {
  if (options_.strategy != SearchStrategy::kEvolutionary) return absl::OkStatus();
  std::vector<CostSample> samples;
  for (const TaskSearch& task : tasks_)
    samples.insert(samples.end(), task.samples().begin(), task.samples().end());
  return model->Train(samples);
}

absl::StatusOr<std::optional<Batch>> TuningSession::Next(double seconds_spent, CostModel* model) {
  const TuningBudget& budget = options_.budget;
  if (budget.zero_trials) return std::nullopt;
  if (budget.seconds > 0 && seconds_spent >= budget.seconds) return std::nullopt;
  uint32_t count = kBatchTrials;
  if (budget.trials > 0) {
    if (trials_proposed_ >= budget.trials) return std::nullopt;
    count = std::min(count, budget.trials - trials_proposed_);
  }
  if (absl::Status status = Train(model); !status.ok()) return status;
  while (const std::optional<int> chosen = MostPromising()) {
    TaskSearch& task = tasks_[*chosen];
    Batch batch{.number = next_number(), .task = *chosen, .incumbent = task.best_trace()};
    std::mt19937_64 random(options_.seed * 1000003 + batch.number);
    absl::StatusOr<std::vector<Draft>> drafts = task.Propose(static_cast<int>(count), options_.strategy, *model, random);
    if (!drafts.ok()) return drafts.status();
    if (drafts->empty()) continue;   // exhausted now: the next one
    batch.drafts = *std::move(drafts);
    Sent sent{.task = *chosen, .incumbent = batch.incumbent};
    sent.measured.resize(batch.drafts.size());
    for (size_t i = 0; i < batch.drafts.size(); ++i) {
      sent.trial_ids.push_back(absl::StrCat("b", batch.number, ".", i));
      sent.traces.push_back(batch.drafts[i].trace);
      task.MarkProposed(batch.drafts[i].trace);
    }
    trials_proposed_ += static_cast<uint32_t>(batch.drafts.size());
    batches_.push_back(std::move(sent));
    return batch;
  }
  return std::nullopt;
}

double TuningSession::PredictedSeconds() const {
  double seconds = 0;
  for (const TaskSearch& task : tasks_) seconds += task.weight() * task.best_seconds();
  return seconds;
}

double TuningSession::DefaultPredictedSeconds() const {
  double seconds = 0;
  for (const TaskSearch& task : tasks_) seconds += task.weight() * task.default_seconds();
  return seconds;
}

}  // namespace hone
