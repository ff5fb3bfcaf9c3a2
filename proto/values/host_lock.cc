#include "proto/values/host_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace hone {
namespace {

// Polling that backs off: a waiter must not disturb what the holder measures.
constexpr absl::Duration kFirstWait = absl::Microseconds(200);
constexpr absl::Duration kLongestWait = absl::Milliseconds(5);

// Opens before it creates: with fs.protected_regular the kernel refuses O_CREAT on another user's file in
// /tmp.
absl::StatusOr<int> OpenLockFile(const std::string& path) {
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0 && errno == ENOENT) {
    fd = open(path.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (fd >= 0 && fchmod(fd, 0666) != 0 && errno != EPERM) {
      const int error = errno;
      close(fd);
      return absl::UnavailableError(absl::StrCat("cannot share lock file ", path, ": ", strerror(error)));
    }
  }
  if (fd < 0)
    return absl::UnavailableError(absl::StrCat("cannot open lock file ", path, ": ", strerror(errno)));
  return fd;
}

absl::StatusOr<int> OpenAndLock(const std::string& path, int operation, absl::Time deadline) {
  absl::StatusOr<int> fd = OpenLockFile(path);
  if (!fd.ok()) return fd;
  for (absl::Duration wait = kFirstWait; flock(*fd, operation | LOCK_NB) != 0;
       wait = std::min(wait * 2, kLongestWait)) {
    const int error = errno;
    const absl::Duration left = deadline - absl::Now();
    if ((error != EWOULDBLOCK && error != EINTR) || left <= absl::ZeroDuration()) {
      close(*fd);
      if (error != EWOULDBLOCK && error != EINTR) {
        return absl::UnavailableError(absl::StrCat("cannot lock ", path, ": ", strerror(error)));
      }
      return absl::DeadlineExceededError(absl::StrCat("another process holds ", path));
    }
    absl::SleepFor(std::min(wait, left));
  }
  return fd;
}

}  // namespace

// Two files: whoever wants the lock passes the turnstile first. An exclusive waiter stands in it until it has
// the lock.
absl::StatusOr<HostLock> HostLock::Acquire(Mode mode, absl::Time deadline, const std::string& path) {
  absl::StatusOr<int> turnstile = OpenAndLock(path + ".turnstile", LOCK_EX, deadline);
  if (!turnstile.ok()) return turnstile.status();
  absl::StatusOr<int> lock = OpenAndLock(path, mode == Mode::kExclusive ? LOCK_EX : LOCK_SH, deadline);
  close(*turnstile);
  if (!lock.ok()) return lock.status();
  return HostLock(*lock);
}

HostLock& HostLock::operator=(HostLock&& other) noexcept {
  if (this != &other) {
    Release();
    descriptor_ = std::exchange(other.descriptor_, -1);
  }
  return *this;
}

void HostLock::Release() {
  if (descriptor_ >= 0) close(descriptor_);
  descriptor_ = -1;
}

}  // namespace hone
