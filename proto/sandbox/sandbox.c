#define _GNU_SOURCE
#include "proto/sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
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

/* Files of root are root's even without rights, and no limit counts root's threads. */
static int LeaveRoot(void) {
  const unsigned nobody = 65534;
  if (geteuid() != 0) return 0;
  if (setgroups(0, NULL) != 0 || setresgid(nobody, nobody, nobody) != 0 || setresuid(nobody, nobody, nobody) != 0)
    return errno;
  return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0 ? errno : 0;   /* /proc/self is its own again */
}

/* In a user namespace of its own RLIMIT_NPROC counts this process's threads alone (kernel 5.14). */
static int EnterNamespaces(void) {
  int error = LeaveRoot();
  const unsigned user = geteuid(), group = getegid();
  if (unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) != 0) return errno;
  char map[64];
  if (error == 0) error = WriteText("/proc/self/setgroups", "deny");
  snprintf(map, sizeof map, "%u %u 1", user, user);
  if (error == 0) error = WriteText("/proc/self/uid_map", map);
  snprintf(map, sizeof map, "%u %u 1", group, group);
  if (error == 0) error = WriteText("/proc/self/gid_map", map);
  const struct rlimit threads = {kHoneSandboxThreads, kHoneSandboxThreads};
  if (error == 0 && setrlimit(RLIMIT_NPROC, &threads) != 0) error = errno;
  /* Those over its own namespaces, which reach code of the kernel that nobody else can. */
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};
  return error == 0 && syscall(SYS_capset, &header, none) != 0 ? errno : error;
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

/* Who may: a candidate while it is loaded, and afterwards; a job. */
enum { kLoading = 1, kRunning = 2, kJob = 4, kCandidate = kLoading | kRunning, kAll = kCandidate | kJob };

/* Allowed whatever their arguments. All that is in no table fails with EPERM. */
static const struct {
  int call, who;
} kAllowed[] = {
    {SCMP_SYS(brk), kAll},
    {SCMP_SYS(munmap), kAll},
    {SCMP_SYS(mremap), kAll},
    {SCMP_SYS(madvise), kAll},
    {SCMP_SYS(futex), kAll},
    {SCMP_SYS(sched_yield), kAll},
    {SCMP_SYS(nanosleep), kAll},
    {SCMP_SYS(clock_nanosleep), kAll},
    {SCMP_SYS(clock_gettime), kAll},
    {SCMP_SYS(clock_getres), kAll},
    {SCMP_SYS(gettimeofday), kAll},
    {SCMP_SYS(restart_syscall), kAll},
    {SCMP_SYS(getrusage), kAll},
    {SCMP_SYS(times), kAll},
    {SCMP_SYS(getpid), kAll},
    {SCMP_SYS(gettid), kAll},
    {SCMP_SYS(getcpu), kAll},
    {SCMP_SYS(sched_getaffinity), kAll},
    {SCMP_SYS(getrandom), kAll},
    {SCMP_SYS(membarrier), kAll},
    {SCMP_SYS(rt_sigaction), kAll},
    {SCMP_SYS(rt_sigprocmask), kAll},
    {SCMP_SYS(rt_sigreturn), kAll},
    {SCMP_SYS(sigaltstack), kAll},
    {SCMP_SYS(close), kAll},
    {SCMP_SYS(exit), kAll},
    {SCMP_SYS(exit_group), kAll},
    /* A thread that was started while loading may only now come to its first instructions. */
    {SCMP_SYS(rseq), kAll},
    {SCMP_SYS(set_robust_list), kAll},
    /* Opening fails by the layer of files, but for /proc/self/fd. */
    {SCMP_SYS(openat), kLoading | kJob},
    {SCMP_SYS(read), kLoading | kJob},
    {SCMP_SYS(pread64), kLoading | kJob},
    {SCMP_SYS(lseek), kLoading | kJob},
    {SCMP_SYS(fstat), kLoading | kJob},
    {SCMP_SYS(newfstatat), kLoading | kJob},
    {SCMP_SYS(access), kLoading | kJob},
    {SCMP_SYS(sysinfo), kLoading | kJob},
    {SCMP_SYS(open), kLoading},
    {SCMP_SYS(stat), kLoading},
    {SCMP_SYS(readlink), kLoading},
    {SCMP_SYS(getcwd), kLoading},
    {SCMP_SYS(uname), kLoading},
    {SCMP_SYS(prlimit64), kLoading},
    {SCMP_SYS(arch_prctl), kLoading},
    {SCMP_SYS(set_tid_address), kLoading},
    {SCMP_SYS(seccomp), kLoading},
    {SCMP_SYS(write), kJob},
    {SCMP_SYS(pwrite64), kJob},
    {SCMP_SYS(pipe2), kJob},
    {SCMP_SYS(poll), kJob},
    {SCMP_SYS(flock), kJob},
    {SCMP_SYS(timer_create), kJob},
    {SCMP_SYS(timer_settime), kJob},
    {SCMP_SYS(timer_delete), kJob},
};

/* No guest has a use for these: whoever tries is ended, and the signal says why. */
static const int kFatal[] = {
    SCMP_SYS(fork), SCMP_SYS(vfork), SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(socket), SCMP_SYS(socketpair),
    SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev),
    SCMP_SYS(kill), SCMP_SYS(tkill), SCMP_SYS(pidfd_send_signal), SCMP_SYS(mount), SCMP_SYS(unshare), SCMP_SYS(setns),
    SCMP_SYS(bpf), SCMP_SYS(io_uring_setup), SCMP_SYS(userfaultfd), SCMP_SYS(perf_event_open), SCMP_SYS(keyctl)};

/* Allowed or not by one argument, or as told. */
typedef enum Condition {
  kAlways,
  kOnControl,
  kOnStdout,
  kOnStderr,
  kToItself,
  kOfThread,
  kOfProcess,
  kNotExecutable,
} Condition;
static const struct {
  int call, who;
  Condition condition;
  uint32_t action;
} kConditional[] = {
    /* A thread may end itself (abort) but nobody else. */
    {SCMP_SYS(tgkill), kAll, kToItself, SCMP_ACT_ALLOW},
    /* Text may go to the descriptors of /dev/null. */
    {SCMP_SYS(write), kCandidate, kOnStdout, SCMP_ACT_ALLOW},
    {SCMP_SYS(write), kCandidate, kOnStderr, SCMP_ACT_ALLOW},
    /* glibc starts threads with clone3, whose flags lie in memory where no filter sees them, and with clone where there
     * is no clone3. */
    {SCMP_SYS(clone3), kLoading | kJob, kAlways, SCMP_ACT_ERRNO(ENOSYS)},
    {SCMP_SYS(clone), kLoading | kJob, kOfThread, SCMP_ACT_ALLOW},
    {SCMP_SYS(clone), kLoading | kJob, kOfProcess, SCMP_ACT_KILL_PROCESS},
    {SCMP_SYS(mmap), kLoading, kAlways, SCMP_ACT_ALLOW},
    {SCMP_SYS(mprotect), kLoading, kAlways, SCMP_ACT_ALLOW},
    {SCMP_SYS(mmap), kRunning | kJob, kNotExecutable, SCMP_ACT_ALLOW},
    {SCMP_SYS(mprotect), kRunning | kJob, kNotExecutable, SCMP_ACT_ALLOW},
    {SCMP_SYS(sendto), kCandidate, kOnControl, SCMP_ACT_ALLOW},
    {SCMP_SYS(recvfrom), kCandidate, kOnControl, SCMP_ACT_ALLOW},
    {SCMP_SYS(sendmsg), kJob, kOnControl, SCMP_ACT_ALLOW},
    {SCMP_SYS(recvmsg), kJob, kOnControl, SCMP_ACT_ALLOW},
};

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

static struct scmp_arg_cmp Compare(Condition condition, int control) {
  switch (condition) {
    case kAlways: break;
    case kOnControl: return SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)control);
    case kOnStdout: return SCMP_A0(SCMP_CMP_EQ, STDOUT_FILENO);
    case kOnStderr: return SCMP_A0(SCMP_CMP_EQ, STDERR_FILENO);
    case kToItself: return SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid());
    case kOfThread: return SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD);
    case kOfProcess: return SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0);
    case kNotExecutable: return SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
  }
  return (struct scmp_arg_cmp){0};
}

static int AddRules(scmp_filter_ctx filter, int who, int control) {
  int error = 0;
  for (int i = 0; error == 0 && i < COUNT(kAllowed); ++i) {
    if (kAllowed[i].who & who) error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, kAllowed[i].call, 0);
  }
  for (int i = 0; error == 0 && i < COUNT(kFatal); ++i) {
    error = seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, kFatal[i], 0);
  }
  for (int i = 0; error == 0 && i < COUNT(kConditional); ++i) {
    if (!(kConditional[i].who & who)) continue;
    const struct scmp_arg_cmp compare = Compare(kConditional[i].condition, control);
    const unsigned compares = kConditional[i].condition != kAlways;
    error = seccomp_rule_add_array(filter, kConditional[i].action, kConditional[i].call, compares, &compare);
  }
  return error;
}

static int LimitCalls(int who, int control) {
  scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
  if (filter == NULL) return ENOMEM;
  int error = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
  if (error == 0) error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
  if (error == 0) error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 0);   /* is set, and prctl shut off later */
  if (error == 0) error = AddRules(filter, who, control);
  if (error == 0) error = seccomp_load(filter);
  seccomp_release(filter);
  return -error;
}

HoneSandboxFaults HoneSandboxEnter(HoneSandboxGuest guest, int control) {
  WriteText("/proc/self/oom_score_adj", "1000");   /* a wish: the limits hold without it */
  HoneSandboxFaults faults = {.namespaces = EnterNamespaces()};
  /* These fail for wrong arguments only. A change of user forgets the first. */
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  faults.files = DenyFiles();
  faults.calls = LimitCalls(guest == kHoneSandboxJob ? kJob : kLoading, control);
  return faults;
}

int HoneSandboxFinish(int control) { return LimitCalls(kRunning, control); }

HoneSandboxFaults HoneSandboxProbe(void) {
  HoneSandboxFaults faults = {ECHILD, ECHILD, ECHILD};
  HoneSandboxFaults* const shared =
      mmap(NULL, sizeof faults, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) return faults;
  *shared = faults;
  const pid_t child = fork();
  if (child == 0) {
    *shared = HoneSandboxEnter(kHoneSandboxCandidate, -1);
    _exit(0);
  }
  while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR) {
  }
  faults = *shared;
  munmap(shared, sizeof faults);
  return faults;
}
