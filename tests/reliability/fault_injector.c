// Preloaded into hone-server or another program (LD_PRELOAD): at the n-th call of one site the process is killed, or the call
// fails. A site is a call and what it works on, "pwrite64 wal"; see Classify for the names. The C library is
// asked for by name, so calls that it makes inside itself (the log's) are not seen. Environment:
//   HONE_FAULT_PROGRAM the program's name, "hone-server" if there is none; its children go on undisturbed
//   HONE_FAULT_FOLDER  its data folder; files elsewhere are nobody's site
//   HONE_FAULT_LOG     appended to: without HONE_FAULT_SITE each call's site, a line each; with it "fired"
//                      once the fault has begun, "over" once it has ended
//   HONE_FAULT_SITE, HONE_FAULT_AT   which call; the first is 1
//   HONE_FAULT_DO      before | after | torn (half of the bytes are written): SIGKILL; a number: errno
//   HONE_FAULT_MILLISECONDS   a failure lasts so long, for every call that can fail so; 0 = one call only
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum Deed { kNothing, kKillBefore, kKillAfter, kTorn, kFail };

static int enabled;
static int log_file = -1;
static const char* folder;
static const char* site;
static enum Deed deed;
static int fault_errno;
static long fault_at, fault_milliseconds;
static atomic_long calls;
static atomic_llong failing_until;  // nanoseconds of the monotonic clock; 0 = not begun, -1 = over

static void Log(const char* text) {
  char line[160];
  const int size = snprintf(line, sizeof(line), "%s\n", text);
  if (log_file >= 0) syscall(SYS_write, log_file, line, (size_t)size);
}

static long long Now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static const char* Variable(const char* name) {
  const char* value = getenv(name);
  return value == NULL ? "" : value;
}

__attribute__((constructor)) static void Begin(void) {
  const char* program = Variable("HONE_FAULT_PROGRAM");
  if (strcmp(program_invocation_short_name, program[0] != '\0' ? program : "hone-server") != 0)
    return;  // its children inherit the environment
  folder = Variable("HONE_FAULT_FOLDER");
  site = Variable("HONE_FAULT_SITE");
  fault_at = atol(Variable("HONE_FAULT_AT"));
  fault_milliseconds = atol(Variable("HONE_FAULT_MILLISECONDS"));
  const char* what = Variable("HONE_FAULT_DO");
  deed = strcmp(what, "before") == 0  ? kKillBefore
         : strcmp(what, "after") == 0 ? kKillAfter
         : strcmp(what, "torn") == 0  ? kTorn
         : atoi(what) > 0             ? kFail
                                      : kNothing;
  fault_errno = atoi(what);
  log_file = (int)syscall(SYS_openat, AT_FDCWD, Variable("HONE_FAULT_LOG"),
                          O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (log_file >= 0) log_file = fcntl(log_file, F_DUPFD_CLOEXEC, 900);
  enabled = folder[0] != '\0';
}

// What a path of the data folder is; NULL elsewhere.
static const char* Classify(const char* path) {
  static const char* const kKinds[][2] = {{"/hone.db-wal", "wal"},   {"/hone.db-shm", "shm"},
                                          {"/hone.db", "database"},  {"/blobs/parts/import-", "import"},
                                          {"/blobs/parts/", "part"}, {"/blobs/", "blob"},
                                          {"/tls/", "certificate"},  {".token", "token"},
                                          {"/endpoint", "endpoint"}, {"/logs/", "log"},
                                          {"/lock", "lock"},         {"/identity", "identity"},
                                          {"/enrolment", "enrolment"}};
  if (!enabled) return NULL;
  const size_t length = strlen(folder);
  if (strncmp(path, folder, length) != 0) return NULL;
  for (size_t i = 0; i < sizeof(kKinds) / sizeof(kKinds[0]); ++i) {
    if (strstr(path + length, kKinds[i][0]) != NULL) return kKinds[i][1];
  }
  return "folder";
}

static const char* ClassifyFile(int file) {
  if (!enabled) return NULL;
  char link[64], path[512];
  snprintf(link, sizeof(link), "/proc/self/fd/%d", file);
  const long size = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof(path) - 1);
  if (size < 0) return NULL;
  path[size] = '\0';
  if (strncmp(path, "socket:", 7) == 0) return "socket";
  if (strstr(path, "eventfd") != NULL) return "event";
  return Classify(path);
}

// Whether a call can fail with this errno: a full disk, a broken one, no more descriptors, no more memory.
static int CanFail(const char* call, int number, const char* kind) {
  static const struct {
    int number;
    const char* calls;
  } kTable[] = {
      {ENOSPC, " write pwrite64 ftruncate open-create mkdir rename fdatasync fsync "},
      {EIO,
       " write pwrite64 ftruncate open open-create mkdir rename unlink fsync fdatasync chmod utimensat "},
      {EMFILE, " open open-create accept4 socketpair eventfd memfd_create pipe2 "},
      {ENOMEM, " open open-create accept4 socketpair eventfd memfd_create pipe2 fallocate mmap mkdir posix_spawn "}};
  char word[48];
  if (strcmp(kind, "socket") == 0 || strcmp(kind, "event") == 0) return 0;
  snprintf(word, sizeof(word), " %s ", call);
  for (size_t i = 0; i < sizeof(kTable) / sizeof(kTable[0]); ++i) {
    if (kTable[i].number == number) return strstr(kTable[i].calls, word) != NULL;
  }
  return 0;
}

static void Die(void) {
  Log("fired");
  for (;;) kill(getpid(), SIGKILL);
}

// Told of each call before it is made. kFail: it shall fail with fault_errno; kTorn, kKillAfter: see deed.
static enum Deed Arrive(const char* call, const char* kind) {
  char name[64];
  if (!enabled || kind == NULL) return kNothing;
  snprintf(name, sizeof(name), "%s %s", call, kind);
  if (site[0] == '\0') {
    Log(name);
    return kNothing;
  }
  const long long until = atomic_load(&failing_until);
  if (until > 0) {
    if (Now() < until) return CanFail(call, fault_errno, kind) ? kFail : kNothing;
    long long expected = until;
    if (atomic_compare_exchange_strong(&failing_until, &expected, -1)) Log("over");
  }
  if (strcmp(name, site) != 0 || atomic_fetch_add(&calls, 1) + 1 != fault_at) return kNothing;
  if (deed == kKillBefore) Die();
  if (deed == kFail) {
    Log("fired");
    if (fault_milliseconds > 0) {
      atomic_store(&failing_until, Now() + fault_milliseconds * 1000000LL);
    } else {
      Log("over");
    }
  }
  return deed;
}

static void Depart(enum Deed what) {
  if (what != kKillAfter && what != kTorn) return;
  Die();
}

#define REAL(name)               \
  static __typeof__(&name) real; \
  if (real == NULL) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

#define INTERPOSE(result, name, call, kind, parameters, arguments) \
  result name parameters {                                         \
    REAL(name);                                                    \
    const enum Deed what = Arrive(call, kind);                     \
    if (what == kFail) {                                           \
      errno = fault_errno;                                         \
      return (result) - 1;                                         \
    }                                                              \
    result const value = real arguments;                           \
    const int saved = errno;                                       \
    Depart(what);                                                  \
    errno = saved;                                                 \
    return value;                                                  \
  }

#define HALF(bytes) (what == kTorn ? (bytes) / 2 : (bytes))

INTERPOSE(ssize_t, write, "write", ClassifyFile(file), (int file, const void* data, size_t bytes),
          (file, data, HALF(bytes)))
INTERPOSE(ssize_t, pwrite64, "pwrite64", ClassifyFile(file),
          (int file, const void* data, size_t bytes, off64_t at), (file, data, HALF(bytes), at))
INTERPOSE(ssize_t, pwrite, "pwrite64", ClassifyFile(file),
          (int file, const void* data, size_t bytes, off_t at), (file, data, HALF(bytes), at))
INTERPOSE(ssize_t, writev, "writev", ClassifyFile(file), (int file, const struct iovec* parts, int count),
          (file, parts, count))
INTERPOSE(ssize_t, sendmsg, "sendmsg", ClassifyFile(file),
          (int file, const struct msghdr* message, int flags), (file, message, flags))
INTERPOSE(int, fsync, "fsync", ClassifyFile(file), (int file), (file))
INTERPOSE(int, fdatasync, "fdatasync", ClassifyFile(file), (int file), (file))
INTERPOSE(int, ftruncate, "ftruncate", ClassifyFile(file), (int file, off_t size), (file, size))
INTERPOSE(int, ftruncate64, "ftruncate", ClassifyFile(file), (int file, off64_t size), (file, size))
INTERPOSE(int, rename, "rename", Classify(to), (const char* from, const char* to), (from, to))
INTERPOSE(int, unlink, "unlink", Classify(path), (const char* path), (path))
INTERPOSE(int, remove, "unlink", Classify(path), (const char* path), (path))
INTERPOSE(int, mkdir, "mkdir", Classify(path), (const char* path, mode_t mode), (path, mode))
INTERPOSE(int, chmod, "chmod", Classify(path), (const char* path, mode_t mode), (path, mode))
INTERPOSE(int, fchmod, "chmod", ClassifyFile(file), (int file, mode_t mode), (file, mode))
INTERPOSE(int, utimensat, "utimensat", Classify(path),
          (int directory, const char* path, const struct timespec times[2], int flags),
          (directory, path, times, flags))
INTERPOSE(int, accept4, "accept4", "connection",
          (int file, struct sockaddr* name, socklen_t* size, int flags), (file, name, size, flags))
INTERPOSE(int, socketpair, "socketpair", "link", (int domain, int type, int protocol, int pair[2]),
          (domain, type, protocol, pair))
INTERPOSE(int, eventfd, "eventfd", "wake-up", (unsigned count, int flags), (count, flags))
INTERPOSE(int, memfd_create, "memfd_create", "memory", (const char* name, unsigned flags), (name, flags))
INTERPOSE(int, fallocate, "fallocate", "memory", (int file, int mode, off_t at, off_t bytes), (file, mode, at, bytes))
INTERPOSE(int, pipe2, "pipe2", "words", (int pair[2], int flags), (pair, flags))
INTERPOSE(void*, mmap64, "mmap", file >= 0 ? ClassifyFile(file) : NULL,
          (void* at, size_t bytes, int protection, int flags, int file, off64_t offset),
          (at, bytes, protection, flags, file, offset))

#define OPEN(name)                                                                                  \
  int name(const char* path, int flags, ...) {                                                      \
    REAL(name);                                                                                     \
    va_list rest;                                                                                   \
    va_start(rest, flags);                                                                          \
    const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(rest, mode_t) : 0;            \
    va_end(rest);                                                                                   \
    const enum Deed what = Arrive((flags & O_CREAT) != 0 ? "open-create" : "open", Classify(path)); \
    if (what == kFail) {                                                                            \
      errno = fault_errno;                                                                          \
      return -1;                                                                                    \
    }                                                                                               \
    const int file = real(path, flags, mode);                                                       \
    const int saved = errno;                                                                        \
    Depart(what);                                                                                   \
    errno = saved;                                                                                  \
    return file;                                                                                    \
  }
OPEN(open)
OPEN(open64)

int posix_spawn(pid_t* pid, const char* path, const posix_spawn_file_actions_t* actions,
                const posix_spawnattr_t* attributes, char* const arguments[], char* const environment[]) {
  REAL(posix_spawn);
  const enum Deed what = Arrive("posix_spawn", "child");
  if (what == kFail) return fault_errno;
  const int code = real(pid, path, actions, attributes, arguments, environment);
  Depart(what);
  return code;
}
