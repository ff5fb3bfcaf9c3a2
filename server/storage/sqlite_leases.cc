// Batches, trials and leases. A lease row is one piece of work: queued -> leased -> done | lost | dropped. A
// lost lease's trials go on in new rows, so a lease_id names one attempt for ever: the fence of
// CompleteLease.
#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "server/auth/secrets.h"
#include "server/execution/status_macros.h"
#include "server/storage/sqlite_rows.h"
#include "server/storage/sqlite_store.h"

namespace hone {
namespace {

// Parameters: the time, the worker.
constexpr char kEndTenure[] =
    "busy_micros = busy_micros + MAX(0, ?1 - busy_since), busy_since = ?1 WHERE id = ?2";
constexpr char kLeaseTrials[] = "job = ? AND lease = ? AND done = 0";

int64_t Micros(double seconds) { return std::llround(seconds * 1e6); }

// Reads the grant of a lease row; `number` is the row.
absl::Status ReadGrant(Connection& db, int64_t number, LeaseGrant& grant) {
  {
    Query query(
        db,
        "SELECT l.lease_id, l.worker, l.lease_seconds, l.job, l.batch, b.kind, b.proposal, b.run_seconds, "
        "j.model_display_name, j.spec, j.device_class FROM leases l JOIN batches b ON b.job = l.job AND "
        "b.number = l.batch "
        "JOIN jobs j ON j.id = l.job WHERE l.number = ?",
        number);
    if (!query.Next()) return query.status().ok() ? absl::NotFoundError("the lease is gone") : query.status();
    grant.lease_id = query.Text(0);
    grant.worker = query.Text(1);
    grant.lease_seconds = query.Real(2);
    grant.batch = {.job = query.Text(3),
                   .number = static_cast<uint32_t>(query.Int(4)),
                   .kind = ParseBatchKind(query.Text(5)),
                   .proposal_bytes = query.Text(6),
                   .run_seconds = query.Real(7)};
    grant.model_display_name = query.Text(8);
    grant.spec_bytes = query.Text(9);
    grant.device_class = query.Text(10);
  }
  return ReadTrials(db, kLeaseTrials, grant.batch.job, number, grant.trials);
}

absl::StatusOr<int64_t> QueueLease(Connection& db, const std::string& job, uint32_t batch,
                                   uint32_t attempts) {
  HONE_RETURN_IF_ERROR(Query(db, "INSERT INTO leases(job, batch, state, attempts) VALUES(?, ?, 'queued', ?)",
                             job, batch, attempts)
                           .Run());
  return db.LastRowId();
}

absl::Status AssignTrial(Connection& db, const std::string& job, const std::string& trial_id, int64_t lease) {
  return Query(db, "UPDATE trials SET lease = ? WHERE job = ? AND trial_id = ?", lease, job, trial_id).Run();
}

// The row of a lease that this worker holds; any worker's if `worker` is empty. NotFound otherwise.
absl::StatusOr<int64_t> FindHeld(Connection& db, const std::string& lease_id, const std::string& worker) {
  Query query(
      db, "SELECT number FROM leases WHERE lease_id = ? AND state = 'leased' AND (?2 = '' OR worker = ?2)",
      lease_id, worker);
  if (query.Next()) return query.Int(0);
  HONE_RETURN_IF_ERROR(query.status());
  return absl::NotFoundError("nobody holds this lease");
}

absl::Status AppendIncumbent(Connection& db, const LeaseCompletion& completion, int64_t now) {
  RecordRow record = *completion.incumbent;
  {
    Query before(db, "SELECT 1 FROM records WHERE job = ? AND trial_id = ?", record.job, record.trial_id);
    if (before.Next()) return absl::OkStatus();
    HONE_RETURN_IF_ERROR(before.status());
  }
  {
    Query trial(db, "SELECT trace FROM trials WHERE job = ? AND trial_id = ?", record.job,
                completion.incumbent_trial);
    if (trial.Next()) record.trace = trial.Text(0);
    HONE_RETURN_IF_ERROR(trial.status());
  }
  return AppendRecord(db, record, 1, now);
}

}  // namespace

absl::Status SqliteStore::StoreBatch(const BatchRow& batch, const std::vector<TrialRow>& trials,
                                     const std::vector<RecordRow>& ended) {
  return writer_.Run([&](Connection& db) -> absl::Status {
    HONE_RETURN_IF_ERROR(TouchRunningJob(db, batch.job));
    {
      Query last(db, "SELECT COALESCE(MAX(number), 0) FROM batches WHERE job = ?", batch.job);
      if (last.Next() && last.Int(0) + 1 != batch.number) {
        return absl::FailedPreconditionError(
            absl::StrCat("batch ", batch.number, " does not follow batch ", last.Int(0)));
      }
      HONE_RETURN_IF_ERROR(last.status());
    }
    HONE_RETURN_IF_ERROR(
        Query(db, "INSERT INTO batches(job, number, kind, proposal, run_seconds) VALUES(?, ?, ?, ?, ?)",
              batch.job, batch.number, BatchKindName(batch.kind), Bytes{batch.proposal_bytes},
              batch.run_seconds)
            .Run());
    for (const std::string& object : batch.objects) {
      HONE_RETURN_IF_ERROR(
          Query(db, "INSERT OR IGNORE INTO job_objects(job, sha256) VALUES(?, ?)", batch.job, object).Run());
    }
    std::optional<int64_t> lease;
    if (ended.size() < trials.size() || trials.empty()) {
      HONE_ASSIGN_OR_RETURN(lease, QueueLease(db, batch.job, batch.number, 0));
    }
    for (size_t i = 0; i < trials.size(); ++i) {
      HONE_RETURN_IF_ERROR(
          Query(db,
                "INSERT INTO trials(job, trial_id, batch, position, trace, object, object_size, "
                "predicted_seconds, lease) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)",
                batch.job, trials[i].trial_id, batch.number, static_cast<int64_t>(i), trials[i].trace,
                trials[i].object.sha256, trials[i].object.size, trials[i].predicted_seconds, lease)
              .Run());
    }
    for (const RecordRow& record : ended) HONE_RETURN_IF_ERROR(AppendRecord(db, record, 0, Now()));
    return absl::OkStatus();
  });
}

absl::StatusOr<std::vector<StoredBatchRow>> SqliteStore::ListBatches(const std::string& job) {
  std::vector<StoredBatchRow> batches;
  HONE_RETURN_IF_ERROR(readers_.Run([&](Connection& db) -> absl::Status {
    {
      Query query(db, "SELECT number, kind, proposal, run_seconds FROM batches WHERE job = ? ORDER BY number",
                  job);
      while (query.Next()) {
        batches.push_back({.batch = {.job = job,
                                     .number = static_cast<uint32_t>(query.Int(0)),
                                     .kind = ParseBatchKind(query.Text(1)),
                                     .proposal_bytes = query.Text(2),
                                     .run_seconds = query.Real(3)}});
      }
      HONE_RETURN_IF_ERROR(query.status());
    }
    for (StoredBatchRow& row : batches) {
      HONE_RETURN_IF_ERROR(ReadTrials(db, "job = ? AND batch = ?", job, row.batch.number, row.trials));
    }
    return absl::OkStatus();
  }));
  return batches;
}

absl::StatusOr<std::optional<LeaseGrant>> SqliteStore::ClaimLease(const std::string& worker,
                                                                  const std::string& device_class,
                                                                  double lease_seconds) {
  std::optional<LeaseGrant> grant;
  HONE_RETURN_IF_ERROR(writer_.Run([&](Connection& db) -> absl::Status {
    int64_t number, run_until;
    const int64_t now = Now();
    {
      Query held(db, "SELECT 1 FROM workers WHERE id = ? AND hold <> ''", worker);
      if (held.Next() || !held.status().ok()) return held.status();
    }
    {
      Query query(
          db,
          "SELECT l.number, b.run_seconds FROM leases l JOIN jobs j ON j.id = l.job JOIN batches b ON b.job "
          "= l.job "
          "AND b.number = l.batch WHERE l.state = 'queued' AND j.state = 'running' AND j.device_class = ? "
          "ORDER BY l.number LIMIT 1",
          device_class);
      if (!query.Next()) return query.status();
      number = query.Int(0);
      run_until = query.Real(1) > 0 ? now + Micros(query.Real(1)) : INT64_MAX;
    }
    HONE_RETURN_IF_ERROR(
        Query(db,
              "UPDATE leases SET state = 'leased', attempts = attempts + 1, lease_id = ?, worker = ?, "
              "lease_seconds = ?, lease_until = ?, run_until = ?, claim_time = ? WHERE number = ?",
              RandomHex(16), worker, lease_seconds, std::min(run_until, now + Micros(lease_seconds)),
              run_until, now, number)
            .Run());
    HONE_RETURN_IF_ERROR(
        Query(db, "UPDATE trials SET attempts = attempts + 1 WHERE lease = ? AND done = 0", number).Run());
    HONE_RETURN_IF_ERROR(Query(db, "UPDATE workers SET busy_since = ? WHERE id = ?", now, worker).Run());
    return ReadGrant(db, number, grant.emplace());
  }));
  return grant;
}

absl::StatusOr<LeaseGrant> SqliteStore::GetLease(const std::string& lease_id) {
  LeaseGrant grant;
  HONE_RETURN_IF_ERROR(readers_.Run([&](Connection& db) -> absl::Status {
    HONE_ASSIGN_OR_RETURN(int64_t number, FindHeld(db, lease_id, ""));
    return ReadGrant(db, number, grant);
  }));
  return grant;
}

absl::Status SqliteStore::CompleteLease(const LeaseCompletion& completion) {
  return writer_.Run([&](Connection& db) -> absl::Status {
    HONE_ASSIGN_OR_RETURN(int64_t number, FindHeld(db, completion.lease_id, completion.worker));
    LeaseGrant grant;
    HONE_RETURN_IF_ERROR(ReadGrant(db, number, grant));
    uint64_t stored = 0;
    for (const RecordRow& record : completion.ended) {
      auto trial = std::find_if(grant.trials.begin(), grant.trials.end(),
                                [&](const TrialRow& row) { return row.trial_id == record.trial_id; });
      if (trial == grant.trials.end()) continue;  // not of this lease: no business of this worker's
      HONE_RETURN_IF_ERROR(AppendRecord(db, record, trial->attempts, Now()));
      grant.trials.erase(trial);
      ++stored;
    }
    if (completion.incumbent) HONE_RETURN_IF_ERROR(AppendIncumbent(db, completion, Now()));
    HONE_RETURN_IF_ERROR(
        Query(db, "UPDATE workers SET trials_done = trials_done + ? WHERE id = ?", stored, grant.worker)
            .Run());
    if (!grant.trials.empty()) {
      HONE_RETURN_IF_ERROR(LoseLease(db, number, completion.failure));
      return CountLies(db, grant.worker, completion.lies);
    }
    HONE_RETURN_IF_ERROR(CountLies(db, grant.worker, completion.lies));
    HONE_RETURN_IF_ERROR(
        Query(db, absl::StrCat("UPDATE workers SET leases_done = leases_done + 1, ", kEndTenure), Now(),
              grant.worker)
            .Run());
    HONE_RETURN_IF_ERROR(CountDeviceTime(db, grant.batch.job, number, Now()));
    HONE_RETURN_IF_ERROR(
        Query(db, "UPDATE leases SET state = 'done' WHERE number = ? AND lease_id = ? AND state = 'leased'",
              number, completion.lease_id)
            .Run());
    return absl::OkStatus();
  });
}

// Three lies are one too many: nothing that this worker ever told is believed any more.
absl::Status SqliteStore::CountLies(Connection& db, const std::string& worker,
                                    const std::vector<std::string>& lies) {
  if (lies.empty()) return absl::OkStatus();
  HONE_RETURN_IF_ERROR(
      Query(db, "UPDATE workers SET lies = lies + ? WHERE id = ?", static_cast<int64_t>(lies.size()), worker)
          .Run());
  HONE_RETURN_IF_ERROR(Query(db,
                             "UPDATE workers SET hold = 'quarantined', hold_reason = ? WHERE id = ? AND "
                             "lies >= ? AND hold IN ('', 'draining')",
                             lies.back(), worker, kMaxLies)
                           .Run());
  if (db.Changes() == 0) return absl::OkStatus();
  return Query(db, "UPDATE records SET suspect = 1 WHERE worker = ?", worker).Run();
}

absl::Status SqliteStore::LoseLease(Connection& db, int64_t lease, const std::string& why) {
  LeaseGrant grant;
  HONE_RETURN_IF_ERROR(ReadGrant(db, lease, grant));
  grant.failure = why;
  HONE_RETURN_IF_ERROR(
      Query(db,
            absl::StrCat("UPDATE workers SET leases_lost = leases_lost + 1, last_failure = ?3, ", kEndTenure),
            Now(), grant.worker, why)
          .Run());
  int64_t attempts = 0;
  {
    Query query(db, "SELECT attempts FROM leases WHERE number = ?", lease);
    if (query.Next()) attempts = query.Int(0);
    HONE_RETURN_IF_ERROR(query.status());
  }
  HONE_RETURN_IF_ERROR(CountDeviceTime(db, grant.batch.job, lease, Now()));
  HONE_RETURN_IF_ERROR(Query(db, "UPDATE leases SET state = 'lost' WHERE number = ?", lease).Run());
  const std::string& job = grant.batch.job;
  std::vector<std::string> again;
  for (const TrialRow& trial : grant.trials) {
    if (trial.attempts >= kMaxAttempts) {
      HONE_RETURN_IF_ERROR(AppendRecord(db, options_.make_lost_record(grant, trial), trial.attempts, Now()));
    } else {
      again.push_back(trial.trial_id);
    }
  }
  const bool singly = grant.batch.kind == BatchKind::kCandidates;
  const bool workless =
      grant.trials.empty() && attempts < kMaxAttempts;  // a calibration: nothing but the lease itself
  std::optional<int64_t> next;
  if (workless || (!singly && !again.empty())) {
    HONE_ASSIGN_OR_RETURN(next, QueueLease(db, job, grant.batch.number, static_cast<uint32_t>(attempts)));
  }
  for (const std::string& trial_id : again) {
    if (singly) {
      HONE_ASSIGN_OR_RETURN(next, QueueLease(db, job, grant.batch.number, static_cast<uint32_t>(attempts)));
    }
    HONE_RETURN_IF_ERROR(AssignTrial(db, job, trial_id, *next));
  }
  return absl::OkStatus();
}

absl::Status SqliteStore::LoseLeasesOf(Connection& db, const std::string& worker, const std::string& why) {
  std::vector<int64_t> leases;
  {
    Query query(db, "SELECT number FROM leases WHERE worker = ? AND state = 'leased'", worker);
    while (query.Next()) leases.push_back(query.Int(0));
    HONE_RETURN_IF_ERROR(query.status());
  }
  for (int64_t lease : leases) HONE_RETURN_IF_ERROR(LoseLease(db, lease, why));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<LostLease>> SqliteStore::ExpireLeases() {
  std::vector<LostLease> lost;
  HONE_RETURN_IF_ERROR(writer_.Run([&](Connection& db) -> absl::Status {
    std::vector<int64_t> expired;
    {
      Query query(
          db,
          "SELECT number, lease_id, worker, job FROM leases WHERE state = 'leased' AND lease_until < ? "
          "ORDER BY number",
          Now());
      while (query.Next()) {
        expired.push_back(query.Int(0));
        lost.push_back({.lease_id = query.Text(1), .worker = query.Text(2), .job = query.Text(3)});
      }
      HONE_RETURN_IF_ERROR(query.status());
    }
    for (int64_t lease : expired)
      HONE_RETURN_IF_ERROR(LoseLease(db, lease, "the worker was silent, or ran too long"));
    return absl::OkStatus();
  }));
  return lost;
}

absl::StatusOr<HeartbeatAnswer> SqliteStore::RecordHeartbeat(const Heartbeat& heartbeat) {
  HeartbeatAnswer answer;
  HONE_RETURN_IF_ERROR(writer_.Run([&](Connection& db) -> absl::Status {
    const int64_t now = Now();
    HONE_RETURN_IF_ERROR(Query(db, "UPDATE workers SET last_seen = ? WHERE id = ? AND hold <> 'removed'", now,
                               heartbeat.worker)
                             .Run());
    if (db.Changes() == 0) return absl::NotFoundError("there is no workers/" + heartbeat.worker);
    if (!heartbeat.device_bytes.empty()) {
      HONE_RETURN_IF_ERROR(Query(db, "UPDATE workers SET device_class = ?, device = ? WHERE id = ?",
                                 heartbeat.device_class, Bytes{heartbeat.device_bytes}, heartbeat.worker)
                               .Run());
    }
    for (const std::string& lease_id : heartbeat.running_leases) {
      HONE_RETURN_IF_ERROR(
          Query(db,
                "UPDATE leases SET lease_until = MIN(run_until, ? + CAST(lease_seconds * 1e6 AS INTEGER)) "
                "WHERE lease_id = ? AND worker = ? AND state = 'leased'",
                now, lease_id, heartbeat.worker)
              .Run());
      if (db.Changes() == 0) answer.abandon.push_back(lease_id);
    }
    if (!heartbeat.drop_unlisted) return absl::OkStatus();
    std::vector<int64_t> dropped;
    {
      Query query(db, "SELECT number, job, lease_id FROM leases WHERE worker = ? AND state = 'leased'",
                  heartbeat.worker);
      while (query.Next()) {
        if (std::find(heartbeat.running_leases.begin(), heartbeat.running_leases.end(), query.Text(2)) !=
            heartbeat.running_leases.end()) {
          continue;
        }
        dropped.push_back(query.Int(0));
        answer.jobs.push_back(query.Text(1));
      }
      HONE_RETURN_IF_ERROR(query.status());
    }
    for (int64_t lease : dropped)
      HONE_RETURN_IF_ERROR(LoseLease(db, lease, "the worker began anew without it"));
    return absl::OkStatus();
  }));
  return answer;
}

}  // namespace hone
