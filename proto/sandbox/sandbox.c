#define _GNU_SOURCE
#include "proto/sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- namespaces ---- */

static int WriteText(const char* path, const char* text) {
  const int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  const int error = write(fd, text, strlen(text)) < 0 ? errno : 0;
  close(fd);
  return error;
}

static int EnterNamespaces(void) {
  const unsigned user = geteuid(), group = getegid();
  if (unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) != 0) return errno;
  char map[64];
  int error = WriteText("/proc/self/setgroups", "deny");
  snprintf(map, sizeof map, "%u %u 1", user, user);
  if (error == 0) error = WriteText("/proc/self/uid_map", map);
  snprintf(map, sizeof map, "%u %u 1", group, group);
  return error == 0 ? WriteText("/proc/self/gid_map", map) : error;
}

/* ---- files ---- */

/* struct landlock_ruleset_attr as of version 6; older kernels take its beginning. */
typedef struct RulesetAttributes {
  uint64_t files, network, scopes;
} RulesetAttributes;

/* By the kernel's Landlock version: how many rights to files, to the network and scopes it knows. */
static const struct {
  int files, network, scopes;
} kLandlock[] = {{0, 0, 0}, {13, 0, 0}, {14, 0, 0}, {15, 0, 0}, {15, 2, 0}, {16, 2, 0}, {16, 2, 2}};

static int DenyFiles(void) {
  const int known = sizeof kLandlock / sizeof *kLandlock - 1;
  int version = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (version < 0) return errno;
  if (version > known) version = known;
  const RulesetAttributes all = {(UINT64_C(1) << kLandlock[version].files) - 1,
                                 (UINT64_C(1) << kLandlock[version].network) - 1,
                                 (UINT64_C(1) << kLandlock[version].scopes) - 1};
  const size_t size = version >= 6 ? sizeof all : version >= 4 ? 2 * sizeof(uint64_t) : sizeof(uint64_t);
  const int rules = (int)syscall(SYS_landlock_create_ruleset, &all, size, 0);
  if (rules < 0) return errno;
  const int error = syscall(SYS_landlock_restrict_self, rules, 0) != 0 ? errno : 0;
  close(rules);
  return error;
}

/* ---- calls ---- */

/* While code is loaded and afterwards. Everything else fails with EPERM. */
static const int kAlways[] = {
    SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(futex), SCMP_SYS(sched_yield),
    SCMP_SYS(nanosleep), SCMP_SYS(clock_nanosleep), SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres),
    SCMP_SYS(gettimeofday), SCMP_SYS(restart_syscall), SCMP_SYS(getrusage), SCMP_SYS(times), SCMP_SYS(getpid),
    SCMP_SYS(gettid), SCMP_SYS(getcpu), SCMP_SYS(sched_getaffinity), SCMP_SYS(getrandom), SCMP_SYS(membarrier),
    SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack), SCMP_SYS(close),
    SCMP_SYS(exit), SCMP_SYS(exit_group),
    /* A thread that was started while loading may only now come to its first instructions. */
    SCMP_SYS(rseq), SCMP_SYS(set_robust_list)};
static const int kWhileLoading[] = {
    SCMP_SYS(mmap), SCMP_SYS(mprotect), SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(read), SCMP_SYS(pread64),
    SCMP_SYS(lseek), SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(stat), SCMP_SYS(readlink), SCMP_SYS(access),
    SCMP_SYS(getcwd), SCMP_SYS(uname), SCMP_SYS(sysinfo), SCMP_SYS(prlimit64), SCMP_SYS(arch_prctl),
    SCMP_SYS(set_tid_address), SCMP_SYS(seccomp)};
/* No kernel has a use for these: whoever tries is ended, and the signal says why. */
static const int kFatal[] = {
    SCMP_SYS(fork), SCMP_SYS(vfork), SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(socket), SCMP_SYS(socketpair),
    SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev),
    SCMP_SYS(kill), SCMP_SYS(tkill), SCMP_SYS(pidfd_send_signal), SCMP_SYS(mount), SCMP_SYS(unshare), SCMP_SYS(setns),
    SCMP_SYS(bpf), SCMP_SYS(io_uring_setup), SCMP_SYS(userfaultfd), SCMP_SYS(perf_event_open), SCMP_SYS(keyctl)};

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

static int Add(scmp_filter_ctx filter, uint32_t action, const int* calls, int count) {
  for (int i = 0; i < count; ++i) {
    const int error = seccomp_rule_add(filter, action, calls[i], 0);
    if (error != 0) return error;
  }
  return 0;
}

/* A thread may end itself (abort) but nobody else; text may go to the descriptors of /dev/null. */
static int AddCommon(scmp_filter_ctx filter) {
  int error = Add(filter, SCMP_ACT_ALLOW, kAlways, COUNT(kAlways));
  if (error == 0) error = Add(filter, SCMP_ACT_KILL_PROCESS, kFatal, COUNT(kFatal));
  const scmp_datum_t self = (scmp_datum_t)getpid();
  if (error == 0) error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, SCMP_A0(SCMP_CMP_EQ, self));
  for (scmp_datum_t fd = 1; error == 0 && fd <= 2; ++fd) {
    error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(write), 1, SCMP_A0(SCMP_CMP_EQ, fd));
  }
  return error;
}

/* glibc starts threads with clone3, whose flags lie in memory where no filter sees them, and with clone where there is
 * no clone3. */
static int AddLoading(scmp_filter_ctx filter) {
  int error = Add(filter, SCMP_ACT_ALLOW, kWhileLoading, COUNT(kWhileLoading));
  if (error == 0) error = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
  if (error == 0) {
    error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                             SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
  }
  if (error == 0) {
    error = seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, SCMP_SYS(clone), 1,
                             SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
  }
  /* The messages of whoever loads; which socket is theirs, HoneSandboxFinish says. */
  const int messages[] = {SCMP_SYS(sendto), SCMP_SYS(recvfrom)};
  return error == 0 ? Add(filter, SCMP_ACT_ALLOW, messages, COUNT(messages)) : error;
}

static int AddRunning(scmp_filter_ctx filter, int control) {
  const int memory[] = {SCMP_SYS(mmap), SCMP_SYS(mprotect)}, messages[] = {SCMP_SYS(sendto), SCMP_SYS(recvfrom)};
  int error = 0;
  for (int i = 0; error == 0 && i < COUNT(memory); ++i) {
    error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, memory[i], 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
  }
  for (int i = 0; error == 0 && i < COUNT(messages); ++i) {
    error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, messages[i], 1, SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)control));
  }
  return error;
}

/* `control` < 0: while loading. */
static int LimitCalls(int control) {
  scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
  if (filter == NULL) return ENOMEM;
  int error = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
  if (error == 0) error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
  if (error == 0) error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 0);   /* is set, and prctl shut off later */
  if (error == 0) error = AddCommon(filter);
  if (error == 0) error = control < 0 ? AddLoading(filter) : AddRunning(filter, control);
  if (error == 0) error = seccomp_load(filter);
  seccomp_release(filter);
  return -error;
}

HoneSandboxFaults HoneSandboxEnter(void) {
  HoneSandboxFaults faults = {.namespaces = EnterNamespaces()};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);   /* these fail for wrong arguments only */
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  faults.files = DenyFiles();
  faults.calls = LimitCalls(-1);
  return faults;
}

int HoneSandboxFinish(int control) { return LimitCalls(control); }

HoneSandboxFaults HoneSandboxProbe(void) {
  HoneSandboxFaults faults = {ECHILD, ECHILD, ECHILD};
  HoneSandboxFaults* const shared =
      mmap(NULL, sizeof faults, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) return faults;
  *shared = faults;
  const pid_t child = fork();
  if (child == 0) {
    *shared = HoneSandboxEnter();
    _exit(0);
  }
  while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR) {
  }
  faults = *shared;
  munmap(shared, sizeof faults);
  return faults;
}
