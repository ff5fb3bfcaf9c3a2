#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "proto/values/tuning_record.h"
#include "tuner/task_search.h"

namespace hone {

struct TuningBudget {
  uint32_t trials = 0;      // 0: no limit
  double seconds = 0;       // 0: no limit; both 0: until no gain is expected
  bool zero_trials = false;
};

struct SessionOptions {
  uint64_t seed = 1;
  SearchStrategy strategy = SearchStrategy::kEvolutionary;
  TuningBudget budget;
};

// A batch: schedules of one task to be measured beside the incumbent.
struct Batch {
  uint32_t number = 0;      // from 1 without gaps
  int task = -1;            // index into the session's tasks
  Trace incumbent;
  std::vector<Draft> drafts;
};

// Tunes a set of tasks, batch by batch. What batch n contains follows from (seed, batches before n, their records):
// after a restart, replaying stored batches and the log leads to the same next batch.
class TuningSession {
 public:
  TuningSession(std::vector<TaskSearch> tasks, SessionOptions options);

  // Numbered behind those there are. Where there were some, the joined ones are measured before them.
  void Join(std::vector<TaskSearch> joined);
  // How often the model calls each task, from now on. What it does not call is let be.
  void Weigh(const std::vector<int>& weights);
  std::optional<size_t> Find(const std::string& task_key) const;

  // Gives back what an earlier process proposed. Batches in order of number, then records in log order.
  absl::Status ReplayBatch(uint32_t number, const std::string& task_key, const std::vector<std::string>& trial_ids,
                           const std::vector<std::string>& traces);
  // The number of a batch that was none of schedules.
  void SkipBatch();
  // One record of the log, of a trial or of a batch's incumbent ("b3.incumbent"). Unknown ones are ignored. A batch is
  // learnt from as a whole, in order of its trials: retried trials and the incumbent's record may come in any order.
  void Observe(const TuningRecord& record);

  // Whether every trial of the last batch has its record, and the incumbent if any of them was compared with it.
  bool BatchComplete() const;
  // Teaches the model all that was measured; nothing where the strategy asks none.
  absl::Status Train(CostModel* model) const;
  // The next batch; nullopt when the budget is spent or nothing is left to gain. Requires BatchComplete().
  absl::StatusOr<std::optional<Batch>> Next(double seconds_spent, CostModel* model);

  const std::vector<TaskSearch>& tasks() const { return tasks_; }
  uint32_t trials_done() const { return trials_done_; }
  uint32_t trials_proposed() const { return trials_proposed_; }
  uint32_t next_number() const { return static_cast<uint32_t>(batches_.size()) + 1; }
  double PredictedSeconds() const;          // of the whole model, with the best so far
  double DefaultPredictedSeconds() const;

 private:
  struct Sent {
    int task = -1;
    Trace incumbent;
    std::vector<std::string> trial_ids;
    std::vector<Trace> traces;
    std::vector<std::optional<Measurement>> measured;   // by trial
    std::optional<Measurement> incumbent_measured;
    bool learnt = false;
    bool Complete() const;
  };
  void Learn(Sent* sent);
  std::optional<int> MostPromising() const;

  std::vector<TaskSearch> tasks_;
  size_t joined_ = 0;  // the first of those that joined; 0: none
  SessionOptions options_;
  std::vector<Sent> batches_;
  uint32_t trials_done_ = 0, trials_proposed_ = 0;
};

}  // namespace hone
