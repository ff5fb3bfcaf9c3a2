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

// Gives the record its place in the job's log and debits the budget. AlreadyExists if the trial has a record.
absl::Status AppendRecord(Connection& db, const RecordRow& record, uint32_t attempts, int64_t now);

}  // namespace hone
