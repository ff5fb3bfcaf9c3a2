#pragma once

#include <memory>
#include <string>
#include <vector>

#include "server/execution/clock.h"
#include "server/storage/sqlite_threads.h"
#include "server/storage/store.h"

namespace hone {

struct SqliteStoreOptions {
  std::string path;  // of the database file; its folder exists and is ours alone
  Clock clock;       // the database's clock: all times and lease ends come from it
  MakeLostRecord make_lost_record;
  int readers = 4;  // connections; more than the threads that read makes no sense
};

// Store in one SQLite file (WAL, synchronous=FULL). One process at a time: the caller holds the data folder's
// lock.
class SqliteStore : public Store {
 public:
  static absl::StatusOr<std::unique_ptr<SqliteStore>> Open(SqliteStoreOptions options);

  absl::Status CheckHealth() override;
  absl::StatusOr<TokenRow> PutToken(const TokenRow& token) override;
  absl::StatusOr<std::vector<TokenRow>> ListTokens(const Page& page) override;
  absl::StatusOr<TokenRow> RevokeToken(const std::string& id) override;
  absl::StatusOr<ProjectRow> CreateProject(const ProjectRow& project) override;
  absl::StatusOr<std::vector<ProjectRow>> ListProjects(const std::string& id, const std::string& month,
                                                       const Page& page) override;
  absl::StatusOr<ProjectRow> UpdateProject(const std::string& id, const ProjectQuotas& quotas) override;
  absl::StatusOr<bool> HasClaim(const std::string& project, const std::string& sha256) override;
  absl::Status CheckStorage(const std::string& project, const BlobId& blob) override;
  absl::Status ClaimBlob(const std::string& project, const BlobId& blob) override;
  absl::Status DropClaims(absl::Time before) override;
  absl::StatusOr<bool> IsJobObject(const std::string& sha256) override;
  absl::StatusOr<UserRow> CreateUser(const UserRow& user) override;
  absl::StatusOr<UserRow> GetUser(const std::string& id) override;
  absl::StatusOr<std::vector<UserRow>> ListUsers(const Page& page) override;
  absl::StatusOr<UserRow> UpdateUser(const std::string& id, const std::optional<std::string>& role,
                                     const std::optional<bool>& disabled) override;

  absl::StatusOr<ModelRow> CreateModel(const ModelRow& model, const RequestKey& request) override;
  absl::StatusOr<ModelRow> GetModel(const std::string& id) override;
  absl::StatusOr<std::vector<ModelRow>> ListModels(const std::string& project, const Page& page) override;
  absl::Status DeleteModel(const std::string& id, const RequestKey& request) override;
  absl::StatusOr<std::vector<std::string>> ListReferencedBlobs() override;
  absl::StatusOr<std::vector<std::string>> ListEndedObjects(absl::Time since) override;
  absl::StatusOr<StateCounts> CountStates() override;
  absl::StatusOr<ModuleRow> GetModule(const std::string& id) override;
  absl::StatusOr<std::vector<ModuleRow>> ListModules(const std::string& project, const std::string& job,
                                                     const Page& page) override;

  absl::StatusOr<JobRow> CreateJob(const JobRow& job, const RequestKey& request) override;
  absl::StatusOr<JobRow> GetJob(const std::string& id) override;
  absl::StatusOr<std::vector<JobRow>> ListJobs(const std::string& project, const Page& page) override;
  absl::StatusOr<std::vector<std::string>> ListJobIds(JobState state) override;
  absl::StatusOr<JobRow> RequestCancel(const std::string& id) override;
  absl::StatusOr<JobRow> ResumeJob(const std::string& id, const ExtendJob& extend,
                                   const RequestKey& request) override;
  absl::Status DeleteJob(const std::string& id, const RequestKey& request) override;
  absl::Status StartJob(const std::string& id) override;
  absl::Status SetProgress(const std::string& id, const std::string& progress_bytes) override;
  absl::StatusOr<JobRow> ChooseDevice(const std::string& id, const std::string& device_class,
                                      const std::string& device_bytes) override;
  absl::Status CountRestart(const std::string& id) override;
  absl::Status EndJob(const std::string& id, JobState state, const std::string& error,
                      const std::optional<ModuleRow>& module) override;

  absl::Status StoreBatch(const BatchRow& batch, const std::vector<TrialRow>& trials,
                          const std::vector<RecordRow>& ended) override;
  absl::StatusOr<std::vector<StoredBatchRow>> ListBatches(const std::string& job) override;
  absl::StatusOr<std::optional<LeaseGrant>> ClaimLease(const std::string& worker,
                                                       const std::string& device_class,
                                                       double lease_seconds) override;
  absl::StatusOr<LeaseGrant> GetLease(const std::string& lease_id) override;
  absl::Status CompleteLease(const LeaseCompletion& completion) override;
  absl::StatusOr<std::vector<LostLease>> ExpireLeases() override;

  absl::StatusOr<WorkerRow> Enrol(const WorkerRow& worker, const RequestKey& request) override;
  absl::StatusOr<WorkerRow> GetWorker(const std::string& id) override;
  absl::StatusOr<std::vector<WorkerRow>> ListWorkers(const Page& page) override;
  absl::StatusOr<std::map<std::string, WorkerHold>> ListWorkerHolds() override;
  absl::StatusOr<WorkerRow> SetWorkerHold(const std::string& id, WorkerHold hold,
                                          const std::string& reason) override;
  absl::StatusOr<HeartbeatAnswer> RecordHeartbeat(const Heartbeat& heartbeat) override;

  absl::StatusOr<std::vector<RecordRow>> ListLog(const std::string& job, uint64_t after_sequence) override;
  absl::StatusOr<std::vector<RecordRow>> ListRecordsOf(const std::string& worker, double latency) override;
  absl::StatusOr<RecordRow> GetRecord(int64_t id) override;
  absl::StatusOr<std::vector<RecordRow>> QueryRecords(const std::string& project, const RecordFilter& filter,
                                                      const Page& page) override;

 private:
  SqliteStore(SqliteStoreOptions options, std::unique_ptr<Connection> writer,
              std::vector<std::unique_ptr<Connection>> readers);

  int64_t Now() const { return absl::ToUnixMicros(options_.clock()); }
  // Writes in a running job: bumps its revision, FailedPrecondition if it is not running.
  absl::Status TouchRunningJob(Connection& db, const std::string& id);
  // Ends one lease row as lost and queues its unfinished trials again: candidates singly, others together.
  absl::Status LoseLease(Connection& db, int64_t lease, const std::string& why);
  absl::Status LoseLeasesOf(Connection& db, const std::string& worker, const std::string& why);
  absl::Status CountLies(Connection& db, const std::string& worker, const std::vector<std::string>& lies);

  const SqliteStoreOptions options_;
  SqliteWriter writer_;
  SqliteReaders readers_;
};

}  // namespace hone
