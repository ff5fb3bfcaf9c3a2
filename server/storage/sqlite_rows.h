#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/storage/rows.h"
#include "server/storage/sqlite_connection.h"

// Pieces of transactions that several files of the SQLite store use.
namespace hone {

const char* JobStateName(JobState state);
const char* BatchKindName(BatchKind kind);
BatchKind ParseBatchKind(const std::string& name);

absl::Status InsertFiles(Connection& db, const std::string& owner, const std::vector<FileRow>& files);
absl::Status ReadFiles(Connection& db, const std::string& owner, std::vector<FileRow>& files);

// The resource that this very request made before; "" if it is new. InvalidArgument if its id was used for
// another request.
absl::StatusOr<std::string> FindRequest(Connection& db, const RequestKey& request);
absl::Status RememberRequest(Connection& db, const RequestKey& request, const std::string& resource,
                             int64_t now);

// See Store::ListReferencedBlobs.
absl::StatusOr<std::vector<std::string>> ReadReferencedBlobs(Connection& db);
absl::StatusOr<JobRow> ReadJob(Connection& db, const std::string& id);
absl::Status ReadTrials(Connection& db, const std::string& where, const std::string& job, int64_t key,
                        std::vector<TrialRow>& trials);

// ResourceExhausted: the project has as many unfinished jobs, or used as many device minutes, as it may.
absl::Status CheckJobQuota(Connection& db, const std::string& project, int64_t now);
// Counts the time that this lease of the job (kAllLeases: any of it) is held until now, before it ends; asks
// all running jobs of a project to end that has no device minutes left.
inline constexpr int64_t kAllLeases = 0;
absl::Status CountDeviceTime(Connection& db, const std::string& job, int64_t lease, int64_t now);
absl::Status ClaimModule(Connection& db, const std::string& module, int64_t now);  // for its job's project
// Claims made before that no model or module of their project needs: of the owner's files, or all if it is
// empty.
absl::Status DropUnneededClaims(Connection& db, const std::string& owner, int64_t before);

// Gives the record its place in the job's log and debits the budget. AlreadyExists if the trial has a record.
absl::Status AppendRecord(Connection& db, const RecordRow& record, uint32_t attempts, int64_t now);

}  // namespace hone
