#include "server/jobs/job_child.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "server/execution/status_macros.h"
#include "server/storage/durable_file.h"

extern char** environ;

namespace hone {
namespace {

constexpr int kLinkDescriptor = 3;

// Signals back to their defaults: the server blocks some for its own threads.
class SpawnAttributes {
 public:
  SpawnAttributes() {
    posix_spawnattr_init(&attributes_);
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setsigdefault(&attributes_, &all);
    posix_spawnattr_setflags(&attributes_,
                             POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
  }
  ~SpawnAttributes() { posix_spawnattr_destroy(&attributes_); }
  const posix_spawnattr_t* get() const { return &attributes_; }

 private:
  posix_spawnattr_t attributes_;
};

class SpawnFiles {
 public:
  SpawnFiles(int link, const std::string& log_path) {
    posix_spawn_file_actions_init(&actions_);
    posix_spawn_file_actions_addopen(&actions_, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions_, 1, log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    posix_spawn_file_actions_adddup2(&actions_, 1, 2);
    posix_spawn_file_actions_adddup2(&actions_, link, kLinkDescriptor);
  }
  ~SpawnFiles() { posix_spawn_file_actions_destroy(&actions_); }
  const posix_spawn_file_actions_t* get() const { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_;
};

// The child reads nothing before StartJob, so limits set right after the spawn hold for all it does.
absl::Status Limit(pid_t pid, __rlimit_resource resource, uint64_t value) {
  const rlimit limit{value, value};
  if (prlimit(pid, resource, &limit, nullptr) == 0) return absl::OkStatus();
  return ErrnoStatus("limiting hone-job");
}

std::string Describe(int status) {
  if (WIFEXITED(status)) return absl::StrCat("exited with code ", WEXITSTATUS(status));
  return absl::StrCat("was killed by signal ", WTERMSIG(status), " (", strsignal(WTERMSIG(status)), ")");
}

}  // namespace

absl::StatusOr<std::unique_ptr<JobChild>> JobChild::Start(const JobChildOptions& options) {
  HONE_ASSIGN_OR_RETURN(auto pair, JobLink::MakePair());
  const SpawnAttributes attributes;
  const SpawnFiles files(pair.second.get(), options.log_path);
  std::string name = options.binary;
  char* arguments[] = {name.data(), nullptr};
  pid_t pid = -1;
  errno = posix_spawn(&pid, name.c_str(), files.get(), attributes.get(), arguments, environ);
  if (errno != 0) return ErrnoStatus("cannot start " + name);
  std::unique_ptr<JobChild> child(new JobChild(pid, std::move(pair.first)));
  HONE_RETURN_IF_ERROR(Limit(pid, RLIMIT_AS, options.address_space_bytes));
  HONE_RETURN_IF_ERROR(Limit(pid, RLIMIT_CPU, options.cpu_seconds));
  HONE_RETURN_IF_ERROR(Limit(pid, RLIMIT_CORE, 0));
  return child;
}

JobChild::~JobChild() { Reap(absl::ZeroDuration()); }

std::string JobChild::Reap(absl::Duration patience) {
  if (pid_ < 0) return "was reaped before";
  link_.Close();  // it exits on that
  FileDescriptor process(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)));
  pollfd wait{process.get(), POLLIN, 0};
  if (!process.valid() || poll(&wait, 1, static_cast<int>(absl::ToInt64Milliseconds(patience))) != 1)
    kill(pid_, SIGKILL);
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  return Describe(status);
}

}  // namespace hone
