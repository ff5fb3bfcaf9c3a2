#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "server/storage/blob_store.h"

// What the database holds, as plain values. Times are microseconds since 1970 by the database's clock. Fields
// called
// `..._bytes` are opaque here: messages that only the edges (service, jobs, workers) read.
namespace hone {

// Makes a mutation happen once: the same principal's same id with the same digest gets the first answer
// again, with another digest InvalidArgument. An empty id: the caller does not want that.
struct RequestKey {
  std::string principal;
  std::string method;
  std::string id;
  std::string digest;  // of the request without its id
};

inline constexpr char kOwner[] = "owner";  // the user of the tokens in the server's folder

inline constexpr char kDefaultProject[] = "default";  // of the owner

// Quotas of 0: no limit.
struct ProjectRow {
  int64_t number = 0;
  std::string id;
  uint32_t max_jobs = 0;           // unfinished at once
  uint64_t max_storage_bytes = 0;  // of uploads, models and modules, each content once
  double max_device_minutes = 0;   // that leases are held in a month
  // Set by the store:
  int64_t create_time = 0;
  uint32_t unfinished_jobs = 0;
  uint64_t storage_bytes = 0;
  uint64_t jobs = 0;    // created in the month asked for
  uint64_t trials = 0;  // of those
  double device_minutes = 0;
};

struct ProjectQuotas {  // as of ProjectRow; those not given stay
  std::optional<uint32_t> max_jobs;
  std::optional<uint64_t> max_storage_bytes;
  std::optional<double> max_device_minutes;
};

struct UserRow {
  int64_t number = 0;
  std::string id;
  std::string role;  // RoleName, of people
  bool disabled = false;
  int64_t create_time = 0;
};

struct TokenRow {
  std::string hash;     // sha256 of the token
  std::string role;     // RoleName: the most that it may do
  std::string
      subject;  // the id of the user that it speaks for; workers/{id}: of role enrol, for this worker alone
  std::string label = "";
  int64_t expire_time = 0;  // 0 = never
  std::string project = kDefaultProject;
  // Set by the store:
  int64_t number = 0;
  int64_t create_time = 0;
  int64_t revoke_time = 0;     // 0 = not revoked
  std::string user_role = "";  // empty: there is no such user
  bool user_disabled = false;

  std::string Id() const { return hash.substr(0, 16); }
  bool IsOfWorker() const { return subject.starts_with("workers/"); }
};

struct FileRow {
  std::string name;
  BlobId blob;
};

struct ModelRow {
  int64_t number = 0;  // order of creation; key of paging
  std::string id;
  std::string display_name;
  std::string main_file;
  std::vector<FileRow> files;
  int64_t create_time = 0;
  std::string project = kDefaultProject;
};

enum class JobState { kQueued, kRunning, kSucceeded, kFailed, kCancelled };

struct JobRow {
  int64_t number = 0;
  std::string id;
  uint64_t revision = 0;
  JobState state = JobState::kQueued;
  std::string model;  // id
  std::string model_display_name;
  std::string spec_bytes;
  std::string progress_bytes;  // the child's last
  std::string error;
  std::string module;        // id; empty if there is none
  std::string device_class;  // empty until chosen
  std::string device_bytes;
  bool cancel_requested = false;
  uint32_t restarts = 0;
  uint64_t trials_done = 0;  // budget debit: each trial once
  int64_t create_time = 0;
  int64_t end_time = 0;  // 0 = not ended
  uint64_t suspect_records = 0;
  std::string project = kDefaultProject;
  uint32_t resumed_after = 0;  // its last batch when it was resumed; 0: it was not
};

// How many there are.
struct StateCounts {
  std::map<std::string, int64_t> jobs;     // by state
  std::map<std::string, int64_t> leases;   // by state, those that have not ended
  std::map<std::string, int64_t> workers;  // by hold, "none" among them
  int64_t trials_done = 0;
};

struct ModuleRow {
  int64_t number = 0;
  std::string id;
  std::string job;
  std::string model;
  std::string target;
  std::string report_json;
  std::vector<FileRow> files;
  int64_t create_time = 0;
  std::string project = kDefaultProject;  // of its job; set by the store
};

enum class BatchKind { kCalibrate, kCandidates, kModule };

struct BatchRow {
  std::string job;
  uint32_t number = 0;  // from 1 without gaps
  BatchKind kind = BatchKind::kCandidates;
  std::vector<std::string>
      objects;                 // digests of the blobs that its lease names; kept until the job has ended
  std::string proposal_bytes;  // without the trials
  double run_seconds = 0;      // most that a lease may take however often it is renewed; 0 = no limit
};

struct TrialRow {
  std::string trial_id;  // unique in the job
  std::string trace;
  BlobId object;  // no digest: never runs
  double predicted_seconds = 0;
  uint32_t attempts = 0;
  bool done = false;
};

struct StoredBatchRow {
  BatchRow batch;
  std::vector<TrialRow> trials;
};

// A row of the append-only log.
struct RecordRow {
  int64_t id = 0;
  std::string job;
  uint64_t sequence = 0;  // from 1, order within the job; set by the store
  uint32_t batch = 0;
  std::string trial_id;
  bool counted = false;  // a trial of the budget (not: incumbents, modules)
  std::string model;     // display name
  std::string task_id;
  std::string task_label;
  std::string target;
  std::string device_class;
  std::string worker;
  std::string status;  // OutcomeName
  std::optional<double> latency_seconds;
  std::string trace;
  int64_t create_time = 0;   // set by the store
  uint32_t attempts = 0;     // set by the store
  std::string record_bytes;  // everything; the fields set by the store are authoritative over it
  bool suspect = false;      // of a worker that was quarantined
};

// A lease as handed out, with all a record of it needs.
struct LeaseGrant {
  std::string lease_id;
  std::string worker;  // id
  double lease_seconds = 0;
  BatchRow batch;
  std::string model_display_name;
  std::string spec_bytes;
  std::string device_class;
  std::vector<TrialRow> trials;  // those still to run
  std::string failure;           // why it was lost, if it was
};

struct LostLease {
  std::string lease_id, worker, job;
};

struct LeaseCompletion {
  std::string lease_id;
  std::string worker;
  std::vector<RecordRow> ended;        // the candidates' own outcomes
  std::optional<RecordRow> incumbent;  // kept once per batch
  std::string incumbent_trial;         // the trial it was, whose trace the record gets
  std::vector<std::string> lies;       // what no honest device could tell; each counts against the worker
  std::string failure;                 // why the other trials did not end
  // Trials of the lease that are not in `ended` are lost: leased again singly, or dead-lettered after the
  // last attempt.
};

// Why a worker gets no leases. Removed ones are listed no more.
enum class WorkerHold { kNone, kDraining, kQuarantined, kRemoved };
const char* WorkerHoldName(WorkerHold hold);  // "", "draining", ...

struct WorkerRow {
  int64_t number = 0;
  std::string id;
  std::string display_name;
  std::string device_class;  // empty until the worker told its device
  std::string device_bytes;
  int64_t create_time = 0;
  int64_t last_seen = 0;
  uint64_t trials_done = 0;
  bool busy = false;  // holds a lease
  WorkerHold hold = WorkerHold::kNone;
  std::string hold_reason;
  uint32_t lies = 0;
  uint64_t leases_done = 0;
  uint64_t leases_lost = 0;
  std::string last_failure;
  int64_t busy_micros = 0;  // with a lease
};

struct Heartbeat {
  std::string worker;
  std::string device_class;  // with device_bytes: as told now; empty: unchanged
  std::string device_bytes;
  std::vector<std::string> running_leases;
  bool drop_unlisted =
      false;  // leases of this worker not listed are lost (it takes new ones, so it has them no more)
};

struct HeartbeatAnswer {
  std::vector<std::string> abandon;  // running leases that are not this worker's any more
  std::vector<std::string> jobs;     // whose leases or logs changed
};

// Rows after `after` (a `number` or record id), at most `limit`.
struct Page {
  int64_t after = 0;
  int limit = 100;
};

}  // namespace hone
