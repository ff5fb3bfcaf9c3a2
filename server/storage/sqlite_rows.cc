#include "server/storage/sqlite_rows.h"

#include "absl/strings/str_cat.h"
#include "server/execution/status_macros.h"

namespace hone {

const char* JobStateName(JobState state) {
  switch (state) {
    case JobState::kQueued:
      return "queued";
    case JobState::kRunning:
      return "running";
    case JobState::kSucceeded:
      return "succeeded";
    case JobState::kFailed:
      return "failed";
    case JobState::kCancelled:
      return "cancelled";
  }
  return "";
}

namespace {

JobState ParseJobState(const std::string& name) {
  for (JobState state : {JobState::kQueued, JobState::kRunning, JobState::kSucceeded, JobState::kFailed}) {
    if (name == JobStateName(state)) return state;
  }
  return JobState::kCancelled;
}

}  // namespace

const char* WorkerHoldName(WorkerHold hold) {
  switch (hold) {
    case WorkerHold::kNone:
      return "";
    case WorkerHold::kDraining:
      return "draining";
    case WorkerHold::kQuarantined:
      return "quarantined";
    case WorkerHold::kRemoved:
      return "removed";
  }
  return "";
}

const char* BatchKindName(BatchKind kind) {
  switch (kind) {
    case BatchKind::kCalibrate:
      return "calibrate";
    case BatchKind::kCandidates:
      return "candidates";
    case BatchKind::kModule:
      return "module";
  }
  return "";
}

BatchKind ParseBatchKind(const std::string& name) {
  for (BatchKind kind : {BatchKind::kCalibrate, BatchKind::kCandidates}) {
    if (name == BatchKindName(kind)) return kind;
  }
  return BatchKind::kModule;
}

absl::Status InsertFiles(Connection& db, const std::string& owner, const std::vector<FileRow>& files) {
  for (size_t i = 0; i < files.size(); ++i) {
    HONE_RETURN_IF_ERROR(
        Query(db, "INSERT INTO files(owner, position, name, sha256, size) VALUES(?, ?, ?, ?, ?)", owner,
              static_cast<int64_t>(i), files[i].name, files[i].blob.sha256, files[i].blob.size)
            .Run());
  }
  return absl::OkStatus();
}

absl::Status ReadFiles(Connection& db, const std::string& owner, std::vector<FileRow>& files) {
  Query query(db, "SELECT name, sha256, size FROM files WHERE owner = ? ORDER BY position", owner);
  while (query.Next()) {
    files.push_back({query.Text(0), {query.Text(1), static_cast<uint64_t>(query.Int(2))}});
  }
  return query.status();
}

absl::StatusOr<std::string> FindRequest(Connection& db, const RequestKey& request) {
  if (request.id.empty()) return std::string();
  Query query(db, "SELECT digest, resource FROM requests WHERE principal = ? AND method = ? AND id = ?",
              request.principal, request.method, request.id);
  if (!query.Next()) {
    HONE_RETURN_IF_ERROR(query.status());
    return std::string();
  }
  if (query.Text(0) != request.digest) {
    return absl::InvalidArgumentError(
        absl::StrCat("request_id '", request.id, "' was used before for a different ", request.method));
  }
  return query.Text(1);
}

absl::Status RememberRequest(Connection& db, const RequestKey& request, const std::string& resource,
                             int64_t now) {
  if (request.id.empty()) return absl::OkStatus();
  return Query(db,
               "INSERT INTO requests(principal, method, id, digest, resource, create_time) VALUES(?, ?, ?, "
               "?, ?, ?)",
               request.principal, request.method, request.id, request.digest, resource, now)
      .Run();
}

absl::StatusOr<std::vector<std::string>> ReadReferencedBlobs(Connection& db) {
  std::vector<std::string> digests;
  Query query(db,
              "SELECT sha256 FROM files WHERE owner NOT IN (SELECT 'models/' || id FROM models WHERE deleted = 1) "
              "UNION SELECT sha256 FROM job_objects WHERE job IN "
              "(SELECT id FROM jobs WHERE state IN ('queued', 'running'))");
  while (query.Next()) digests.push_back(query.Text(0));
  HONE_RETURN_IF_ERROR(query.status());
  return digests;
}

absl::StatusOr<JobRow> ReadJob(Connection& db, const std::string& id) {
  Query query(
      db,
      "SELECT number, id, revision, state, model, model_display_name, spec, progress, error, module, "
      "device_class, "
      "device, cancel_requested, restarts, trials_done, create_time, end_time, "
      "(SELECT COUNT(*) FROM records WHERE job = jobs.id AND suspect = 1), project, resumed_after FROM jobs "
      "WHERE id = ? AND deleted = 0",
      id);
  if (!query.Next()) {
    HONE_RETURN_IF_ERROR(query.status());
    return absl::NotFoundError("there is no jobs/" + id);
  }
  JobRow job;
  job.number = query.Int(0);
  job.id = query.Text(1);
  job.revision = static_cast<uint64_t>(query.Int(2));
  job.state = ParseJobState(query.Text(3));
  job.model = query.Text(4);
  job.model_display_name = query.Text(5);
  job.spec_bytes = query.Text(6);
  job.progress_bytes = query.Text(7);
  job.error = query.Text(8);
  job.module = query.Text(9);
  job.device_class = query.Text(10);
  job.device_bytes = query.Text(11);
  job.cancel_requested = query.Int(12) != 0;
  job.restarts = static_cast<uint32_t>(query.Int(13));
  job.trials_done = static_cast<uint64_t>(query.Int(14));
  job.create_time = query.Int(15);
  job.end_time = query.Int(16);
  job.suspect_records = static_cast<uint64_t>(query.Int(17));
  job.project = query.Text(18);
  job.resumed_after = static_cast<uint32_t>(query.Int(19));
  return job;
}

absl::Status ReadTrials(Connection& db, const std::string& where, const std::string& job, int64_t key,
                        std::vector<TrialRow>& trials) {
  Query query(
      db,
      absl::StrCat(
          "SELECT trial_id, trace, object, object_size, predicted_seconds, attempts, done FROM trials WHERE ",
          where, " ORDER BY position"),
      job, key);
  while (query.Next()) {
    trials.push_back({.trial_id = query.Text(0),
                      .trace = query.Text(1),
                      .object = {query.Text(2), static_cast<uint64_t>(query.Int(3))},
                      .predicted_seconds = query.Real(4),
                      .attempts = static_cast<uint32_t>(query.Int(5)),
                      .done = query.Int(6) != 0});
  }
  return query.status();
}

absl::Status AppendRecord(Connection& db, const RecordRow& record, uint32_t attempts, int64_t now) {
  HONE_RETURN_IF_ERROR(
      Query(db,
            "UPDATE jobs SET last_sequence = last_sequence + 1, trials_done = trials_done + ?, "
            "revision = revision + 1 WHERE id = ?",
            record.counted, record.job)
          .Run());
  HONE_RETURN_IF_ERROR(Query(db,
                             "INSERT INTO records(job, sequence, batch, trial_id, counted, model, task_id, "
                             "task_label, target, device_class, "
                             "worker, status, latency, trace, create_time, attempts, record) VALUES(?1, "
                             "(SELECT last_sequence FROM jobs "
                             "WHERE id = ?1), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                             record.job, record.batch, record.trial_id, record.counted, record.model,
                             record.task_id, record.task_label, record.target, record.device_class,
                             record.worker, record.status, record.latency_seconds, record.trace, now,
                             attempts, Bytes{record.record_bytes})
                           .Run());
  return Query(db, "UPDATE trials SET done = 1, lease = NULL WHERE job = ? AND trial_id = ?", record.job,
               record.trial_id)
      .Run();
}

}  // namespace hone
