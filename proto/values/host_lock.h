#pragma once

#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "proto/values/file_descriptor.h"

namespace hone {

// Who may use this host's cores now: a worker's rotation takes the lock exclusively, a hone-job that compiles, trains or
// interprets shares it in slices (HostShare). One lock file per host. Released by the destructor, and by the kernel when
// the process dies. Movable, not thread-safe; two HostLocks of one process
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

  void Release() { file_.Close(); }  // earlier than the destructor would

 private:
  explicit HostLock(FileDescriptor file) : file_(std::move(file)) {}
  FileDescriptor file_;
};

// The files of a host lock, opened: for a process that will shut itself in and open nothing by path.
struct HostLockFiles {
  FileDescriptor turnstile, lock;

  // Unavailable if one cannot be opened.
  static absl::StatusOr<HostLockFiles> Open(const std::string& path = HostLock::kDefaultPath);
};

// Shares the host for as long as it lives, in slices: every kSlice a signal stops the thread that made it wherever it is
// and hands the lock to an exclusive waiter, if there is one, until that one is done. So code that cannot be cut (LLVM, a
// linker) never keeps a measurement waiting for longer. Destroyed by the thread that made it; not nested; sleeping calls
// of that thread (poll, nanosleep) end with EINTR. Uses the signal SIGRTMIN.
class HostShare {
 public:
  static constexpr absl::Duration kSlice = absl::Milliseconds(50);

  // Waits for the lock without limit; the files outlive it. Unavailable if no timer can be had.
  static absl::StatusOr<HostShare> Begin(const HostLockFiles& files);

  HostShare(HostShare&&) noexcept;
  ~HostShare();

 private:
  struct Slices;
  explicit HostShare(std::unique_ptr<Slices> slices);
  std::unique_ptr<Slices> slices_;
};

}  // namespace hone
