#include "client/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <sstream>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"

extern char** environ;

namespace hone {
namespace {

constexpr absl::Duration kPoll = absl::Milliseconds(20);

// posix_spawnp with the given stdin, stdout and stderr; everything above is closed.
absl::StatusOr<int> Spawn(const std::vector<std::string>& command, int in, int out, int err,
                          bool own_session) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  absl::Cleanup destroy = [&] {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  };
  posix_spawn_file_actions_adddup2(&actions, in, 0);
  posix_spawn_file_actions_adddup2(&actions, out, 1);
  posix_spawn_file_actions_adddup2(&actions, err, 2);
  posix_spawn_file_actions_addclosefrom_np(&actions, 3);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
  if (own_session) flags |= POSIX_SPAWN_SETSID;
  posix_spawnattr_setflags(&attributes, flags);
  std::vector<char*> argv;
  for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  pid_t pid;
  const int error = posix_spawnp(&pid, argv[0], &actions, &attributes, argv.data(), environ);
  if (error != 0)
    return absl::NotFoundError(absl::StrCat("cannot start ", command[0], ": ", strerror(error)));
  return pid;
}

}  // namespace

std::optional<ProcessId> IdentifyProcess(int pid) {
  std::ifstream in(absl::StrCat("/proc/", pid, "/stat"));
  std::stringstream text;
  text << in.rdbuf();
  const std::string stat = text.str();
  const size_t name_end = stat.rfind(')');  // the name may hold blanks and brackets
  if (name_end == std::string::npos) return std::nullopt;
  const std::vector<std::string> fields = absl::StrSplit(stat.substr(name_end + 2), ' ');
  constexpr size_t kState = 0, kStart = 19;  // fields 3 and 22 of the whole line
  uint64_t start;
  if (fields.size() <= kStart || fields[kState] == "Z" || !absl::SimpleAtoi(fields[kStart], &start))
    return std::nullopt;
  return ProcessId{pid, start};
}

bool IsRunning(const ProcessId& process) {
  return process.pid > 0 && IdentifyProcess(process.pid) == process;
}

absl::StatusOr<ProcessId> StartDetached(const std::vector<std::string>& command, const std::string& log) {
  const int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
  const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  absl::Cleanup close_both = [&] {
    close(in);
    close(out);
  };
  if (in < 0 || out < 0)
    return absl::PermissionDeniedError(absl::StrCat("cannot write ", log, ": ", strerror(errno)));
  auto pid = Spawn(command, in, out, out, /*own_session=*/true);
  if (!pid.ok()) return pid.status();
  auto process = IdentifyProcess(*pid);
  return process.value_or(ProcessId{*pid, 0});
}

absl::Status StopProcess(const ProcessId& process, absl::Duration grace) {
  for (auto [number, patience] : {std::pair(SIGTERM, grace), std::pair(SIGKILL, absl::Seconds(5))}) {
    if (!IsRunning(process)) return absl::OkStatus();
    if (kill(process.pid, number) != 0 && errno != ESRCH) {
      return absl::PermissionDeniedError(
          absl::StrCat("cannot stop process ", process.pid, ": ", strerror(errno)));
    }
    const absl::Time deadline = absl::Now() + patience;
    while (IsRunning(process) && absl::Now() < deadline) absl::SleepFor(kPoll);
  }
  if (IsRunning(process))
    return absl::DeadlineExceededError(absl::StrCat("process ", process.pid, " does not end"));
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<PipedProcess>> PipedProcess::Start(const std::vector<std::string>& command,
                                                                  bool keep_stderr) {
  int to_child[2], from_child[2];
  if (pipe2(to_child, O_CLOEXEC) != 0) return absl::ResourceExhaustedError("no more pipes");
  if (pipe2(from_child, O_CLOEXEC) != 0) {
    close(to_child[0]);
    close(to_child[1]);
    return absl::ResourceExhaustedError("no more pipes");
  }
  const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
  auto pid = Spawn(command, to_child[0], from_child[1], keep_stderr ? 2 : nowhere, /*own_session=*/false);
  close(nowhere);
  close(to_child[0]);
  close(from_child[1]);
  if (!pid.ok()) {
    close(to_child[1]);
    close(from_child[0]);
    return pid.status();
  }
  return std::unique_ptr<PipedProcess>(new PipedProcess(*pid, to_child[1], from_child[0]));
}

PipedProcess::~PipedProcess() {
  close(in_);
  close(out_);
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

absl::Status PipedProcess::WriteLine(const std::string& line) {
  const std::string text = line + "\n";
  size_t written = 0;
  while (written < text.size()) {
    const ssize_t n = write(in_, text.data() + written, text.size() - written);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return absl::UnavailableError("the child process has ended");
    written += n;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> PipedProcess::ReadLine(absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  while (true) {
    const size_t end = buffer_.find('\n');
    if (end != std::string::npos) {
      std::string line = buffer_.substr(0, end);
      buffer_.erase(0, end + 1);
      return line;
    }
    pollfd waiting = {out_, POLLIN, 0};
    const int64_t left = std::max<int64_t>(0, absl::ToInt64Milliseconds(deadline - absl::Now()));
    const int ready = poll(&waiting, 1, static_cast<int>(std::min<int64_t>(left, 1 << 30)));
    if (ready == 0) return absl::DeadlineExceededError("the child process does not answer");
    char chunk[4096];
    const ssize_t n = ready > 0 ? read(out_, chunk, sizeof(chunk)) : -1;
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return absl::UnavailableError("the child process has ended");
    buffer_.append(chunk, n);
  }
}

}  // namespace hone
