#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/statusor.h"

namespace hone {

// The control group (v2) of one child: its memory, files in memory among it, and its threads are bounded together,
// where rlimits bound each mapping and each file. Removed by the destructor, once the child is reaped. Movable.
class JobCgroup {
 public:
  JobCgroup() = default;
  JobCgroup(JobCgroup&& other) noexcept : folder_(std::exchange(other.folder_, "")) {}
  JobCgroup& operator=(JobCgroup&& other) noexcept {
    std::swap(folder_, other.folder_);
    return *this;
  }
  ~JobCgroup();

 private:
  friend class JobCgroups;
  explicit JobCgroup(std::string folder) : folder_(std::move(folder)) {}
  std::string folder_;  // empty: none
};

// The groups below the server's own, where systemd has delegated that (Delegate=memory pids).
class JobCgroups {
 public:
  // `own`: the group that this process, and no other, is in; it moves to a leaf. FailedPrecondition: why it is not
  // to be divided.
  static absl::StatusOr<JobCgroups> Open(const std::string& own);
  // This process's group as a folder; empty where no v2 hierarchy is mounted.
  static std::string OwnFolder();

  absl::StatusOr<JobCgroup> Add(pid_t child, uint64_t memory_bytes, int threads) const;

 private:
  explicit JobCgroups(std::string own) : own_(std::move(own)) {}
  std::string own_;
};

}  // namespace hone
