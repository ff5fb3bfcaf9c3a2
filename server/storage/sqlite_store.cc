// Opening, models, modules, workers.
#include "server/storage/sqlite_store.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "server/execution/status_macros.h"
#include "server/storage/migrations.h"
#include "server/storage/sqlite_rows.h"

namespace hone {

absl::StatusOr<std::unique_ptr<SqliteStore>> SqliteStore::Open(SqliteStoreOptions options) {
  HONE_ASSIGN_OR_RETURN(std::unique_ptr<Connection> writer,
                        Connection::Open(options.path, Connection::Mode::kWriter));
  HONE_RETURN_IF_ERROR(Migrate(*writer));
  std::vector<std::unique_ptr<Connection>> readers;
  for (int i = 0; i < options.readers; ++i) {
    HONE_ASSIGN_OR_RETURN(std::unique_ptr<Connection> reader,
                          Connection::Open(options.path, Connection::Mode::kReader));
    // Opens the log too: a reader needs no descriptor any more when it is needed first.
    HONE_RETURN_IF_ERROR(reader->Execute("SELECT 1 FROM sqlite_schema"));
    readers.push_back(std::move(reader));
  }
  return std::unique_ptr<SqliteStore>(
      new SqliteStore(std::move(options), std::move(writer), std::move(readers)));
}

SqliteStore::SqliteStore(SqliteStoreOptions options, std::unique_ptr<Connection> writer,
                         std::vector<std::unique_ptr<Connection>> readers)
    : options_(std::move(options)), writer_(std::move(writer)), readers_(std::move(readers)) {}

absl::Status SqliteStore::CheckHealth() {
  return writer_.Run([](Connection& db) { return Query(db, "SELECT 1").Run(); });
}

namespace {

constexpr char kModelColumns[] =
    "SELECT number, id, display_name, main_file, create_time, project FROM models ";

absl::Status ReadModels(Connection& db, Query& query, std::vector<ModelRow>& models) {
  while (query.Next()) {
    models.push_back(
        {query.Int(0), query.Text(1), query.Text(2), query.Text(3), {}, query.Int(4), query.Text(5)});
  }
  HONE_RETURN_IF_ERROR(query.status());
  for (ModelRow& model : models) HONE_RETURN_IF_ERROR(ReadFiles(db, "models/" + model.id, model.files));
  return absl::OkStatus();
}

absl::StatusOr<ModelRow> ReadModel(Connection& db, const std::string& id) {
  std::vector<ModelRow> models;
  Query query(db, absl::StrCat(kModelColumns, "WHERE id = ? AND deleted = 0"), id);
  HONE_RETURN_IF_ERROR(ReadModels(db, query, models));
  if (models.empty()) return absl::NotFoundError("there is no models/" + id);
  return models.front();
}

constexpr char kModuleColumns[] =
    "SELECT number, id, job, model, target, report, create_time, "
    "(SELECT project FROM jobs WHERE jobs.id = modules.job) AS project FROM modules ";

absl::Status ReadModules(Connection& db, Query& query, std::vector<ModuleRow>& modules) {
  while (query.Next()) {
    modules.push_back({query.Int(0),
                       query.Text(1),
                       query.Text(2),
                       query.Text(3),
                       query.Text(4),
                       query.Text(5),
                       {},
                       query.Int(6),
                       query.Text(7)});
  }
  HONE_RETURN_IF_ERROR(query.status());
  for (ModuleRow& module : modules) HONE_RETURN_IF_ERROR(ReadFiles(db, "modules/" + module.id, module.files));
  return absl::OkStatus();
}

constexpr char kWorkerColumns[] =
    "SELECT number, id, display_name, device_class, device, create_time, last_seen, trials_done, "
    "EXISTS(SELECT 1 FROM leases WHERE leases.worker = workers.id AND leases.state = 'leased'), "
    "hold, hold_reason, lies, leases_done, leases_lost, last_failure, busy_micros FROM workers ";

WorkerHold ParseWorkerHold(const std::string& name) {
  for (WorkerHold hold : {WorkerHold::kNone, WorkerHold::kDraining, WorkerHold::kQuarantined}) {
    if (name == WorkerHoldName(hold)) return hold;
  }
  return WorkerHold::kRemoved;
}

absl::Status ReadWorkers(Query& query, std::vector<WorkerRow>& workers) {
  while (query.Next()) {
    workers.push_back({query.Int(0), query.Text(1), query.Text(2), query.Text(3), query.Text(4), query.Int(5),
                       query.Int(6), static_cast<uint64_t>(query.Int(7)), query.Int(8) != 0,
                       ParseWorkerHold(query.Text(9)), query.Text(10), static_cast<uint32_t>(query.Int(11)),
                       static_cast<uint64_t>(query.Int(12)), static_cast<uint64_t>(query.Int(13)),
                       query.Text(14), query.Int(15)});
  }
  return query.status();
}

absl::StatusOr<WorkerRow> ReadWorker(Connection& db, const std::string& id) {
  std::vector<WorkerRow> workers;
  Query query(db, absl::StrCat(kWorkerColumns, "WHERE id = ?"), id);
  HONE_RETURN_IF_ERROR(ReadWorkers(query, workers));
  if (workers.empty()) return absl::NotFoundError("there is no workers/" + id);
  return workers.front();
}

}  // namespace

absl::StatusOr<ModelRow> SqliteStore::CreateModel(const ModelRow& model, const RequestKey& request) {
  ModelRow created;
  HONE_RETURN_IF_ERROR(writer_.Run([&](Connection& db) -> absl::Status {
    HONE_ASSIGN_OR_RETURN(std::string before, FindRequest(db, request));
    if (before.empty()) {
      HONE_RETURN_IF_ERROR(
          Query(db,
                "INSERT INTO models(id, display_name, main_file, create_time, project) VALUES(?, ?, ?, ?, ?) "
                "ON CONFLICT(id) DO UPDATE SET display_name = excluded.display_name, deleted = 0",
                model.id, model.display_name, model.main_file, Now(), model.project)
              .Run());
      HONE_RETURN_IF_ERROR(Query(db, "DELETE FROM files WHERE owner = ?", "models/" + model.id).Run());
      HONE_RETURN_IF_ERROR(InsertFiles(db, "models/" + model.id, model.files));
      HONE_RETURN_IF_ERROR(RememberRequest(db, request, model.id, Now()));
    }
    HONE_ASSIGN_OR_RETURN(created, ReadModel(db, model.id));
    return absl::OkStatus();
  }));
  return created;
}

absl::StatusOr<ModelRow> SqliteStore::GetModel(const std::string& id) {
  ModelRow model;
  HONE_RETURN_IF_ERROR(readers_.Run([&](Connection& db) -> absl::Status {
    HONE_ASSIGN_OR_RETURN(model, ReadModel(db, id));
    return absl::OkStatus();
  }));
  return model;
}

absl::StatusOr<std::vector<ModelRow>> SqliteStore::ListModels(const std::string& project, const Page& page) {
  std::vector<ModelRow> models;
  HONE_RETURN_IF_ERROR(readers_.Run([&](Connection& db) {
    Query query(db,
                absl::StrCat(kModelColumns,
                             "WHERE number > ? AND project = ? AND deleted = 0 ORDER BY number LIMIT ?"),
                page.after, project, page.limit);
    return ReadModels(db, query, models);
  }));
  return models;
}

absl::Status SqliteStore::DeleteModel(const std::string& id, const RequestKey& request) {
  return writer_.Run([&](Connection& db) -> absl::Status {
    HONE_ASSIGN_OR_RETURN(std::string before, FindRequest(db, request));
    if (!before.empty()) return absl::OkStatus();
    HONE_RETURN_IF_ERROR(ReadModel(db, id).status());
    {
      Query busy(db, "SELECT id FROM jobs WHERE model = ? AND state IN ('queued', 'running')", id);
      if (busy.Next()) {
        return absl::FailedPreconditionError(
            absl::StrCat("models/", id, " is in use by jobs/", busy.Text(0), "; cancel it first"));
      }
      HONE_RETURN_IF_ERROR(busy.status());
    }
    HONE_RETURN_IF_ERROR(Query(db, "UPDATE models SET deleted = 1 WHERE id = ?", id).Run());
    HONE_RETURN_IF_ERROR(DropUnneededClaims(db, "models/" + id, Now()));
    return RememberRequest(db, request, id, Now());
  });
}

absl::StatusOr<std::vector<std::string>> SqliteStore::ListReferencedBlobs() {
  std::vector<std::string> digests;
  HONE_RETURN_IF_ERROR(readers_.Run([&](Connection& db) -> absl::Status {
    HONE_ASSIGN_OR_RETURN(digests, ReadReferencedBlobs(db));
    return absl::OkStatus();
  }));
  return digests;
}

absl::StatusOr<std::vector<std::string>> SqliteStore::ListEndedObjects(absl::Time since) {
  std::vector<std::string> digests;
  HONE_RETURN_IF_ERROR(readers_.Run([&](Connection& db) {
    Query query(db, "SELECT sha256 FROM job_objects WHERE job IN (SELECT id FROM jobs WHERE end_time > ?)",
                std::max<int64_t>(0, absl::ToUnixMicros(since)));
    while (query.Next()) digests.push_back(query.Text(0));
    return query.status();
  }));
  return digests;
}

absl::StatusOr<StateCounts> SqliteStore::CountStates() {
  StateCounts counts;
  HONE_RETURN_IF_ERROR(readers_.Run([&](Connection& db) {
    Query jobs(db, "SELECT state, COUNT(*), SUM(trials_done) FROM jobs GROUP BY state");
    while (jobs.Next()) {
      counts.jobs[jobs.Text(0)] = jobs.Int(1);
      counts.trials_done += jobs.Int(2);
    }
    HONE_RETURN_IF_ERROR(jobs.status());
    Query leases(db, "SELECT state, COUNT(*) FROM leases WHERE state IN ('queued', 'leased') GROUP BY state");
    while (leases.Next()) counts.leases[leases.Text(0)] = leases.Int(1);
    HONE_RETURN_IF_ERROR(leases.status());
    Query workers(db, "SELECT iif(hold = '', 'none', hold), COUNT(*) FROM workers WHERE hold <> 'removed' GROUP BY hold");
    while (workers.Next()) counts.workers[workers.Text(0)] = workers.Int(1);
    return workers.status();
  }));
  return counts;
}

absl::StatusOr<ModuleRow> SqliteStore::GetModule(const std::string& id) {
  std::vector<ModuleRow> modules;
  HONE_RETURN_IF_ERROR(readers_.Run([&](Connection& db) {
    Query query(db, absl::StrCat(kModuleColumns, "WHERE id = ?"), id);
    return ReadModules(db, query, modules);
  }));
  if (modules.empty()) return absl::NotFoundError("there is no modules/" + id);
  return modules.front();
}

absl::StatusOr<std::vector<ModuleRow>> SqliteStore::ListModules(const std::string& project,
                                                                const std::string& job, const Page& page) {
  std::vector<ModuleRow> modules;
  HONE_RETURN_IF_ERROR(readers_.Run([&](Connection& db) {
    Query query(db,
                absl::StrCat(kModuleColumns, "WHERE number > ? AND ", job.empty() ? "?2 = ''" : "job = ?2",
                             " AND project = ? ORDER BY number LIMIT ?"),
                page.after, job, project, page.limit);
    return ReadModules(db, query, modules);
  }));
  return modules;
}

absl::StatusOr<WorkerRow> SqliteStore::Enrol(const WorkerRow& worker, const RequestKey& request) {
  WorkerRow enrolled;
  HONE_RETURN_IF_ERROR(writer_.Run([&](Connection& db) -> absl::Status {
    HONE_ASSIGN_OR_RETURN(std::string id, FindRequest(db, request));
    if (id.empty()) {
      id = worker.id;
      HONE_RETURN_IF_ERROR(
          Query(db,
                "INSERT INTO workers(id, display_name, device_class, device, create_time, last_seen) "
                "VALUES(?, ?, ?, ?, ?5, ?5)",
                id, worker.display_name, worker.device_class, Bytes{worker.device_bytes}, Now())
              .Run());
      HONE_RETURN_IF_ERROR(RememberRequest(db, request, id, Now()));
    }
    HONE_ASSIGN_OR_RETURN(enrolled, ReadWorker(db, id));
    return absl::OkStatus();
  }));
  return enrolled;
}

absl::StatusOr<WorkerRow> SqliteStore::GetWorker(const std::string& id) {
  WorkerRow worker;
  HONE_RETURN_IF_ERROR(readers_.Run([&](Connection& db) -> absl::Status {
    HONE_ASSIGN_OR_RETURN(worker, ReadWorker(db, id));
    return absl::OkStatus();
  }));
  return worker;
}

absl::StatusOr<std::vector<WorkerRow>> SqliteStore::ListWorkers(const Page& page) {
  std::vector<WorkerRow> workers;
  HONE_RETURN_IF_ERROR(readers_.Run([&](Connection& db) {
    Query query(
        db, absl::StrCat(kWorkerColumns, "WHERE number > ? AND hold <> 'removed' ORDER BY number LIMIT ?"),
        page.after, page.limit);
    return ReadWorkers(query, workers);
  }));
  return workers;
}

absl::StatusOr<std::map<std::string, WorkerHold>> SqliteStore::ListWorkerHolds() {
  std::map<std::string, WorkerHold> holds;
  HONE_RETURN_IF_ERROR(readers_.Run([&](Connection& db) {
    Query query(db, "SELECT id, hold FROM workers");
    while (query.Next()) holds[query.Text(0)] = ParseWorkerHold(query.Text(1));
    return query.status();
  }));
  return holds;
}

absl::StatusOr<WorkerRow> SqliteStore::SetWorkerHold(const std::string& id, WorkerHold hold,
                                                     const std::string& reason) {
  WorkerRow worker;
  HONE_RETURN_IF_ERROR(writer_.Run([&](Connection& db) -> absl::Status {
    HONE_ASSIGN_OR_RETURN(worker, ReadWorker(db, id));
    if (worker.hold == WorkerHold::kRemoved) return absl::NotFoundError("there is no workers/" + id);
    if (hold == WorkerHold::kDraining && worker.hold != WorkerHold::kNone) return absl::OkStatus();
    HONE_RETURN_IF_ERROR(Query(db,
                               "UPDATE workers SET hold = ?, hold_reason = ?, lies = CASE ?1 WHEN '' THEN 0 "
                               "ELSE lies END WHERE id = ?",
                               WorkerHoldName(hold), reason, id)
                             .Run());
    if (hold == WorkerHold::kRemoved) {
      HONE_RETURN_IF_ERROR(LoseLeasesOf(db, id, "the worker was removed"));
      HONE_RETURN_IF_ERROR(Query(db, "DELETE FROM tokens WHERE subject = ?", "workers/" + id).Run());
    }
    HONE_ASSIGN_OR_RETURN(worker, ReadWorker(db, id));
    return absl::OkStatus();
  }));
  return worker;
}

}  // namespace hone
