// A hone-job that has been taken over: in the same sandbox, under the same limits and with the same descriptors as the
// real one, it does what its model's text, `DEED FOLDER`, names; FOLDER is the server's data folder. A deed that is
// refused makes the job fail with "contained: ", one that works with "ESCAPED: ". `good` hands over a module.
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "proto/sandbox/sandbox.h"
#include "proto/values/sha256.h"
#include "server/jobs/job_link.h"

namespace hone {
namespace {

constexpr int kLink = 3, kOutbox = 4;

JobLink* job_link;
std::string folder;

[[noreturn]] void Say(v1::JobMessage message) {
  job_link->Send(message);
  job_link->ReadFrame(absl::InfiniteFuture()).status().IgnoreError();   // until the server closes the link
  _exit(0);
}

[[noreturn]] void Report(const std::string& text) {
  v1::JobMessage message;
  message.mutable_failed()->set_code(static_cast<int>(absl::StatusCode::kInternal));
  message.mutable_failed()->set_message(text);
  Say(message);
}

// `result` is of a call: below zero if it was refused.
[[noreturn]] void Judge(long result) {
  Report(result < 0 ? absl::StrCat("contained: ", std::strerror(errno)) : "ESCAPED");
}

long Open(const std::string& path, int flags) { return open(path.c_str(), flags, 0600); }
void* Sleep(void*) { for (;;) sleep(1000); }

v1::JobMessage ModuleOf(const std::string& content, const std::string& sha256) {
  v1::JobMessage message;
  v1::NamedBlob& file = *message.mutable_module()->add_files();
  message.mutable_module()->set_target("x86-64-v3");
  message.mutable_module()->set_report_json("{}");
  file.set_name("file.txt");
  file.mutable_blob()->set_sha256(sha256);
  file.mutable_blob()->set_size(content.size());
  return message;
}

void Good() {
  const std::string content = "a module";
  if (pwrite(kOutbox, content.data(), content.size(), 0) < 0) Judge(-1);
  Say(ModuleOf(content, Sha256Hex(content)));
}

void ThreadBomb() {
  pthread_attr_t small;
  pthread_attr_init(&small);
  pthread_attr_setstacksize(&small, 16384);
  int count = 0, error = 0;
  for (pthread_t thread; error == 0 && count < 100'000; ++count) error = pthread_create(&thread, &small, Sleep, nullptr);
  errno = error;
  Judge(count <= kHoneSandboxThreads ? -error : 0);
}

// Memory in every form: as much as comes, and used.
void MemoryHog() {
  for (size_t bytes = 0;; bytes += 16 << 20) std::memset(new char[16 << 20], 1, 16 << 20);
}
void SharedMemoryHog() {
  for (uint64_t bytes = 0; bytes < uint64_t{64} << 30; bytes += 64 << 20) {
    void* const piece = mmap(nullptr, 64 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (piece == MAP_FAILED) Judge(-1);
    std::memset(piece, 1, 64 << 20);
  }
  Judge(0);
}

void Flood() {
  v1::JobMessage message;
  message.mutable_progress()->set_phase("la la la");
  for (;;) {
    job_link->Send(message);
    if (!job_link->Flush().ok()) _exit(0);
  }
}

void FloodLog() {
  const std::string line = std::string(4095, 'x') + "\n";
  for (int i = 0; i < 100'000; ++i) {
    if (write(STDERR_FILENO, line.data(), line.size()) < 0 && errno == EAGAIN) sched_yield();
  }
  Judge(-1);
}

void SendDescriptors() {
  v1::JobMessage message;
  message.mutable_progress()->set_phase("look at this");
  std::vector<FileDescriptor> files;
  files.emplace_back(kOutbox);
  job_link->Send(message, std::move(files));
  Say(message);
}

void WriteRaw(const std::string& bytes) {
  if (write(kLink, bytes.data(), bytes.size()) < 0) Judge(-1);
  Sleep(nullptr);
}

void MakeCode() {
  const int writable = PROT_READ | PROT_WRITE, own = MAP_PRIVATE | MAP_ANONYMOUS;
  if (mmap(nullptr, 4096, writable | PROT_EXEC, own, -1, 0) != MAP_FAILED) Judge(0);
  Judge(mprotect(mmap(nullptr, 4096, writable, own, -1, 0), 4096, PROT_READ | PROT_EXEC));
}

void RaiseLimits() {
  const rlimit none{RLIM_INFINITY, RLIM_INFINITY};
  Judge(setrlimit(RLIMIT_AS, &none));
}

void ReadParentsMemory() {
  char byte;
  iovec here{&byte, 1}, there{reinterpret_cast<void*>(0x1000), 1};
  Judge(process_vm_readv(getppid(), &here, 1, &there, 1, 0));
}

const struct {
  const char* name;
  void (*run)();
} kDeeds[] = {
    {"good", Good},
    {"fork_bomb", [] { for (;;) fork(); }},
    {"thread_bomb", ThreadBomb},
    {"memory_hog", MemoryHog},
    {"shared_memory_hog", SharedMemoryHog},
    {"file_in_memory", [] { Judge(memfd_create("hog", 0)); }},
    {"grows_outbox", [] { Judge(ftruncate(kOutbox, int64_t{1} << 40)); }},
    {"overfills_outbox", [] { Judge(pwrite(kOutbox, "x", 1, int64_t{1} << 40)); }},
    {"writes_tmp", [] { Judge(Open("/tmp/hone-hostile", O_WRONLY | O_CREAT)); }},
    {"writes_data", [] { Judge(Open(folder + "/hostile", O_WRONLY | O_CREAT)); }},
    {"removes_database", [] { Judge(unlink((folder + "/hone.db").c_str())); }},
    {"makes_folder", [] { Judge(mkdir("/tmp/hone-hostile", 0700)); }},
    {"reads_passwd", [] { Judge(Open("/etc/passwd", O_RDONLY)); }},
    {"reads_database", [] { Judge(Open(folder + "/hone.db", O_RDONLY)); }},
    {"reads_token", [] { Judge(Open(folder + "/admin.token", O_RDONLY)); }},
    {"reads_key", [] { Judge(Open(folder + "/tls/key.pem", O_RDONLY)); }},
    {"lists_root", [] { Judge(Open("/", O_RDONLY | O_DIRECTORY)); }},
    {"reads_servers_environment", [] { Judge(Open(absl::StrCat("/proc/", getppid(), "/environ"), O_RDONLY)); }},
    {"reads_servers_memory", ReadParentsMemory},
    {"connects", [] { Judge(socket(AF_INET, SOCK_STREAM, 0)); }},
    {"traces_parent", [] { Judge(ptrace(PTRACE_ATTACH, getppid(), 0, 0)); }},
    {"kills_parent", [] { Judge(kill(getppid(), SIGKILL)); }},
    {"kills_all", [] { Judge(kill(-1, SIGKILL)); }},
    {"signals_parents_thread", [] { Judge(syscall(SYS_tgkill, getppid(), getppid(), SIGKILL)); }},
    {"executes", [] { Judge(execl("/bin/true", "true", nullptr)); }},
    {"mounts", [] { Judge(mount("none", "/tmp", "tmpfs", 0, nullptr)); }},
    {"asks_for_privileges", [] { Judge(unshare(CLONE_NEWUSER)); }},
    {"becomes_root", [] { Judge(setuid(0)); }},
    {"makes_code", MakeCode},
    {"raises_limits", RaiseLimits},
    {"spins", [] { for (volatile bool going = true; going;) {} }},
    {"stops_itself", [] { raise(SIGSTOP); }},
    {"floods_link", Flood},
    {"floods_log", FloodLog},
    {"endless_frame", [] { WriteRaw("\xff\xff\xff\xff"); }},
    {"garbage", [] { WriteRaw(std::string("\x03\x00\x00\x00\xff\xff\xff", 7)); }},
    {"sends_descriptors", SendDescriptors},
    {"asks_for_others_blob", [] { Say(ModuleOf("what it was made of", Sha256Hex("good " + folder))); }},
    {"exits_early", [] { _exit(0); }},
};

int Main() {
  pollfd word{kLink, POLLIN, 0};
  poll(&word, 1, -1);
  const HoneSandboxFaults faults = HoneSandboxEnter(kHoneSandboxJob, kLink);
  if (faults.namespaces || faults.files || faults.calls) return 3;
  JobLink link(FileDescriptor(kLink), JobLink::End::kChild);
  job_link = &link;
  const absl::StatusOr<JobFrame> frame = link.ReadFrame(absl::InfiniteFuture());
  if (!frame.ok()) return 1;
  char text[4096] = "";
  if (pread(frame->files.at(0).get(), text, sizeof(text) - 1, 0) <= 0) return 1;
  const std::string deed(text, std::strcspn(text, " "));
  folder = text + deed.size() + 1;
  for (const auto& known : kDeeds) {
    if (deed == known.name) known.run();
  }
  Report("no such deed");
}

}  // namespace
}  // namespace hone

int main() { return hone::Main(); }
