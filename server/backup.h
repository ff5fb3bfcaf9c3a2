#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "proto/values/file_descriptor.h"

// Copies of a data folder:
//   hone.db  blobs/  tls/  admin.token  enrol.token  MANIFEST ("SHA-256  PATH" a line, as sha256sum -c reads it)
// They hold secrets: mode 0700. Nothing of a copy is seen before all of it is on the disk.
namespace hone {

struct BackupReport {
  int files = 0;
  uint64_t bytes = 0;
};

// While a server works in `data_dir` or not: one state of the database and every blob that it names, each checked
// against its digest. FailedPrecondition if `to` is there and not empty, DataLoss if a blob is damaged.
absl::StatusOr<BackupReport> Backup(const std::string& data_dir, const std::string& to);

// Into a folder that is not there or empty, else FailedPrecondition. DataLoss if the copy is not what its manifest
// says. Jobs under way when it was made go on from there.
absl::StatusOr<BackupReport> Restore(const std::string& from, const std::string& data_dir);

// Held while blobs are removed or copied, so that none goes between a copy of the database and that of its blobs;
// the kernel lets go of it however the process ends. Unavailable if somebody else holds it and `wait` is false.
absl::StatusOr<FileDescriptor> LockBlobs(const std::string& data_dir, bool wait);

}  // namespace hone
