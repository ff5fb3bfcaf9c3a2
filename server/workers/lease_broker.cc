#include "server/workers/lease_broker.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "proto/values/sha256.h"
#include "proto/values/value_messages.h"
#include "server/auth/secrets.h"
#include "server/execution/log.h"
#include "server/execution/status_macros.h"
#include "server/workers/honesty.h"
#include "server/workers/record_message.h"

namespace hone {
namespace {

constexpr size_t kMaxNameBytes = 256;

// The job waits for its incumbent's record: one that is not believed is recorded as what it is.
v1::Measurement Refused(const std::string& why) {
  v1::Measurement refused;
  refused.set_outcome(v1::OUTCOME_INFRASTRUCTURE);
  refused.set_message(why);
  return refused;
}

v1::Lease LeaseMessage(const LeaseGrant& grant, const v1::ProposeBatch& proposal) {
  v1::Lease lease = proposal.lease();
  lease.set_lease_id(grant.lease_id);
  lease.set_lease_seconds(grant.lease_seconds);
  if (lease.kind() == v1::LEASE_KIND_UNSPECIFIED) lease.set_kind(v1::LEASE_KIND_CANDIDATES);
  lease.set_task_key(proposal.task_key());
  lease.clear_trials();
  for (const TrialRow& row : grant.trials) {
    v1::LeaseTrial* trial = lease.add_trials();
    trial->set_trial_id(row.trial_id);
    trial->mutable_object()->set_sha256(row.object.sha256);
    trial->mutable_object()->set_size(row.object.size);
  }
  return lease;
}

}  // namespace

LeaseBroker::LeaseBroker(Store& store, ChangeHub& hub, Clock clock, LeaseBrokerOptions options)
    : store_(store), hub_(hub), clock_(std::move(clock)), options_(options) {}

absl::StatusOr<std::string> LeaseBroker::Enrol(const v1::EnrolRequest& request,
                                               const std::string& principal) {
  if (request.display_name().size() > kMaxNameBytes) {
    return absl::InvalidArgumentError(absl::StrCat("display_name has more than ", kMaxNameBytes, " bytes"));
  }
  WorkerRow worker;
  worker.id = RandomId();
  worker.display_name = request.display_name();
  if (request.has_device()) {
    worker.device_class = request.device().device_class();
    worker.device_bytes = request.device().SerializeAsString();
  }
  RequestKey key{principal, "Enrol", request.request_id(), Sha256Hex(request.certificate_request())};
  HONE_ASSIGN_OR_RETURN(worker, store_.Enrol(worker, key));
  LogEvent("worker_enrolled", {{"worker", worker.id}, {"name", worker.display_name}});
  hub_.Notify(kWorkersTopic);
  return "workers/" + worker.id;
}

absl::StatusOr<LeaseBroker::Call> LeaseBroker::Begin(const std::string& worker,
                                                     const v1::SynchronizeRequest& request) {
  Call call;
  call.worker = worker;
  {
    std::lock_guard lock(mutex_);
    call.ticket = ++tickets_[worker];
  }
  Heartbeat heartbeat{.worker = worker};
  const v1::Device* device = request.has_device() ? &request.device() : nullptr;
  for (const v1::LeaseResult& result : request.results()) {
    if (result.has_device()) device = &result.device();
    HONE_RETURN_IF_ERROR(StoreResult(worker, result));
    call.response.add_acknowledged(result.lease_id());
  }
  if (device != nullptr) {
    if (device->device_class().empty()) return absl::InvalidArgumentError("the device names no device_class");
    heartbeat.device_class = device->device_class();
    heartbeat.device_bytes = device->SerializeAsString();
  }
  heartbeat.running_leases.assign(request.running_leases().begin(), request.running_leases().end());
  heartbeat.drop_unlisted = request.accepts_lease();
  HONE_ASSIGN_OR_RETURN(WorkerRow row, store_.GetWorker(worker));
  const bool newly_eligible = device != nullptr || IsLost(row);
  HONE_ASSIGN_OR_RETURN(HeartbeatAnswer answer, store_.RecordHeartbeat(heartbeat));
  for (const std::string& lease_id : answer.abandon) call.response.add_abandon(lease_id);
  for (const std::string& job : answer.jobs) NotifyChanged(job);
  if (newly_eligible) hub_.Notify(kWorkersTopic);  // a job may wait for such a device
  call.device_class = device != nullptr ? device->device_class() : row.device_class;
  if (request.accepts_lease() && call.device_class.empty()) {
    return absl::FailedPreconditionError("a worker tells its device before it takes leases");
  }
  return call;
}

absl::Status LeaseBroker::TryClaim(Call& call) {
  {
    std::lock_guard lock(mutex_);
    if (tickets_[call.worker] != call.ticket)
      return absl::AbortedError("a later Synchronize of this worker has come");
  }
  HONE_ASSIGN_OR_RETURN(std::optional<LeaseGrant> grant,
                        store_.ClaimLease(call.worker, call.device_class, options_.lease_seconds));
  if (!grant) return absl::OkStatus();
  HONE_ASSIGN_OR_RETURN(RecordContext context, ContextOf(*grant));
  *call.response.add_leases() = LeaseMessage(*grant, context.proposal);
  LogEvent("lease_granted", {{"lease", grant->lease_id}, {"worker", call.worker}, {"job", grant->batch.job}});
  return absl::OkStatus();
}

absl::Status LeaseBroker::CheckRunning(const v1::SynchronizeRequest& request, Call& call) {
  call.response.clear_abandon();
  for (const std::string& lease_id : request.running_leases()) {
    absl::StatusOr<LeaseGrant> grant = store_.GetLease(lease_id);
    if (grant.ok() && grant->worker == call.worker) continue;
    if (!grant.ok() && !absl::IsNotFound(grant.status())) return grant.status();
    call.response.add_abandon(lease_id);
  }
  return absl::OkStatus();
}

absl::Status LeaseBroker::StoreResult(const std::string& worker, const v1::LeaseResult& result) {
  const LogScope scope("lease", result.lease_id());
  absl::StatusOr<LeaseGrant> grant = store_.GetLease(result.lease_id());
  if (absl::IsNotFound(grant.status()) || (grant.ok() && grant->worker != worker)) {
    LogEvent(LogLevel::kWarning, "stale_result_refused", {{"worker", worker}});
    return absl::OkStatus();
  }
  HONE_RETURN_IF_ERROR(grant.status());
  HONE_ASSIGN_OR_RETURN(RecordContext context, ContextOf(*grant));
  HONE_ASSIGN_OR_RETURN(WorkerRow row, store_.GetWorker(worker));
  if (!context.device.ParseFromString(row.device_bytes))
    return absl::DataLossError("a worker's stored device does not parse");
  LeaseCompletion completion{
      .lease_id = result.lease_id(), .worker = worker, .failure = result.message()};
  const bool lease_ok = result.outcome() == v1::OUTCOME_OK || result.outcome() == v1::OUTCOME_UNSPECIFIED;
  if (lease_ok) HONE_RETURN_IF_ERROR(Judge(*grant, context, result, completion));
  const absl::Status stored = store_.CompleteLease(completion);
  if (absl::IsNotFound(stored)) return absl::OkStatus();  // lost between the look and the fence: stale
  HONE_RETURN_IF_ERROR(stored);
  if (!lease_ok)
    LogEvent(LogLevel::kWarning, "lease_failed",
             {{"job", grant->batch.job}, {"worker", worker}, {"message", result.message()}});
  NotifyChanged(grant->batch.job);
  return completion.lies.empty() ? absl::OkStatus() : AfterLies(worker, completion.lies);
}

// Sorts the lease's measurements into those believed and lies.
absl::Status LeaseBroker::Judge(const LeaseGrant& grant, const RecordContext& context,
                                const v1::LeaseResult& result, LeaseCompletion& completion) {
  const v1::Lease& lease = context.proposal.lease();
  std::vector<const v1::Measurement*> told;
  for (const v1::TrialResult& trial : result.trials()) {
    const v1::Measurement& measurement = trial.measurement();
    HONE_ASSIGN_OR_RETURN(const std::string lie, FindLie(context.worker, lease, measurement, told));
    told.push_back(&measurement);
    if (!lie.empty()) completion.lies.push_back(lie);
    if (!lie.empty() || !IsCandidatesOwn(FromMessage(measurement.outcome()))) {
      completion.failure = lie.empty() ? measurement.message() : lie;
      continue;
    }
    for (const TrialRow& known : grant.trials) {
      if (known.trial_id == trial.trial_id())
        completion.ended.push_back(MakeRecordRow(context, known, measurement));
    }
  }
  if (!result.has_incumbent()) return absl::OkStatus();
  HONE_ASSIGN_OR_RETURN(std::string lie, FindLie(context.worker, lease, result.incumbent(), told));
  if (lie.empty() && result.incumbent().outcome() == v1::OUTCOME_WRONG_OUTPUT) {
    HONE_ASSIGN_OR_RETURN(const bool verified, IncumbentWasRight(context));
    if (verified) lie = "it computed wrong outputs by a schedule that was verified before";
  }
  if (!lie.empty()) {
    completion.lies.push_back(lie);
    completion.ended.clear();  // measured beside it, and as ratios to it
    completion.failure = lie;
    // It is measured again with the trials, unless this was their last attempt.
    if (std::none_of(grant.trials.begin(), grant.trials.end(),
                     [](const TrialRow& trial) { return trial.attempts >= Store::kMaxAttempts; })) {
      return absl::OkStatus();
    }
  }
  completion.incumbent = MakeIncumbentRow(context, lie.empty() ? result.incumbent() : Refused(lie));
  completion.incumbent_trial = lease.incumbent().trial_id();
  return absl::OkStatus();
}

absl::StatusOr<std::string> LeaseBroker::FindLie(const std::string& worker, const v1::Lease& lease,
                                                 const v1::Measurement& measurement,
                                                 const std::vector<const v1::Measurement*>& told) {
  const std::string lie = LieIn(lease, measurement);
  if (!lie.empty() || measurement.outcome() != v1::OUTCOME_OK) return lie;
  for (const v1::Measurement* other : told) {
    if (other->outcome() == v1::OUTCOME_OK && IsReplay(measurement, *other))
      return std::string("it told one measurement for two trials");
  }
  HONE_ASSIGN_OR_RETURN(std::vector<RecordRow> records,
                        store_.ListRecordsOf(worker, measurement.p20_seconds()));
  for (const RecordRow& record : records) {
    if (IsReplay(measurement, RecordMessage(record, /*full=*/true).measurement()))
      return absl::StrCat("it told the measurement of records/", record.id, " again");
  }
  return std::string();
}

// Whether an incumbent of this task was measured with right outputs before: only such become
// incumbents later.
absl::StatusOr<bool> LeaseBroker::IncumbentWasRight(const RecordContext& context) {
  HONE_ASSIGN_OR_RETURN(const std::vector<RecordRow> log, store_.ListLog(context.job, 0));
  const std::string task = Sha256Hex(context.proposal.task_key());
  return std::any_of(log.begin(), log.end(), [&](const RecordRow& record) {
    return record.task_id == task && record.status == "ok" && record.trial_id.ends_with(".incumbent");
  });
}

// Jobs that used what is now suspect look at their logs again.
absl::Status LeaseBroker::AfterLies(const std::string& worker, const std::vector<std::string>& lies) {
  for (const std::string& lie : lies) LogEvent("worker_lied", {{"worker", worker}, {"lie", lie}});
  HONE_ASSIGN_OR_RETURN(const WorkerRow row, store_.GetWorker(worker));
  if (row.hold != WorkerHold::kQuarantined) return absl::OkStatus();
  LogEvent("worker_quarantined", {{"worker", worker}, {"reason", row.hold_reason}});
  HONE_ASSIGN_OR_RETURN(const std::vector<std::string> jobs, store_.ListJobIds(JobState::kRunning));
  for (const std::string& job : jobs) hub_.Notify(JobTopic(job));
  return absl::OkStatus();
}

absl::StatusOr<v1::Worker> LeaseBroker::Control(const std::string& worker, WorkerHold hold,
                                                const std::string& reason) {
  HONE_ASSIGN_OR_RETURN(const WorkerRow row, store_.SetWorkerHold(worker, hold, reason));
  LogEvent("worker_controlled",
           {{"worker", worker}, {"hold", WorkerHoldName(row.hold)}, {"reason", row.hold_reason}});
  hub_.Notify(kWorkersTopic);
  hub_.Notify(kLeasesTopic);
  return WorkerMessage(row);
}

absl::Status LeaseBroker::ExpireLeases() {
  HONE_ASSIGN_OR_RETURN(const std::vector<LostLease> leases, store_.ExpireLeases());
  for (const auto& [lease, worker, job] : leases) {
    LogEvent(LogLevel::kWarning, "lease_expired", {{"lease", lease}, {"worker", worker}, {"job", job}});
    NotifyChanged(job);
  }
  return absl::OkStatus();
}

void LeaseBroker::NotifyChanged(const std::string& job) {
  hub_.Notify(JobTopic(job));
  hub_.Notify(kLeasesTopic);  // what was lost is queued again
}

bool LeaseBroker::IsLost(const WorkerRow& row) const {
  return absl::FromUnixMicros(row.last_seen) + options_.lost_after < clock_();
}

v1::Worker LeaseBroker::WorkerMessage(const WorkerRow& row) const {
  v1::Worker worker;
  worker.set_name("workers/" + row.id);
  worker.set_display_name(row.display_name);
  if (!worker.mutable_device()->ParseFromString(row.device_bytes)) worker.clear_device();
  worker.set_state(IsLost(row) ? "lost" : row.busy ? "busy" : "idle");
  worker.set_last_seen_micros(row.last_seen);
  worker.set_trials_done(row.trials_done);
  worker.set_hold(WorkerHoldName(row.hold));
  worker.set_hold_reason(row.hold_reason);
  worker.set_lies(row.lies);
  worker.set_leases_done(row.leases_done);
  worker.set_leases_lost(row.leases_lost);
  worker.set_last_failure(row.last_failure);
  worker.set_busy_seconds(static_cast<double>(row.busy_micros) * 1e-6);
  worker.set_create_time_micros(row.create_time);
  return worker;
}

}  // namespace hone
