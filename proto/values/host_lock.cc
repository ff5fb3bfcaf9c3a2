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
absl::StatusOr<FileDescriptor> OpenLockFile(const std::string& path) {
  FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file.valid() && errno == ENOENT) {
    file = FileDescriptor(open(path.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666));
    if (file.valid() && fchmod(file.get(), 0666) != 0 && errno != EPERM)
      return absl::UnavailableError(absl::StrCat("cannot share lock file ", path, ": ", strerror(errno)));
  }
  if (file.valid()) return file;
  return absl::UnavailableError(absl::StrCat("cannot open lock file ", path, ": ", strerror(errno)));
}

absl::StatusOr<FileDescriptor> OpenAndLock(const std::string& path, int operation, absl::Time deadline) {
  absl::StatusOr<FileDescriptor> file = OpenLockFile(path);
  if (!file.ok()) return file;
  for (absl::Duration wait = kFirstWait; flock(file->get(), operation | LOCK_NB) != 0;
       wait = std::min(wait * 2, kLongestWait)) {
    const int error = errno;
    const absl::Duration left = deadline - absl::Now();
    if (error != EWOULDBLOCK && error != EINTR)
      return absl::UnavailableError(absl::StrCat("cannot lock ", path, ": ", strerror(error)));
    if (left <= absl::ZeroDuration())
      return absl::DeadlineExceededError(absl::StrCat("another process holds ", path));
    absl::SleepFor(std::min(wait, left));
  }
  return file;
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
  const absl::StatusOr<FileDescriptor> turnstile = OpenAndLock(path + ".turnstile", LOCK_EX, deadline);
  if (!turnstile.ok()) return turnstile.status();
  absl::StatusOr<FileDescriptor> lock = OpenAndLock(path, mode == Mode::kExclusive ? LOCK_EX : LOCK_SH, deadline);
  if (!lock.ok()) return lock.status();
  return HostLock(*std::move(lock));
}

absl::StatusOr<HostLockFiles> HostLockFiles::Open(const std::string& path) {
  absl::StatusOr<FileDescriptor> turnstile = OpenLockFile(path + ".turnstile");
  if (!turnstile.ok()) return turnstile.status();
  absl::StatusOr<FileDescriptor> lock = OpenLockFile(path);
  if (!lock.ok()) return lock.status();
  return HostLockFiles{*std::move(turnstile), *std::move(lock)};
}

struct HostShare::Slices {
  const int turnstile, lock;
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
    FlockUntilDone(lock, LOCK_UN);
  }
};

HostShare::HostShare(std::unique_ptr<Slices> slices) : slices_(std::move(slices)) {}
HostShare::HostShare(HostShare&&) noexcept = default;
HostShare::~HostShare() = default;

absl::StatusOr<HostShare> HostShare::Begin(const HostLockFiles& files) {
  std::unique_ptr<Slices> slices(new Slices{.turnstile = files.turnstile.get(), .lock = files.lock.get()});
  slices->Enter();
  if (absl::Status status = slices->Tick(); !status.ok()) return status;
  return HostShare(std::move(slices));
}

}  // namespace hone
