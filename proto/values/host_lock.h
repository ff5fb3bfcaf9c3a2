#pragma once

#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace hone {

// Who may use this host's cores now: a worker's rotation takes the lock exclusively, every compile, train or
// interpret slice of a hone-job (<= 50 ms) takes it shared. One lock file per host. Released by the
// destructor, and by the kernel when the process dies. Movable, not thread-safe; two HostLocks of one process
// exclude each other like strangers.
class HostLock {
 public:
  enum class Mode { kShared, kExclusive };
  static constexpr char kDefaultPath[] = "/tmp/hone-measure.lock";

  // Waits until `deadline` (infinite by default) for the lock. A waiting exclusive caller keeps new shared
  // ones out, so overlapping slices cannot starve it. DeadlineExceeded; Unavailable if the lock file cannot
  // be opened.
  static absl::StatusOr<HostLock> Acquire(Mode mode, absl::Time deadline = absl::InfiniteFuture(),
                                          const std::string& path = kDefaultPath);

  HostLock(HostLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  HostLock& operator=(HostLock&& other) noexcept;
  ~HostLock() { Release(); }
  void Release();  // earlier than the destructor would

 private:
  explicit HostLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_ = -1;
};

}  // namespace hone
