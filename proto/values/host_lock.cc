#include "proto/values/host_lock.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
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

// Safe in a signal handler.
void FlockUntilDone(int fd, int operation) {
  while (flock(fd, operation) != 0 && errno == EINTR) {
  }
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

struct HostShare::Slices {
  int turnstile = -1, lock = -1;
  timer_t timer = {};
  bool ticking = false;

  void Enter() const {
    FlockUntilDone(turnstile, LOCK_EX);
    FlockUntilDone(lock, LOCK_SH);
    FlockUntilDone(turnstile, LOCK_UN);
  }
  static void Yield(int, siginfo_t* info, void*) {
    const int error = errno;
    const auto* slices = static_cast<const Slices*>(info->si_value.sival_ptr);
    FlockUntilDone(slices->lock, LOCK_UN);
    slices->Enter();
    errno = error;
  }
  absl::Status Tick() {
    struct sigaction action = {};
    action.sa_sigaction = Yield;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    struct sigevent event = {};
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = SIGRTMIN;
    event.sigev_value.sival_ptr = this;
    event._sigev_un._tid = gettid();
    const timespec slice = absl::ToTimespec(kSlice);
    const itimerspec period = {.it_interval = slice, .it_value = slice};
    ticking = sigaction(SIGRTMIN, &action, nullptr) == 0 && timer_create(CLOCK_MONOTONIC, &event, &timer) == 0;
    if (ticking && timer_settime(timer, 0, &period, nullptr) == 0) return absl::OkStatus();
    return absl::UnavailableError(absl::StrCat("no timer for the slices of the host lock: ", strerror(errno)));
  }
  ~Slices() {
    if (ticking) timer_delete(timer);  // a signal still pending comes before this returns: it is for this thread
    if (lock >= 0) close(lock);
    if (turnstile >= 0) close(turnstile);
  }
};

HostShare::HostShare(std::unique_ptr<Slices> slices) : slices_(std::move(slices)) {}
HostShare::HostShare(HostShare&&) noexcept = default;
HostShare::~HostShare() = default;

absl::StatusOr<HostShare> HostShare::Begin(const std::string& path) {
  auto slices = std::make_unique<Slices>();
  absl::StatusOr<int> turnstile = OpenLockFile(path + ".turnstile");
  if (!turnstile.ok()) return turnstile.status();
  slices->turnstile = *turnstile;
  absl::StatusOr<int> lock = OpenLockFile(path);
  if (!lock.ok()) return lock.status();
  slices->lock = *lock;
  slices->Enter();
  if (absl::Status status = slices->Tick(); !status.ok()) return status;
  return HostShare(std::move(slices));
}

}  // namespace hone
