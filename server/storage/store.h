#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/records/record_filter.h"
#include "server/storage/rows.h"

namespace hone {

// Makes the record of a trial that was lost as often as is allowed (outcome infrastructure). Called within a
// transaction: it must not call the store.
using MakeLostRecord = std::function<RecordRow(const LeaseGrant& lease, const TrialRow& trial)>;

// Gives an ended job its new spec and progress. Called within a transaction: it must not call the store.
using ExtendJob = std::function<absl::Status(JobRow& job)>;

// The server's memory: each method is one transaction and returns OK only once it is durable. Thread-safe;
// calls block. NotFound names the resource. tests/server/storage/store_test.cc is the conformance suite of
// every implementation.
class Store {
 public:
  static constexpr uint32_t kMaxAttempts = 3;  // of a trial, before it is dead-lettered
  static constexpr uint32_t kMaxLies = 3;      // of a worker, before it is quarantined

  virtual ~Store() = default;

  // Cheap proof that writes still work.
  virtual absl::Status CheckHealth() = 0;

  // A known token stays as it is (a revoked one revoked). Those that expired a month ago are forgotten.
  virtual absl::StatusOr<TokenRow> PutToken(const TokenRow& token) = 0;
  virtual absl::StatusOr<std::vector<TokenRow>> ListTokens(const Page& page) = 0;
  virtual absl::StatusOr<TokenRow> RevokeToken(const std::string& id) = 0;

  // AlreadyExists if there is one of this id.
  virtual absl::StatusOr<UserRow> CreateUser(const UserRow& user) = 0;
  virtual absl::StatusOr<UserRow> GetUser(const std::string& id) = 0;
  virtual absl::StatusOr<std::vector<UserRow>> ListUsers(const Page& page) = 0;
  virtual absl::StatusOr<UserRow> UpdateUser(const std::string& id, const std::optional<std::string>& role,
                                             const std::optional<bool>& disabled) = 0;

  // AlreadyExists if there is one of this id. Usage is that of the month, "2026-11"; empty: this one.
  virtual absl::StatusOr<ProjectRow> CreateProject(const ProjectRow& project) = 0;
  virtual absl::StatusOr<std::vector<ProjectRow>> ListProjects(const std::string& id,
                                                               const std::string& month,
                                                               const Page& page) = 0;  // id may be empty
  virtual absl::StatusOr<ProjectRow> UpdateProject(const std::string& id, const ProjectQuotas& quotas) = 0;

  virtual absl::StatusOr<bool> HasClaim(const std::string& project, const std::string& sha256) = 0;
  // Known claims stay. ResourceExhausted: with it the project would store more than it may.
  virtual absl::Status CheckStorage(const std::string& project, const BlobId& blob) = 0;
  virtual absl::Status ClaimBlob(const std::string& project, const BlobId& blob) = 0;
  // Claims made before that no model or module of their project needs.
  virtual absl::Status DropClaims(absl::Time before) = 0;
  virtual absl::StatusOr<bool> IsJobObject(const std::string& sha256) = 0;  // that a lease names

  // A model of the same id is renamed and revived.
  virtual absl::StatusOr<ModelRow> CreateModel(const ModelRow& model, const RequestKey& request) = 0;
  virtual absl::StatusOr<ModelRow> GetModel(const std::string& id) = 0;
  virtual absl::StatusOr<std::vector<ModelRow>> ListModels(const std::string& project, const Page& page) = 0;
  // FailedPrecondition while an unfinished job needs it.
  virtual absl::Status DeleteModel(const std::string& id, const RequestKey& request) = 0;

  // ResourceExhausted: the project may have no more unfinished jobs, or device minutes.
  virtual absl::StatusOr<JobRow> CreateJob(const JobRow& job, const RequestKey& request) = 0;
  virtual absl::StatusOr<JobRow> GetJob(const std::string& id) = 0;
  virtual absl::StatusOr<std::vector<JobRow>> ListJobs(const std::string& project, const Page& page) = 0;
  virtual absl::StatusOr<std::vector<std::string>> ListJobIds(JobState state) = 0;  // oldest first
  // A queued job ends at once, a running one is asked to; an ended one stays as it is.
  virtual absl::StatusOr<JobRow> RequestCancel(const std::string& id) = 0;
  // An ended job is queued again. Trials without a record are as if they had never been proposed; its module
  // stays until it ends with another. FailedPrecondition: it has not ended, or its model is deleted;
  // ResourceExhausted as for a new job.
  virtual absl::StatusOr<JobRow> ResumeJob(const std::string& id, const ExtendJob& extend,
                                           const RequestKey& request) = 0;
  // With its modules; its records stay. FailedPrecondition unless it has ended.
  virtual absl::Status DeleteJob(const std::string& id, const RequestKey& request) = 0;
  // The transitions below hold for running jobs only, else FailedPrecondition.
  virtual absl::Status StartJob(const std::string& id) = 0;  // from queued
  virtual absl::Status SetProgress(const std::string& id, const std::string& progress_bytes) = 0;
  // The first choice stays; returns the job as it is afterwards.
  virtual absl::StatusOr<JobRow> ChooseDevice(const std::string& id, const std::string& device_class,
                                              const std::string& device_bytes) = 0;
  virtual absl::Status CountRestart(const std::string& id) = 0;
  // Drops what is still leased. `module` is stored in the same transaction, in the place of an earlier one.
  virtual absl::Status EndJob(const std::string& id, JobState state, const std::string& error,
                              const std::optional<ModuleRow>& module) = 0;

  // Digests of all blobs that models, modules and unfinished jobs need; any other blob may go.
  virtual absl::StatusOr<std::vector<std::string>> ListReferencedBlobs() = 0;
  // Digests of what the leases of jobs named that ended since `since`.
  virtual absl::StatusOr<std::vector<std::string>> ListEndedObjects(absl::Time since) = 0;
  // Of everything there is, for the metrics.
  virtual absl::StatusOr<StateCounts> CountStates() = 0;

  virtual absl::StatusOr<ModuleRow> GetModule(const std::string& id) = 0;
  virtual absl::StatusOr<std::vector<ModuleRow>> ListModules(const std::string& project,
                                                             const std::string& job,  // may be empty
                                                             const Page& page) = 0;

  // The batch, its trials, the records of those that `ended` without running and the lease of the others, at
  // once. FailedPrecondition unless the number is the next.
  virtual absl::Status StoreBatch(const BatchRow& batch, const std::vector<TrialRow>& trials,
                                  const std::vector<RecordRow>& ended) = 0;
  virtual absl::StatusOr<std::vector<StoredBatchRow>> ListBatches(const std::string& job) = 0;

  // The oldest queued lease of a running job of this device class, now this worker's; nullopt if there is
  // none.
  virtual absl::StatusOr<std::optional<LeaseGrant>> ClaimLease(const std::string& worker,
                                                               const std::string& device_class,
                                                               double lease_seconds) = 0;
  // NotFound if no worker holds it now.
  virtual absl::StatusOr<LeaseGrant> GetLease(const std::string& lease_id) = 0;
  // Fenced: NotFound (and nothing changes) unless the worker holds this very lease. With its kMaxLies-th lie
  // the worker is quarantined: all its records are marked suspect.
  virtual absl::Status CompleteLease(const LeaseCompletion& completion) = 0;
  // Leases whose time is over are lost; returns them.
  virtual absl::StatusOr<std::vector<LostLease>> ExpireLeases() = 0;

  // With the same request the same worker again (the first answer was lost).
  virtual absl::StatusOr<WorkerRow> Enrol(const WorkerRow& worker, const RequestKey& request) = 0;
  virtual absl::StatusOr<WorkerRow> GetWorker(const std::string& id) = 0;
  virtual absl::StatusOr<std::vector<WorkerRow>> ListWorkers(const Page& page) = 0;
  // Of all that ever enrolled, by id.
  virtual absl::StatusOr<std::map<std::string, WorkerHold>> ListWorkerHolds() = 0;
  // Removal is for good, and loses the leases. Ending a hold forgets the lies. Who is held is not drained.
  virtual absl::StatusOr<WorkerRow> SetWorkerHold(const std::string& id, WorkerHold hold,
                                                  const std::string& reason) = 0;
  // Renews the running leases by their lease_seconds, but never beyond their run limit. NotFound for a worker
  // that was removed.
  virtual absl::StatusOr<HeartbeatAnswer> RecordHeartbeat(const Heartbeat& heartbeat) = 0;

  virtual absl::StatusOr<std::vector<RecordRow>> ListLog(const std::string& job, uint64_t after_sequence) = 0;
  virtual absl::StatusOr<std::vector<RecordRow>> ListRecordsOf(const std::string& worker, double latency) = 0;
  virtual absl::StatusOr<RecordRow> GetRecord(int64_t id) = 0;
  virtual absl::StatusOr<std::vector<RecordRow>> QueryRecords(const std::string& project,
                                                              const RecordFilter& filter,
                                                              const Page& page) = 0;
};

}  // namespace hone
