#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "compiler/compile.h"
#include "hone/v1/job_link.pb.h"
#include "proto/values/host_lock.h"
#include "tuner/cost_model/booster.h"
#include "tuner/job/job_link.h"
#include "tuner/job/report.h"
#include "tuner/job/task_code.h"
#include "tuner/prior_costs.h"
#include "tuner/tuning_session.h"

namespace hone {

// One job from its StartJob message to the module: imports, cuts, tunes batch by batch, builds, has the modules compared,
// hands the better one over. Keeps nothing on disk: what the server has stored is what counts.
class TuningJob {
 public:
  // The link and the host's lock outlive this.
  TuningJob(v1::StartJob start, ModelFiles files, JobLink* link, const HostLockFiles* host);

  // Unavailable: the server is gone. Every other error is the model's or the compiler's fault.
  absl::Status Run();
  // Instead of Run: why the cost model predicts what it does for a schedule, by what the job has measured.
  absl::StatusOr<v1::RecordExplanation> Explain(const std::string& task_key, const std::string& trace);

 private:
  using Clock = std::chrono::steady_clock;
  // The model cut into tasks, and the session's number of each.
  struct SearchedCut {
    CutGraph cut;
    std::vector<size_t> searches;
  };

  absl::Status Import();
  absl::Status ChooseDevice();
  absl::Status Cut();
  absl::Status AddCut(CutGraph cut);
  // Cuts the model again by what has been measured so far, once. Tasks that are new join the session.
  absl::Status Recut();
  bool TimeToRecut(double seconds_spent) const;
  absl::Status Replay();
  absl::Status Tune();
  absl::Status Finish();

  absl::Status Handle(const v1::JobMessage& message);
  absl::StatusOr<std::optional<Batch>> NextBatch();
  absl::Status ReceivePending();                       // what has arrived, without waiting
  absl::Status AwaitEmptyOutbox();
  absl::Status SendProgress(const std::string& phase);
  absl::Status SendBatch(const Batch& batch);

  std::vector<int> WeightsOf(const SearchedCut& cut) const;  // by the session's tasks
  const SearchedCut& FastestCut() const;
  // Traces by the session's tasks.
  absl::StatusOr<ModuleFiles> BuildWith(const SearchedCut& cut, const std::vector<Trace>& traces,
                                        double predicted_seconds);
  absl::StatusOr<std::optional<ModuleComparison>> Compare(const ModuleFiles& by_default, const ModuleFiles& tuned);
  absl::Status SendModule(const ModuleFiles& files, const std::string& report);
  double SecondsSpent() const;
  ReportInput ReportOf(const std::optional<ModuleComparison>& comparison) const;

  v1::StartJob start_;
  const ModelFiles files_;
  JobLink* const link_;
  const HostLockFiles* const host_;
  CompileOptions options_;
  Graph graph_;
  Roofline roofline_;
  std::optional<PriorCosts> prior_;
  std::vector<SearchedCut> cuts_;  // by the prior; by what was measured, where that is another and better
  bool recut_ = false;             // tried
  uint64_t constant_bytes_ = 0;    // of all calls together
  Device device_;
  std::optional<TuningSession> session_;
  Booster model_;
  bool cancelled_ = false;
  bool outbox_full_ = false;   // the server has not taken what was sent
  Clock::time_point begin_;
  std::optional<TaskCode> code_;
  std::string model_digest_;                                          // of the main file; empty until asked for
  std::map<size_t, std::vector<v1::OracleSample>> oracle_samples_;    // by task
  std::map<uint32_t, std::map<std::string, TuningRecord>> records_;   // by batch, trial id
  uint32_t next_batch_ = 1;                                           // not yet stored
};

}  // namespace hone
