#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace hone {

// Writes a file so that after a crash it is either the old or the new one.
absl::Status WriteFileDurably(const std::string& path, const std::string& bytes);
absl::StatusOr<std::string> ReadWholeFile(const std::string& path);  // NotFound if there is none

// Finished leases' results on disk until the server has acknowledged them: one file per lease id, bytes
// opaque. Thread-safe; one process uses a folder.
class ResultStore {
 public:
  struct Entry {
    std::string lease_id;
    std::string bytes;
  };

  explicit ResultStore(std::string folder);
  absl::Status Put(const std::string& lease_id, const std::string& bytes);  // durable when it returns
  void Remove(const std::string& lease_id);
  bool Has(const std::string& lease_id) const;
  // Some pending results, at most `limit_bytes` together but at least one if there is any.
  std::vector<Entry> Pending(size_t limit_bytes) const;

 private:
  const std::string folder_;
  mutable std::mutex mutex_;
};

}  // namespace hone
