#include "server/jobs/job_child.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "proto/sandbox/sandbox.h"
#include "proto/values/readable_text.h"
#include "server/execution/log.h"
#include "server/execution/status_macros.h"
#include "server/storage/durable_file.h"

extern char** environ;

namespace hone {
namespace {

constexpr int kLinkDescriptor = 3, kOutboxDescriptor = 4;
constexpr uint64_t kMostFiles = 320;     // a model's, of which 253 ride on a message, and the linker's pipes
constexpr size_t kWordsBytes = 1 << 16;  // a pipe's; what is more is lost
constexpr off_t kMostLogBytes = 1 << 20;
constexpr size_t kLastLineBytes = 200;
// Of the server's environment, which may hold secrets: where libraries are, how sanitizers behave.
constexpr const char* kInherited[] = {"LD_LIBRARY_PATH=", "ASAN_OPTIONS=", "TSAN_OPTIONS=", "UBSAN_OPTIONS="};

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
  SpawnFiles(int link, int outbox, int words) {
    posix_spawn_file_actions_init(&actions_);
    posix_spawn_file_actions_addopen(&actions_, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions_, words, 1);
    posix_spawn_file_actions_adddup2(&actions_, words, 2);
    posix_spawn_file_actions_adddup2(&actions_, link, kLinkDescriptor);
    posix_spawn_file_actions_adddup2(&actions_, outbox, kOutboxDescriptor);
  }
  ~SpawnFiles() { posix_spawn_file_actions_destroy(&actions_); }
  const posix_spawn_file_actions_t* get() const { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_;
};

std::vector<char*> Environment() {
  std::vector<char*> kept;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    for (const char* name : kInherited) {
      if (std::string_view(*variable).starts_with(name)) kept.push_back(*variable);
    }
  }
  kept.push_back(nullptr);
  return kept;
}

constexpr int kOutOfMemory = 4;  // the exit code, see tuner/job/main.cc

std::string Describe(int status) {
  if (WIFEXITED(status)) return absl::StrCat("exited with code ", WEXITSTATUS(status));
  return absl::StrCat("was killed by signal ", WTERMSIG(status), " (", strsignal(WTERMSIG(status)), ")");
}

}  // namespace

absl::StatusOr<std::unique_ptr<JobChild>> JobChild::Start(const JobChildOptions& options) {
  HONE_ASSIGN_OR_RETURN(auto link, JobLink::MakePair());
  HONE_ASSIGN_OR_RETURN(FileDescriptor outbox, MakeMemfd("hone-outbox", options.outbox_bytes));
  HONE_RETURN_IF_ERROR(SealSize(outbox.get()));
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return ErrnoStatus("making a pipe for hone-job's log");
  FileDescriptor words(ends[0]), writer(ends[1]);
  std::unique_ptr<JobChild> child(
      new JobChild(options, std::move(link.first), std::move(outbox), std::move(words)));
  HONE_RETURN_IF_ERROR(child->Spawn(link.second.get(), writer.get()));
  HONE_RETURN_IF_ERROR(child->Contain());
  return child;
}

JobChild::~JobChild() { Reap(absl::ZeroDuration()); }

absl::Status JobChild::Spawn(int link, int words) {
  const SpawnAttributes attributes;
  const SpawnFiles files(link, outbox(), words);
  std::string name = options_.binary, allow = "--allow-unsandboxed";
  char* arguments[] = {name.data(), options_.containment->allows_unsandboxed() ? allow.data() : nullptr, nullptr};
  errno = posix_spawn(&pid_, name.c_str(), files.get(), attributes.get(), arguments, Environment().data());
  if (errno == 0) return absl::OkStatus();
  pid_ = -1;
  return ErrnoStatus("cannot start " + name);
}

// The child waits for its first message before it shuts itself in (and takes a user of its own, which only privileges
// could limit then) or hears of a model.
absl::Status JobChild::Contain() {
  const struct {
    __rlimit_resource resource;
    uint64_t value;
  } limits[] = {{RLIMIT_AS, options_.address_space_bytes}, {RLIMIT_FSIZE, options_.outbox_bytes},
                {RLIMIT_CPU, options_.cpu_seconds},        {RLIMIT_NOFILE, kMostFiles},
                {RLIMIT_MEMLOCK, 0},                       {RLIMIT_CORE, 0}};
  for (const auto& [resource, value] : limits) {
    const rlimit limit{value, value};
    if (prlimit(pid_, resource, &limit, nullptr) != 0) return ErrnoStatus("limiting hone-job");
  }
  if (!options_.containment->cgroups()) return absl::OkStatus();
  HONE_ASSIGN_OR_RETURN(cgroup_,
                        options_.containment->cgroups()->Add(
                            pid_, options_.address_space_bytes + options_.outbox_bytes, kHoneSandboxThreads));
  return absl::OkStatus();
}

absl::Status JobChild::EmptyOutbox() {
  const auto bytes = static_cast<off_t>(options_.outbox_bytes);
  if (fallocate(outbox(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, bytes) == 0) return absl::OkStatus();
  return ErrnoStatus("emptying the outbox");
}

// Keeps what it wrote, and returns the last line.
std::string JobChild::LogWords() {
  std::string words(kWordsBytes, '\0');
  const ssize_t got = read(words_.get(), words.data(), words.size());
  words.resize(static_cast<size_t>(std::max<ssize_t>(got, 0)));
  if (words.empty()) return "";
  absl::StatusOr<FileDescriptor> log = OpenFile(options_.log_path, O_WRONLY | O_CREAT | O_APPEND);
  struct stat info {};
  absl::Status kept = log.status();
  if (kept.ok() && fstat(log->get(), &info) == 0 && info.st_size > kMostLogBytes && ftruncate(log->get(), 0) != 0)
    kept = ErrnoStatus("emptying " + options_.log_path);
  if (kept.ok()) kept = WriteAll(log->get(), words);
  if (!kept.ok()) LogEvent(LogLevel::kWarning, "job_log_lost", {{"error", std::string(kept.message())}});
  const auto text = absl::StripTrailingAsciiWhitespace(words);
  return ReadableText(std::string(text.substr(text.rfind('\n') + 1)), kLastLineBytes);
}

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
  ran_out_of_memory_ = WIFEXITED(status) && WEXITSTATUS(status) == kOutOfMemory;
  const std::string last_line = LogWords();
  return last_line.empty() ? Describe(status) : absl::StrCat(Describe(status), ": ", last_line);
}

}  // namespace hone
