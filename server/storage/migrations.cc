#include "server/storage/migrations.h"

#include "absl/strings/str_cat.h"
#include "server/execution/status_macros.h"

namespace hone {
namespace {

// Times: microseconds since 1970. `number` columns give the order of creation and the key of paging.
constexpr char kFirstSchema[] = R"sql(
CREATE TABLE tokens(
  hash TEXT PRIMARY KEY, role TEXT NOT NULL CHECK(role IN ('admin', 'user', 'worker', 'enrol')),
  subject TEXT NOT NULL, create_time INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE requests(
  principal TEXT NOT NULL, method TEXT NOT NULL, id TEXT NOT NULL, digest TEXT NOT NULL, resource TEXT NOT NULL,
  create_time INTEGER NOT NULL, PRIMARY KEY(principal, method, id)) STRICT, WITHOUT ROWID;
CREATE TABLE files(
  owner TEXT NOT NULL, position INTEGER NOT NULL, name TEXT NOT NULL, sha256 TEXT NOT NULL, size INTEGER NOT NULL,
  PRIMARY KEY(owner, position)) STRICT, WITHOUT ROWID;
CREATE TABLE models(
  number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, display_name TEXT NOT NULL, main_file TEXT NOT NULL,
  deleted INTEGER NOT NULL DEFAULT 0, create_time INTEGER NOT NULL) STRICT;
CREATE TABLE jobs(
  number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, revision INTEGER NOT NULL,
  state TEXT NOT NULL CHECK(state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
  model TEXT NOT NULL REFERENCES models(id), model_display_name TEXT NOT NULL, spec BLOB NOT NULL, progress BLOB NOT NULL,
  error TEXT NOT NULL DEFAULT '', module TEXT NOT NULL DEFAULT '', device_class TEXT NOT NULL DEFAULT '', device BLOB NOT NULL,
  cancel_requested INTEGER NOT NULL DEFAULT 0, restarts INTEGER NOT NULL DEFAULT 0, trials_done INTEGER NOT NULL DEFAULT 0,
  last_sequence INTEGER NOT NULL DEFAULT 0, create_time INTEGER NOT NULL, end_time INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE INDEX jobs_by_state ON jobs(state, number);
CREATE TABLE modules(
  number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, job TEXT NOT NULL REFERENCES jobs(id), model TEXT NOT NULL,
  target TEXT NOT NULL, report TEXT NOT NULL, create_time INTEGER NOT NULL) STRICT;
CREATE TABLE batches(
  job TEXT NOT NULL REFERENCES jobs(id), number INTEGER NOT NULL,
  kind TEXT NOT NULL CHECK(kind IN ('calibrate', 'candidates', 'module')), proposal BLOB NOT NULL,
  run_seconds REAL NOT NULL, PRIMARY KEY(job, number)) STRICT, WITHOUT ROWID;
CREATE TABLE leases(
  number INTEGER PRIMARY KEY, job TEXT NOT NULL, batch INTEGER NOT NULL,
  state TEXT NOT NULL CHECK(state IN ('queued', 'leased', 'done', 'lost', 'dropped')),
  attempts INTEGER NOT NULL DEFAULT 0, lease_id TEXT UNIQUE, worker TEXT, lease_seconds REAL NOT NULL DEFAULT 0,
  lease_until INTEGER, run_until INTEGER, FOREIGN KEY(job, batch) REFERENCES batches(job, number)) STRICT;
CREATE INDEX leases_by_state ON leases(state, number);
CREATE TABLE trials(
  job TEXT NOT NULL, trial_id TEXT NOT NULL, batch INTEGER NOT NULL, position INTEGER NOT NULL, trace TEXT NOT NULL,
  object TEXT NOT NULL, object_size INTEGER NOT NULL, predicted_seconds REAL NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
  done INTEGER NOT NULL DEFAULT 0, lease INTEGER REFERENCES leases(number), PRIMARY KEY(job, trial_id),
  FOREIGN KEY(job, batch) REFERENCES batches(job, number)) STRICT, WITHOUT ROWID;
CREATE INDEX trials_by_batch ON trials(job, batch, position);
CREATE INDEX trials_by_lease ON trials(lease);
CREATE TABLE workers(
  number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, display_name TEXT NOT NULL, device_class TEXT NOT NULL,
  device BLOB NOT NULL, create_time INTEGER NOT NULL, last_seen INTEGER NOT NULL, trials_done INTEGER NOT NULL DEFAULT 0)
  STRICT;
CREATE TABLE records(
  id INTEGER PRIMARY KEY AUTOINCREMENT, job TEXT NOT NULL REFERENCES jobs(id), sequence INTEGER NOT NULL,
  batch INTEGER NOT NULL, trial_id TEXT NOT NULL, counted INTEGER NOT NULL, model TEXT NOT NULL, task_id TEXT NOT NULL,
  task_label TEXT NOT NULL, target TEXT NOT NULL, device_class TEXT NOT NULL, worker TEXT NOT NULL, status TEXT NOT NULL,
  latency REAL, trace TEXT NOT NULL, create_time INTEGER NOT NULL, attempts INTEGER NOT NULL, record BLOB NOT NULL,
  UNIQUE(job, sequence), UNIQUE(job, trial_id)) STRICT;
CREATE INDEX records_by_task ON records(task_id, device_class);
)sql";

// Blobs that a job's leases name: kept until it has ended.
constexpr char kJobObjects[] = R"sql(
CREATE TABLE job_objects(job TEXT NOT NULL REFERENCES jobs(id), sha256 TEXT NOT NULL, PRIMARY KEY(job, sha256))
  STRICT, WITHOUT ROWID;
INSERT OR IGNORE INTO job_objects SELECT job, object FROM trials WHERE object <> '';
)sql";

// Health of workers, records of those that lied, jobs that are shown no more.
constexpr char kFleet[] = R"sql(
ALTER TABLE workers ADD COLUMN hold TEXT NOT NULL DEFAULT ''
  CHECK(hold IN ('', 'draining', 'quarantined', 'removed'));
ALTER TABLE workers ADD COLUMN hold_reason TEXT NOT NULL DEFAULT '';
ALTER TABLE workers ADD COLUMN lies INTEGER NOT NULL DEFAULT 0;
ALTER TABLE workers ADD COLUMN leases_done INTEGER NOT NULL DEFAULT 0;
ALTER TABLE workers ADD COLUMN leases_lost INTEGER NOT NULL DEFAULT 0;
ALTER TABLE workers ADD COLUMN last_failure TEXT NOT NULL DEFAULT '';
ALTER TABLE workers ADD COLUMN busy_micros INTEGER NOT NULL DEFAULT 0;
ALTER TABLE workers ADD COLUMN busy_since INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN deleted INTEGER NOT NULL DEFAULT 0;
ALTER TABLE records ADD COLUMN suspect INTEGER NOT NULL DEFAULT 0;
CREATE INDEX records_by_worker ON records(worker, latency);
CREATE INDEX records_suspect ON records(job) WHERE suspect = 1;
)sql";

// The tokens that there were speak for the user `owner`.
constexpr char kIdentity[] = R"sql(
CREATE TABLE users(
  number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,
  role TEXT NOT NULL CHECK(role IN ('viewer', 'user', 'operator', 'admin')), disabled INTEGER NOT NULL DEFAULT 0,
  create_time INTEGER NOT NULL) STRICT;
INSERT INTO users(id, role, create_time) VALUES('owner', 'admin', unixepoch() * 1000000);
CREATE TABLE identities(
  number INTEGER PRIMARY KEY, hash TEXT NOT NULL UNIQUE,
  role TEXT NOT NULL CHECK(role IN ('viewer', 'user', 'operator', 'admin', 'worker', 'enrol')),
  subject TEXT NOT NULL, label TEXT NOT NULL DEFAULT '', create_time INTEGER NOT NULL,
  expire_time INTEGER NOT NULL DEFAULT 0, revoke_time INTEGER NOT NULL DEFAULT 0) STRICT;
INSERT INTO identities(hash, role, subject, create_time)
  SELECT hash, role, subject, create_time FROM tokens ORDER BY create_time;
DROP TABLE tokens;
ALTER TABLE identities RENAME TO tokens;
)sql";

// What there was is of the project `default`. A blob is stored once, and claimed by the projects that have
// shown or made its content.
constexpr char kProjects[] = R"sql(
CREATE TABLE projects(
  number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, max_jobs INTEGER NOT NULL DEFAULT 0,
  max_storage_bytes INTEGER NOT NULL DEFAULT 0, max_device_minutes REAL NOT NULL DEFAULT 0,
  create_time INTEGER NOT NULL) STRICT;
INSERT INTO projects(id, create_time) VALUES('default', unixepoch() * 1000000);
ALTER TABLE tokens ADD COLUMN project TEXT NOT NULL DEFAULT 'default';
ALTER TABLE models ADD COLUMN project TEXT NOT NULL DEFAULT 'default';
ALTER TABLE jobs ADD COLUMN project TEXT NOT NULL DEFAULT 'default';
ALTER TABLE leases ADD COLUMN claim_time INTEGER;
CREATE INDEX jobs_by_project ON jobs(project, number);
CREATE INDEX files_by_blob ON files(sha256);
CREATE INDEX job_objects_by_blob ON job_objects(sha256);
CREATE TABLE claims(
  project TEXT NOT NULL REFERENCES projects(id), sha256 TEXT NOT NULL, size INTEGER NOT NULL,
  create_time INTEGER NOT NULL, PRIMARY KEY(project, sha256)) STRICT, WITHOUT ROWID;
INSERT OR IGNORE INTO claims SELECT 'default', sha256, size, unixepoch() * 1000000 FROM files;
CREATE TABLE usage(
  project TEXT NOT NULL REFERENCES projects(id), month TEXT NOT NULL, device_micros INTEGER NOT NULL,
  PRIMARY KEY(project, month)) STRICT, WITHOUT ROWID;
)sql";

constexpr char kResumedJobs[] = R"sql(
ALTER TABLE jobs ADD COLUMN resumed_after INTEGER NOT NULL DEFAULT 0;
)sql";

// Workers show certificates: with the token that one has it can still enrol, as the worker that it is, for 90
// days.
constexpr char kCertificates[] = R"sql(
UPDATE tokens SET role = 'enrol', label = 'of a worker without a certificate',
  expire_time = (unixepoch() + 90 * 24 * 3600) * 1000000 WHERE role = 'worker';
)sql";

// What looks through a long past asks for. records_scan: all that filters look at, in the order of the log
// and without the measurements, a sixth of the bytes.
constexpr char kLongPast[] = R"sql(
CREATE INDEX records_scan ON records(id, job, batch, trial_id, model, task_id, task_label, target, device_class,
  worker, status, latency, trace, create_time, attempts);
CREATE INDEX modules_by_job ON modules(job, number);
)sql";

constexpr Migration kMigrations[] = {
    {1, "first schema", kFirstSchema},
    {2, "objects of jobs", kJobObjects},
    {3, "fleet", kFleet},
    {4, "identity", kIdentity},
    {5, "projects", kProjects},
    {6, "resumed jobs", kResumedJobs},
    {7, "certificates", kCertificates},
    {8, "long past", kLongPast},
};

}  // namespace

std::span<const Migration> Migrations() { return kMigrations; }

absl::Status Migrate(Connection& connection) {
  int64_t version = 0;
  {
    Query query(connection, "PRAGMA user_version");
    if (query.Next()) version = query.Int(0);
    HONE_RETURN_IF_ERROR(query.status());
  }
  const int newest = Migrations().back().version;
  if (version > newest) {
    return absl::FailedPreconditionError(absl::StrCat("the database has schema ", version,
                                                      ", this build knows up to ", newest,
                                                      ": use a newer hone-server"));
  }
  for (const Migration& migration : Migrations()) {
    if (migration.version <= version) continue;
    HONE_RETURN_IF_ERROR(connection.Execute(absl::StrCat(
        "BEGIN IMMEDIATE;", migration.sql, "PRAGMA user_version=", migration.version, "; COMMIT;")));
  }
  return absl::OkStatus();
}

}  // namespace hone
