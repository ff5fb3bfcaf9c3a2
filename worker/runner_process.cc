#include "worker/runner_process.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "compiler/runtime/dlpack.h"

namespace hone {
namespace {

struct DLType {
  uint8_t code, bits;
};

DLType ToDLType(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return {kDLFloat, 32};
    case DType::kF64:
      return {kDLFloat, 64};
    case DType::kF16:
      return {kDLFloat, 16};
    case DType::kBF16:
      return {kDLBfloat, 16};
    case DType::kI8:
      return {kDLInt, 8};
    case DType::kI16:
      return {kDLInt, 16};
    case DType::kI32:
      return {kDLInt, 32};
    case DType::kI64:
      return {kDLInt, 64};
    case DType::kU8:
      return {kDLUInt, 8};
    case DType::kU16:
      return {kDLUInt, 16};
    case DType::kU32:
      return {kDLUInt, 32};
    case DType::kU64:
      return {kDLUInt, 64};
    case DType::kBool:
      return {kDLBool, 8};
  }
  return {};
}

absl::Status Append(const TensorFile& file, RunnerSetup& setup, size_t& count) {
  for (size_t i = 0; i < file.count(); ++i, ++count) {
    const TensorSpec& spec = file.spec(i);
    if (count == kRunnerMaxTensors || spec.dims.size() > kRunnerMaxRank) {
      return absl::InvalidArgumentError("more tensors or dimensions than a runner takes");
    }
    RunnerTensor& tensor = setup.tensors[count];
    tensor.offset = file.offset(i);
    tensor.rank = static_cast<int32_t>(spec.dims.size());
    std::copy(spec.dims.begin(), spec.dims.end(), tensor.dims);
    tensor.dl_code = ToDLType(spec.dtype).code;
    tensor.dl_bits = ToDLType(spec.dtype).bits;
  }
  return absl::OkStatus();
}

absl::StatusOr<RunnerSetup> MakeSetup(const RunnerJob& job, const TensorFile& outputs) {
  RunnerSetup setup = {};
  setup.subject = job.subject;
  setup.threads = job.threads;
  setup.inputs = static_cast<uint32_t>(job.inputs->inputs());
  setup.constants = static_cast<uint32_t>(job.inputs->count() - job.inputs->inputs());
  setup.outputs = static_cast<uint32_t>(outputs.count());
  setup.input_sets = job.inputs->input_sets();
  setup.input_set_stride = job.inputs->input_set_stride();
  setup.inputs_file_bytes = job.inputs->bytes();
  setup.outputs_file_bytes = outputs.bytes();
  setup.rotation_bytes = job.rotation_bytes;
  setup.rotation_is_cached = job.rotation_is_cached;
  setup.address_space_bytes = job.address_space_bytes;
  setup.cpu_seconds = job.cpu_seconds;
  setup.allow_unsandboxed = job.allow_unsandboxed;
  size_t count = 0;
  if (absl::Status status = Append(*job.inputs, setup, count); !status.ok()) return status;
  if (absl::Status status = Append(outputs, setup, count); !status.ok()) return status;
  return setup;
}

// Spawns the runner with descriptors[i] as its descriptor 3 + i, no environment, default signals, its own
// group.
absl::StatusOr<pid_t> Spawn(const std::string& path, std::initializer_list<int> descriptors) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  for (int fd : {0, 1, 2}) posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_RDWR, 0);
  std::vector<FileDescriptor> high;  // out of the way of the targets 3, 4, ...
  int target = kRunnerControlFd;
  for (int fd : descriptors) {
    high.emplace_back(fcntl(fd, F_DUPFD_CLOEXEC, 64));
    posix_spawn_file_actions_adddup2(&actions, high.back().get(), target++);
  }
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  char name[] = "hone-runner", serve[] = "--serve";
  char* arguments[] = {name, serve, nullptr};
  char* environment[] = {nullptr};
  pid_t pid = -1;
  const int error = posix_spawn(&pid, path.c_str(), &actions, &attributes, arguments, environment);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) return ErrnoStatus(error, absl::StrCat("starting ", path));
  return pid;
}

// Text of a hostile peer, fit for a log.
std::string Printable(const char* text, size_t limit) {
  std::string out;
  for (size_t i = 0; i < limit && text[i] != '\0'; ++i) out += absl::ascii_isprint(text[i]) ? text[i] : '?';
  return out;
}

}  // namespace

absl::StatusOr<std::unique_ptr<RunnerProcess>> RunnerProcess::Start(const std::string& runner_path,
                                                                    const RunnerJob& job, int object,
                                                                    const Cancellation* cancellation) {
  absl::StatusOr<TensorFile> outputs = TensorFile::ForOutputs(*job.outputs);
  if (!outputs.ok()) return outputs.status();
  absl::StatusOr<RunnerSetup> setup = MakeSetup(job, *outputs);
  if (!setup.ok()) return setup.status();
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
    return ErrnoStatus(errno, "socketpair");
  FileDescriptor ours(pair[0]), theirs(pair[1]);
  absl::StatusOr<pid_t> pid =
      Spawn(runner_path, {theirs.get(), object, job.inputs->descriptor(), outputs->descriptor()});
  if (!pid.ok()) return pid.status();
  std::unique_ptr<RunnerProcess> process(
      new RunnerProcess(*pid, std::move(ours), *std::move(outputs), cancellation));
  if (send(process->control_.get(), &*setup, sizeof(*setup), MSG_NOSIGNAL) != sizeof(*setup)) {
    return ErrnoStatus(errno, "setting up a runner");
  }
  return process;
}

RunnerProcess::RunnerProcess(pid_t pid, FileDescriptor control, TensorFile outputs,
                             const Cancellation* cancellation)
    : pid_(pid), control_(std::move(control)), outputs_(std::move(outputs)), cancellation_(cancellation) {}

RunnerProcess::~RunnerProcess() { Finish({}); }

Ending RunnerProcess::Finish(Ending ending) {
  // The group too: whatever the object forked. The pid is not reused before it is reaped.
  if (!reaped_) {
    kill(-pid_, SIGKILL);
    kill(pid_, SIGKILL);
    while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
    reaped_ = true;
  }
  control_ = FileDescriptor();
  if (!ending_) ending_ = std::move(ending);
  return *ending_;
}

void RunnerProcess::PinTo(const std::vector<int>& cpus) {
  if (reaped_) return;
  std::vector<pid_t> threads;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(absl::StrCat("/proc/", pid_, "/task"), error)) {
    pid_t thread;
    if (absl::SimpleAtoi(entry.path().filename().string(), &thread)) threads.push_back(thread);
  }
  std::sort(threads.begin(), threads.end());
  for (size_t i = 0; i < std::min(threads.size(), cpus.size()); ++i) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpus[i], &set);
    sched_setaffinity(threads[i], sizeof(set), &set);
  }
}

StepResult RunnerProcess::AwaitLoaded(absl::Duration limit) {
  const Stopwatch watch;
  StepResult result = AwaitReply(watch, limit);
  if (result.ending || result.reply.kind != kReplyEntering) return result;
  entered_ = true;
  return AwaitReply(watch, limit);
}

StepResult RunnerProcess::Check(uint32_t input_set, absl::Duration limit) {
  outputs_.Poison();
  return Step({.kind = kCommandCheck, .input_set = input_set, .calls = 1}, limit);
}

StepResult RunnerProcess::RunWindow(uint32_t calls, absl::Duration at_least, absl::Duration limit) {
  return Step({.kind = kCommandWindow,
               .calls = std::max(calls, 1u),
               .min_nanoseconds = static_cast<uint64_t>(absl::ToInt64Nanoseconds(at_least))},
              limit);
}

StepResult RunnerProcess::Step(const RunnerCommand& command, absl::Duration limit) {
  if (ending_) return {.ending = ending_};
  RunnerCommand numbered = command;
  numbered.sequence = ++sequence_;
  const Stopwatch watch;
  if (send(control_.get(), &numbered, sizeof(numbered), MSG_NOSIGNAL) != sizeof(numbered)) {
    return {.ending = Finish(EndingOfDeadChild())};
  }
  return AwaitReply(watch, limit);
}

StepResult RunnerProcess::AwaitReply(const Stopwatch& watch, absl::Duration limit) {
  if (ending_) return {.ending = ending_};
  for (;;) {
    // An answer that is there counts, however late this process itself got to look.
    const absl::Duration left = std::max(limit - watch.Elapsed(), absl::ZeroDuration());
    pollfd polls[] = {{control_.get(), POLLIN, 0}, {cancellation_->descriptor(), POLLIN, 0}};
    const int timeout = static_cast<int>(std::min<int64_t>(absl::ToInt64Milliseconds(left) + 1, 1 << 30));
    const int ready = poll(polls, 2, left == absl::ZeroDuration() ? 0 : timeout);
    if (ready < 0 && errno == EINTR) continue;
    if (polls[1].revents) return {.ending = Finish({Outcome::kInfrastructure, "cancelled"})};
    if (ready == 0 && left == absl::ZeroDuration()) {
      return {.ending = Finish({entered_ ? Outcome::kTimeout : Outcome::kInfrastructure,
                                absl::StrCat("no answer within ", absl::FormatDuration(limit))})};
    }
    if (ready > 0 && polls[0].revents) break;
  }
  StepResult result;
  result.elapsed_seconds = watch.Seconds();
  const ssize_t n = recv(control_.get(), &result.reply, sizeof(result.reply), MSG_DONTWAIT);
  const RunnerReply& reply = result.reply;
  if (n <= 0) {
    result.ending = Finish(EndingOfDeadChild());
  } else if (n != sizeof(reply) || reply.pid != pid_ || reply.sequence != sequence_) {
    result.ending = Finish({Outcome::kCrash, "broke the runner's protocol"});
  } else if (reply.kind == kReplySetupFailed && !entered_) {
    result.ending = Finish({Outcome::kInfrastructure, Printable(reply.message, kRunnerMessageBytes)});
  } else if (reply.kind == kReplyFailed) {
    result.ending = Finish({Outcome::kCrash, Printable(reply.message, kRunnerMessageBytes)});
  } else if (static_cast<double>(reply.wall_nanoseconds) > result.elapsed_seconds * 1e9) {
    result.ending = Finish({Outcome::kCrash, "reported a time longer than it took"});
  }
  return result;
}

// The socket closed. The kernel closes it before the status can be read, so waiting here is short; a child
// that only closed its end is killed.
Ending RunnerProcess::EndingOfDeadChild() {
  int status = 0;
  pid_t got = 0;
  for (const Stopwatch watch; got == 0 && watch.Seconds() < 1;) {
    got = waitpid(pid_, &status, WNOHANG);
    if (got == 0) absl::SleepFor(absl::Microseconds(200));
  }
  const Outcome blame = entered_ ? Outcome::kCrash : Outcome::kInfrastructure;
  if (got != pid_) return {blame, "closed its control socket"};
  kill(-pid_, SIGKILL);
  reaped_ = true;
  if (WIFSIGNALED(status)) {
    const int signal = WTERMSIG(status);
    if (signal == SIGXCPU) return {entered_ ? Outcome::kTimeout : blame, "exceeded its CPU time"};
    return {blame, absl::StrCat("killed by signal ", signal, " (", strsignal(signal), ")")};
  }
  return {blame, absl::StrCat("exited with status ", WEXITSTATUS(status), " before it was done")};
}

}  // namespace hone
