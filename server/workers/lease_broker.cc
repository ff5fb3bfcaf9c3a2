#include "server/workers/lease_broker.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "proto/values/sha256.h"
#include "proto/values/value_messages.h"
#include "server/auth/role_table.h"
#include "server/auth/secrets.h"
#include "server/execution/log.h"
#include "server/execution/status_macros.h"
#include "server/workers/record_message.h"

namespace hone {
namespace {

constexpr size_t kMaxNameBytes = 256;

// A worker may be wrong; an impossible time must never become somebody's best.
bool IsPlausible(const v1::Measurement& measurement) {
  if (measurement.outcome() == v1::OUTCOME_UNSPECIFIED) return false;
  if (measurement.outcome() != v1::OUTCOME_OK) return true;
  for (double number : {measurement.p20_seconds(), measurement.median_seconds(), measurement.p95_seconds()}) {
    if (!std::isfinite(number) || number <= 0) return false;
  }
  return std::isfinite(measurement.ratio_to_incumbent()) && measurement.ratio_to_incumbent() >= 0;
}

// The job waits for its incumbent's record: an implausible one is recorded as what it is.
v1::Measurement Plausible(const v1::Measurement& measurement) {
  if (IsPlausible(measurement)) return measurement;
  v1::Measurement refused;
  refused.set_outcome(v1::OUTCOME_INFRASTRUCTURE);
  refused.set_message("the worker told an impossible time");
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

absl::StatusOr<v1::EnrolResponse> LeaseBroker::Enrol(const v1::EnrolRequest& request,
                                                     const std::string& principal) {
  if (request.display_name().size() > kMaxNameBytes) {
    return absl::InvalidArgumentError(absl::StrCat("display_name has more than ", kMaxNameBytes, " bytes"));
  }
  const std::string token = RandomHex(32);
  WorkerRow worker;
  worker.id = RandomId();
  worker.display_name = request.display_name();
  if (request.has_device()) {
    worker.device_class = request.device().device_class();
    worker.device_bytes = request.device().SerializeAsString();
  }
  RequestKey key{principal, "Enrol", request.request_id(), Sha256Hex(request.display_name())};
  HONE_ASSIGN_OR_RETURN(
      worker,
      store_.Enrol(worker, {HashToken(token), std::string(RoleName(Role::kWorker)), "workers/" + worker.id},
                   key));
  LogEvent("worker_enrolled", {{"worker", worker.id}, {"name", worker.display_name}});
  hub_.Notify(kWorkersTopic);
  v1::EnrolResponse response;
  response.set_worker("workers/" + worker.id);
  response.set_token(token);
  return response;
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
  absl::StatusOr<LeaseGrant> grant = store_.GetLease(result.lease_id());
  if (absl::IsNotFound(grant.status()) || (grant.ok() && grant->worker != worker)) {
    LogEvent("stale_result_refused", {{"lease", result.lease_id()}, {"worker", worker}});
    return absl::OkStatus();
  }
  HONE_RETURN_IF_ERROR(grant.status());
  HONE_ASSIGN_OR_RETURN(RecordContext context, ContextOf(*grant));
  HONE_ASSIGN_OR_RETURN(WorkerRow row, store_.GetWorker(worker));
  if (!context.device.ParseFromString(row.device_bytes))
    return absl::DataLossError("a worker's stored device does not parse");
  LeaseCompletion completion{.lease_id = result.lease_id(), .worker = worker};
  const bool lease_ok = result.outcome() == v1::OUTCOME_OK || result.outcome() == v1::OUTCOME_UNSPECIFIED;
  for (const v1::TrialResult& trial : result.trials()) {
    if (!lease_ok || !IsPlausible(trial.measurement()) ||
        !IsCandidatesOwn(FromMessage(trial.measurement().outcome())))
      continue;
    for (const TrialRow& known : grant->trials) {
      if (known.trial_id == trial.trial_id())
        completion.ended.push_back(MakeRecordRow(context, known, trial.measurement()));
    }
  }
  if (lease_ok && result.has_incumbent()) {
    completion.incumbent = MakeIncumbentRow(context, Plausible(result.incumbent()));
    completion.incumbent_trial = context.proposal.lease().incumbent().trial_id();
  }
  const absl::Status stored = store_.CompleteLease(completion);
  if (absl::IsNotFound(stored)) return absl::OkStatus();  // lost between the look and the fence: stale
  HONE_RETURN_IF_ERROR(stored);
  if (!lease_ok)
    LogEvent("lease_failed",
             {{"lease", result.lease_id()}, {"worker", worker}, {"message", result.message()}});
  NotifyChanged(grant->batch.job);
  return absl::OkStatus();
}

absl::Status LeaseBroker::ExpireLeases() {
  HONE_ASSIGN_OR_RETURN(std::vector<std::string> jobs, store_.ExpireLeases());
  for (const std::string& job : jobs) {
    LogEvent("lease_expired", {{"job", job}});
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
  return worker;
}

}  // namespace hone
