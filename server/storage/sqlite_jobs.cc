// The job state machine: queued -> running -> succeeded | failed | cancelled, from which it may be resumed:
// -> queued. Every change bumps the revision.
#include "absl/strings/str_cat.h"
#include "server/execution/status_macros.h"
#include "server/storage/sqlite_rows.h"
#include "server/storage/sqlite_store.h"

namespace hone {
namespace {

bool HasEnded(JobState state) { return state != JobState::kQueued && state != JobState::kRunning; }

// None of this id is fine.
absl::Status DeleteModule(Connection& db, const std::string& id, int64_t now) {
  const std::string name = "modules/" + id;
  HONE_RETURN_IF_ERROR(Query(db, "DELETE FROM modules WHERE id = ?", id).Run());
  HONE_RETURN_IF_ERROR(DropUnneededClaims(db, name, now));
  return Query(db, "DELETE FROM files WHERE owner = ?", name).Run();
}

}  // namespace

absl::Status SqliteStore::TouchRunningJob(Connection& db, const std::string& id) {
  HONE_RETURN_IF_ERROR(
      Query(db, "UPDATE jobs SET revision = revision + 1 WHERE id = ? AND state = 'running'", id).Run());
  if (db.Changes() == 1) return absl::OkStatus();
  HONE_ASSIGN_OR_RETURN(JobRow job, ReadJob(db, id));
  return absl::FailedPreconditionError(
      absl::StrCat("jobs/", id, " is ", JobStateName(job.state), ", not running"));
}

absl::StatusOr<JobRow> SqliteStore::CreateJob(const JobRow& job, const RequestKey& request) {
  JobRow created;
  HONE_RETURN_IF_ERROR(writer_.Run([&](Connection& db) -> absl::Status {
    HONE_ASSIGN_OR_RETURN(std::string id, FindRequest(db, request));
    if (id.empty()) {
      id = job.id;
      {
        Query model(db, "SELECT 1 FROM models WHERE id = ? AND project = ? AND deleted = 0", job.model,
                    job.project);
        if (!model.Next()) {
          return model.status().ok() ? absl::NotFoundError("there is no models/" + job.model)
                                     : model.status();
        }
      }
      HONE_RETURN_IF_ERROR(CheckJobQuota(db, job.project, Now()));
      HONE_RETURN_IF_ERROR(
          Query(db,
                "INSERT INTO jobs(id, revision, state, model, model_display_name, spec, progress, device, "
                "create_time, project) VALUES(?, 1, 'queued', ?, ?, ?, ?, x'', ?, ?)",
                id, job.model, job.model_display_name, Bytes{job.spec_bytes}, Bytes{job.progress_bytes},
                Now(), job.project)
              .Run());
      HONE_RETURN_IF_ERROR(RememberRequest(db, request, id, Now()));
    }
    HONE_ASSIGN_OR_RETURN(created, ReadJob(db, id));
    return absl::OkStatus();
  }));
  return created;
}

absl::StatusOr<JobRow> SqliteStore::GetJob(const std::string& id) {
  JobRow job;
  HONE_RETURN_IF_ERROR(readers_.Run([&](Connection& db) -> absl::Status {
    HONE_ASSIGN_OR_RETURN(job, ReadJob(db, id));
    return absl::OkStatus();
  }));
  return job;
}

absl::StatusOr<std::vector<JobRow>> SqliteStore::ListJobs(const std::string& project, const Page& page) {
  std::vector<JobRow> jobs;
  HONE_RETURN_IF_ERROR(readers_.Run([&](Connection& db) -> absl::Status {
    std::vector<std::string> ids;
    {
      Query query(
          db, "SELECT id FROM jobs WHERE number > ? AND project = ? AND deleted = 0 ORDER BY number LIMIT ?",
          page.after, project, page.limit);
      while (query.Next()) ids.push_back(query.Text(0));
      HONE_RETURN_IF_ERROR(query.status());
    }
    for (const std::string& id : ids) {
      HONE_ASSIGN_OR_RETURN(JobRow job, ReadJob(db, id));
      jobs.push_back(std::move(job));
    }
    return absl::OkStatus();
  }));
  return jobs;
}

absl::StatusOr<std::vector<std::string>> SqliteStore::ListJobIds(JobState state) {
  std::vector<std::string> ids;
  HONE_RETURN_IF_ERROR(readers_.Run([&](Connection& db) {
    Query query(db, "SELECT id FROM jobs WHERE state = ? ORDER BY number", JobStateName(state));
    while (query.Next()) ids.push_back(query.Text(0));
    return query.status();
  }));
  return ids;
}

absl::StatusOr<JobRow> SqliteStore::RequestCancel(const std::string& id) {
  JobRow job;
  HONE_RETURN_IF_ERROR(writer_.Run([&](Connection& db) -> absl::Status {
    HONE_RETURN_IF_ERROR(
        Query(db,
              "UPDATE jobs SET cancel_requested = 1, revision = revision + 1 WHERE id = ? AND "
              "state = 'running' AND cancel_requested = 0",
              id)
            .Run());
    HONE_RETURN_IF_ERROR(
        Query(db,
              "UPDATE jobs SET cancel_requested = 1, revision = revision + 1, state = 'cancelled', "
              "error = 'cancelled before it started', end_time = ? WHERE id = ? AND state = 'queued'",
              Now(), id)
            .Run());
    HONE_ASSIGN_OR_RETURN(job, ReadJob(db, id));
    return absl::OkStatus();
  }));
  return job;
}

absl::StatusOr<JobRow> SqliteStore::ResumeJob(const std::string& id, const ExtendJob& extend,
                                              const RequestKey& request) {
  JobRow job;
  HONE_RETURN_IF_ERROR(writer_.Run([&](Connection& db) -> absl::Status {
    HONE_ASSIGN_OR_RETURN(const std::string before, FindRequest(db, request));
    HONE_ASSIGN_OR_RETURN(job, ReadJob(db, id));
    if (!before.empty()) return absl::OkStatus();
    if (!HasEnded(job.state))
      return absl::FailedPreconditionError(absl::StrCat("jobs/", id, " is ", JobStateName(job.state)));
    {
      Query model(db, "SELECT 1 FROM models WHERE id = ? AND deleted = 0", job.model);
      if (!model.Next()) {
        HONE_RETURN_IF_ERROR(model.status());
        return absl::FailedPreconditionError(
            absl::StrCat("the model of jobs/", id, " is deleted: upload it again"));
      }
    }
    HONE_RETURN_IF_ERROR(CheckJobQuota(db, job.project, Now()));
    HONE_RETURN_IF_ERROR(extend(job));
    // What its leases named is needed no more, and may be gone.
    for (const char* sql :
         {"DELETE FROM trials WHERE job = ? AND done = 0", "DELETE FROM job_objects WHERE job = ?"}) {
      HONE_RETURN_IF_ERROR(Query(db, sql, id).Run());
    }
    HONE_RETURN_IF_ERROR(Query(db,
                               "UPDATE jobs SET state = 'queued', revision = revision + 1, spec = ?1, "
                               "progress = ?2, error = '', "
                               "cancel_requested = 0, end_time = 0, resumed_after = "
                               "(SELECT COALESCE(MAX(number), 0) FROM batches WHERE job = ?3) WHERE id = ?3",
                               Bytes{job.spec_bytes}, Bytes{job.progress_bytes}, id)
                             .Run());
    HONE_RETURN_IF_ERROR(RememberRequest(db, request, id, Now()));
    HONE_ASSIGN_OR_RETURN(job, ReadJob(db, id));
    return absl::OkStatus();
  }));
  return job;
}

absl::Status SqliteStore::DeleteJob(const std::string& id, const RequestKey& request) {
  return writer_.Run([&](Connection& db) -> absl::Status {
    HONE_ASSIGN_OR_RETURN(std::string before, FindRequest(db, request));
    if (!before.empty()) return absl::OkStatus();
    HONE_ASSIGN_OR_RETURN(const JobRow job, ReadJob(db, id));
    if (!HasEnded(job.state))
      return absl::FailedPreconditionError(absl::StrCat("jobs/", id, " has not ended; cancel it first"));
    for (const char* sql :
         {"DELETE FROM job_objects WHERE job = ?", "UPDATE jobs SET deleted = 1 WHERE id = ?"}) {
      HONE_RETURN_IF_ERROR(Query(db, sql, id).Run());
    }
    HONE_RETURN_IF_ERROR(DeleteModule(db, job.module, Now()));
    return RememberRequest(db, request, id, Now());
  });
}

absl::Status SqliteStore::StartJob(const std::string& id) {
  return writer_.Run([&](Connection& db) -> absl::Status {
    HONE_RETURN_IF_ERROR(
        Query(db,
              "UPDATE jobs SET state = 'running', revision = revision + 1 WHERE id = ? AND state = 'queued'",
              id)
            .Run());
    if (db.Changes() == 1) return absl::OkStatus();
    HONE_RETURN_IF_ERROR(ReadJob(db, id).status());
    return absl::FailedPreconditionError(absl::StrCat("jobs/", id, " is not queued"));
  });
}

absl::Status SqliteStore::SetProgress(const std::string& id, const std::string& progress_bytes) {
  return writer_.Run([&](Connection& db) -> absl::Status {
    HONE_RETURN_IF_ERROR(TouchRunningJob(db, id));
    return Query(db, "UPDATE jobs SET progress = ? WHERE id = ?", Bytes{progress_bytes}, id).Run();
  });
}

absl::StatusOr<JobRow> SqliteStore::ChooseDevice(const std::string& id, const std::string& device_class,
                                                 const std::string& device_bytes) {
  JobRow job;
  HONE_RETURN_IF_ERROR(writer_.Run([&](Connection& db) -> absl::Status {
    HONE_RETURN_IF_ERROR(TouchRunningJob(db, id));
    HONE_RETURN_IF_ERROR(
        Query(db, "UPDATE jobs SET device_class = ?, device = ? WHERE id = ? AND device_class = ''",
              device_class, Bytes{device_bytes}, id)
            .Run());
    HONE_ASSIGN_OR_RETURN(job, ReadJob(db, id));
    return absl::OkStatus();
  }));
  return job;
}

absl::Status SqliteStore::CountRestart(const std::string& id) {
  return writer_.Run([&](Connection& db) -> absl::Status {
    HONE_RETURN_IF_ERROR(TouchRunningJob(db, id));
    return Query(db, "UPDATE jobs SET restarts = restarts + 1 WHERE id = ?", id).Run();
  });
}

absl::Status SqliteStore::EndJob(const std::string& id, JobState state, const std::string& error,
                                 const std::optional<ModuleRow>& module) {
  return writer_.Run([&](Connection& db) -> absl::Status {
    HONE_RETURN_IF_ERROR(TouchRunningJob(db, id));
    if (module) {
      HONE_RETURN_IF_ERROR(DeleteModule(db, module->id, Now()));
      HONE_RETURN_IF_ERROR(
          Query(db,
                "INSERT INTO modules(id, job, model, target, report, create_time) VALUES(?, ?, ?, ?, ?, ?)",
                module->id, id, module->model, module->target, module->report_json, Now())
              .Run());
      HONE_RETURN_IF_ERROR(InsertFiles(db, "modules/" + module->id, module->files));
      HONE_RETURN_IF_ERROR(ClaimModule(db, module->id, Now()));
    }
    HONE_RETURN_IF_ERROR(CountDeviceTime(db, id, kAllLeases, Now()));
    HONE_RETURN_IF_ERROR(
        Query(db, "UPDATE leases SET state = 'dropped' WHERE job = ? AND state IN ('queued', 'leased')", id)
            .Run());
    return Query(db,
                 "UPDATE jobs SET state = ?, error = CASE ?2 WHEN '' THEN error ELSE ?2 END, "
                 "module = CASE ?3 WHEN '' THEN module ELSE ?3 END, end_time = ? WHERE id = ?",
                 JobStateName(state), error, module ? module->id : std::string(), Now(), id)
        .Run();
  });
}

}  // namespace hone
