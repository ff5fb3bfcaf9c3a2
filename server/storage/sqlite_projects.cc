// Projects: their quotas, what they use of them, and which blobs they may see.
#include "absl/strings/str_cat.h"
#include "absl/time/civil_time.h"
#include "absl/time/time.h"
#include "server/execution/status_macros.h"
#include "server/storage/sqlite_rows.h"
#include "server/storage/sqlite_store.h"

namespace hone {
namespace {

constexpr double kMicrosPerMinute = 60e6;
constexpr char kRemedy[] = "; an admin raises it with 'hone project set-quota'";

// A calendar month, UTC, with its times [begin, end).
struct Month {
  std::string name;  // "2026-11"
  int64_t begin = 0, end = 0;
};

Month MonthAt(absl::CivilMonth month) {
  const auto begin_of = [](absl::CivilMonth m) {
    return absl::ToUnixMicros(absl::FromCivil(absl::CivilSecond(m), absl::UTCTimeZone()));
  };
  return {absl::FormatCivilTime(month), begin_of(month), begin_of(month + 1)};
}

Month MonthOf(int64_t micros) {
  return MonthAt(absl::ToCivilMonth(absl::FromUnixMicros(micros), absl::UTCTimeZone()));
}

absl::StatusOr<Month> ParseMonth(const std::string& text, int64_t now) {
  if (text.empty()) return MonthOf(now);
  absl::CivilMonth month;
  if (absl::ParseCivilTime(text, &month) && absl::FormatCivilTime(month) == text) return MonthAt(month);
  return absl::InvalidArgumentError("a month is written like 2026-11");
}

absl::StatusOr<std::vector<ProjectRow>> ReadProjects(Connection& db, const std::string& id,
                                                     const Month& month, const Page& page) {
  Query query(
      db,
      "WITH made AS (SELECT project, trials_done FROM jobs WHERE create_time >= ?1 AND create_time < ?2) "
      "SELECT number, id, max_jobs, max_storage_bytes, max_device_minutes, create_time, "
      "(SELECT COUNT(*) FROM jobs WHERE project = projects.id AND state IN ('queued', 'running')), "
      "(SELECT IFNULL(SUM(size), 0) FROM claims WHERE project = projects.id), "
      "(SELECT COUNT(*) FROM made WHERE project = projects.id), "
      "(SELECT IFNULL(SUM(trials_done), 0) FROM made WHERE project = projects.id), "
      "(SELECT IFNULL(SUM(device_micros), 0) FROM usage WHERE project = projects.id AND month = ?3) "
      "FROM projects WHERE number > ?4 AND (?5 = '' OR id = ?5) ORDER BY number LIMIT ?6",
      month.begin, month.end, month.name, page.after, id, page.limit);
  std::vector<ProjectRow> projects;
  while (query.Next()) {
    projects.push_back({.number = query.Int(0),
                        .id = query.Text(1),
                        .max_jobs = static_cast<uint32_t>(query.Int(2)),
                        .max_storage_bytes = static_cast<uint64_t>(query.Int(3)),
                        .max_device_minutes = query.Real(4),
                        .create_time = query.Int(5),
                        .unfinished_jobs = static_cast<uint32_t>(query.Int(6)),
                        .storage_bytes = static_cast<uint64_t>(query.Int(7)),
                        .jobs = static_cast<uint64_t>(query.Int(8)),
                        .trials = static_cast<uint64_t>(query.Int(9)),
                        .device_minutes = static_cast<double>(query.Int(10)) / kMicrosPerMinute});
  }
  HONE_RETURN_IF_ERROR(query.status());
  return projects;
}

absl::StatusOr<ProjectRow> ReadProject(Connection& db, const std::string& id, int64_t now) {
  HONE_ASSIGN_OR_RETURN(const std::vector<ProjectRow> rows, ReadProjects(db, id, MonthOf(now), {0, 1}));
  if (rows.empty() || id.empty()) return absl::NotFoundError("there is no projects/" + id);
  return rows.front();
}

absl::StatusOr<bool> Exists(Query&& query) {
  const bool found = query.Next();
  HONE_RETURN_IF_ERROR(query.status());
  return found;
}

absl::StatusOr<bool> IsClaimed(Connection& db, const std::string& project, const std::string& sha256) {
  return Exists(Query(db, "SELECT 1 FROM claims WHERE project = ? AND sha256 = ?", project, sha256));
}

// The quotas of a project, and what counts against those that it has.
absl::StatusOr<ProjectRow> ReadQuotas(Connection& db, const std::string& id, int64_t now) {
  Query query(
      db,
      "SELECT max_jobs, max_storage_bytes, max_device_minutes, "
      "CASE WHEN max_jobs > 0 THEN (SELECT COUNT(*) FROM jobs WHERE state IN ('queued', 'running') AND "
      "+project = projects.id) END, "
      "CASE WHEN max_storage_bytes > 0 THEN (SELECT SUM(size) FROM claims WHERE project = projects.id) END, "
      "(SELECT device_micros FROM usage WHERE project = projects.id AND month = ?2) "
      "FROM projects WHERE id = ?1",
      id, MonthOf(now).name);
  if (!query.Next()) {
    HONE_RETURN_IF_ERROR(query.status());
    return absl::NotFoundError("there is no projects/" + id);
  }
  return ProjectRow{.max_jobs = static_cast<uint32_t>(query.Int(0)),
                    .max_storage_bytes = static_cast<uint64_t>(query.Int(1)),
                    .max_device_minutes = query.Real(2),
                    .unfinished_jobs = static_cast<uint32_t>(query.Int(3)),
                    .storage_bytes = static_cast<uint64_t>(query.Int(4)),
                    .device_minutes = static_cast<double>(query.Int(5)) / kMicrosPerMinute};
}

absl::Status CheckRoom(Connection& db, const std::string& project, const BlobId& blob, int64_t now) {
  HONE_ASSIGN_OR_RETURN(const ProjectRow row, ReadQuotas(db, project, now));
  if (row.max_storage_bytes == 0 ||
      (row.storage_bytes <= row.max_storage_bytes && blob.size <= row.max_storage_bytes - row.storage_bytes))
    return absl::OkStatus();
  HONE_ASSIGN_OR_RETURN(const bool known, IsClaimed(db, project, blob.sha256));
  if (known) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("projects/", project, " stores ", row.storage_bytes, " of the ", row.max_storage_bytes,
                   " bytes that it may; ", blob.size, " more do not fit: delete models or jobs", kRemedy));
}

}  // namespace

absl::Status CheckJobQuota(Connection& db, const std::string& project, int64_t now) {
  HONE_ASSIGN_OR_RETURN(const ProjectRow row, ReadQuotas(db, project, now));
  if (row.max_jobs > 0 && row.unfinished_jobs >= row.max_jobs) {
    return absl::ResourceExhaustedError(absl::StrCat("projects/", project, " may have ", row.max_jobs,
                                                     " unfinished jobs, and has them: wait, or cancel one",
                                                     kRemedy));
  }
  if (row.max_device_minutes > 0 && row.device_minutes >= row.max_device_minutes) {
    return absl::ResourceExhaustedError(absl::StrCat("projects/", project, " has used its ",
                                                     row.max_device_minutes, " device minutes of this month",
                                                     kRemedy));
  }
  return absl::OkStatus();
}

absl::Status CountDeviceTime(Connection& db, const std::string& job, int64_t lease, int64_t now) {
  const std::string month = MonthOf(now).name;
  HONE_RETURN_IF_ERROR(
      Query(db,
            "INSERT INTO usage(project, month, device_micros) "
            "SELECT j.project, ?1, SUM(MAX(0, ?2 - IFNULL(l.claim_time, ?2))) FROM leases l JOIN jobs j ON "
            "j.id = l.job WHERE l.state = 'leased' AND l.job = ?3 AND (?4 = 0 OR l.number = ?4) "
            "GROUP BY j.project ON CONFLICT(project, month) DO UPDATE SET "
            "device_micros = device_micros + excluded.device_micros",
            month, now, job, lease)
          .Run());
  return Query(db,
               "UPDATE jobs SET cancel_requested = 1, revision = revision + 1, "
               "error = 'ended with the best so far: its project has used the device minutes of this month' "
               "WHERE state = 'running' AND cancel_requested = 0 AND project = ("
               "SELECT p.id FROM projects p JOIN usage u ON u.project = p.id AND u.month = ? "
               "JOIN jobs j ON j.project = p.id WHERE j.id = ? AND p.max_device_minutes > 0 AND "
               "u.device_micros >= p.max_device_minutes * ?)",
               month, job, kMicrosPerMinute)
      .Run();
}

absl::Status ClaimModule(Connection& db, const std::string& module, int64_t now) {
  return Query(db,
               "INSERT OR IGNORE INTO claims(project, sha256, size, create_time) SELECT j.project, f.sha256, "
               "f.size, ? FROM modules m JOIN jobs j ON j.id = m.job JOIN files f ON f.owner = 'modules/' || "
               "m.id "
               "WHERE m.id = ?",
               now, module)
      .Run();
}

absl::Status DropUnneededClaims(Connection& db, const std::string& owner, int64_t before) {
  return Query(db,
               "DELETE FROM claims WHERE create_time < ?1 AND "
               "(?2 = '' OR sha256 IN (SELECT sha256 FROM files WHERE owner = ?2)) AND NOT EXISTS("
               "SELECT 1 FROM files f JOIN models m ON m.id = substr(f.owner, 8) WHERE "
               "f.sha256 = claims.sha256 AND f.owner GLOB 'models/*' AND m.project = claims.project AND "
               "m.deleted = 0) AND NOT EXISTS("
               "SELECT 1 FROM files f JOIN modules m ON m.id = substr(f.owner, 9) JOIN jobs j ON "
               "j.id = m.job WHERE f.sha256 = claims.sha256 AND f.owner GLOB 'modules/*' AND "
               "j.project = claims.project)",
               before, owner)
      .Run();
}

absl::StatusOr<ProjectRow> SqliteStore::CreateProject(const ProjectRow& project) {
  ProjectRow created;
  HONE_RETURN_IF_ERROR(writer_.Run([&](Connection& db) -> absl::Status {
    HONE_RETURN_IF_ERROR(Query(db,
                               "INSERT INTO projects(id, max_jobs, max_storage_bytes, max_device_minutes, "
                               "create_time) VALUES(?, ?, ?, ?, ?) ON CONFLICT(id) DO NOTHING",
                               project.id, project.max_jobs, project.max_storage_bytes,
                               project.max_device_minutes, Now())
                             .Run());
    if (db.Changes() == 0)
      return absl::AlreadyExistsError(absl::StrCat("there is a projects/", project.id, " already"));
    HONE_ASSIGN_OR_RETURN(created, ReadProject(db, project.id, Now()));
    return absl::OkStatus();
  }));
  return created;
}

absl::StatusOr<std::vector<ProjectRow>> SqliteStore::ListProjects(const std::string& id,
                                                                  const std::string& month,
                                                                  const Page& page) {
  HONE_ASSIGN_OR_RETURN(const Month asked, ParseMonth(month, Now()));
  std::vector<ProjectRow> projects;
  HONE_RETURN_IF_ERROR(readers_.Run([&](Connection& db) -> absl::Status {
    HONE_ASSIGN_OR_RETURN(projects, ReadProjects(db, id, asked, page));
    return absl::OkStatus();
  }));
  return projects;
}

absl::StatusOr<ProjectRow> SqliteStore::UpdateProject(const std::string& id, const ProjectQuotas& quotas) {
  ProjectRow updated;
  HONE_RETURN_IF_ERROR(writer_.Run([&](Connection& db) -> absl::Status {
    HONE_RETURN_IF_ERROR(
        Query(db,
              "UPDATE projects SET max_jobs = IFNULL(?, max_jobs), max_storage_bytes = "
              "IFNULL(?, max_storage_bytes), max_device_minutes = IFNULL(?, max_device_minutes) "
              "WHERE id = ?",
              quotas.max_jobs, quotas.max_storage_bytes, quotas.max_device_minutes, id)
            .Run());
    HONE_ASSIGN_OR_RETURN(updated, ReadProject(db, id, Now()));
    return absl::OkStatus();
  }));
  return updated;
}

absl::StatusOr<bool> SqliteStore::HasClaim(const std::string& project, const std::string& sha256) {
  bool claimed = false;
  HONE_RETURN_IF_ERROR(readers_.Run([&](Connection& db) -> absl::Status {
    HONE_ASSIGN_OR_RETURN(claimed, IsClaimed(db, project, sha256));
    return absl::OkStatus();
  }));
  return claimed;
}

absl::Status SqliteStore::CheckStorage(const std::string& project, const BlobId& blob) {
  return readers_.Run([&](Connection& db) { return CheckRoom(db, project, blob, Now()); });
}

absl::Status SqliteStore::ClaimBlob(const std::string& project, const BlobId& blob) {
  return writer_.Run([&](Connection& db) -> absl::Status {
    HONE_RETURN_IF_ERROR(CheckRoom(db, project, blob, Now()));
    return Query(db,
                 "INSERT INTO claims(project, sha256, size, create_time) VALUES(?, ?, ?, ?) "
                 "ON CONFLICT(project, sha256) DO UPDATE SET create_time = excluded.create_time",
                 project, blob.sha256, blob.size, Now())
        .Run();
  });
}

absl::Status SqliteStore::DropClaims(absl::Time before) {
  return writer_.Run([&](Connection& db) { return DropUnneededClaims(db, "", absl::ToUnixMicros(before)); });
}

absl::StatusOr<bool> SqliteStore::IsJobObject(const std::string& sha256) {
  bool named = false;
  HONE_RETURN_IF_ERROR(readers_.Run([&](Connection& db) -> absl::Status {
    HONE_ASSIGN_OR_RETURN(named, Exists(Query(db, "SELECT 1 FROM job_objects WHERE sha256 = ?", sha256)));
    return absl::OkStatus();
  }));
  return named;
}

}  // namespace hone
