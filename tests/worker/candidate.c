/* One candidate per behaviour, chosen by -DBEHAVIOUR=NAME: y[i] = x[i] * w[i] over kElements floats, or what
 * goes wrong instead. BEHAVIOUR names are those of kBehaviours in lease_executor_test.cc. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "compiler/runtime/hone_candidate.h"

enum {
  kElements = 1000,
  good,
  slow,
  crash,
  hang,
  wrong_output,
  nan_output,
  memory_hog,
  out_of_bounds,
  slack_write,
  forks,
  early_exit,
  fails,
  closes_socket,
  crash_on_load,
  writes_inputs,
  wrong_later,
  null_table,
  threaded,
  stops_itself,
  huge_scratch,
  executes,
  connects,
  traces_parent,
  kills_parent,
  reads_file,
  reads_file_on_load,
  writes_file,
  floods_stdout,
  maps_code,
  starts_thread,
  asks_for_privileges
};

/* Ends the process so that the test sees it: what the sandbox forbids has worked. */
__attribute__((unused)) static void Escaped(int yes) {
  if (yes) _exit(99);
}

static void PackInputs(const void* const* logical, void* packed) {
  memcpy(packed, logical[0], 4 * kElements);
}
static void PackConstants(const void* const* logical, void* packed) {
  memcpy(packed, logical[0], 4 * kElements);
}
static void UnpackOutputs(const void* packed, void* const* logical) {
  memcpy(logical[0], packed, 4 * kElements);
}

typedef struct Multiply {
  const float *x, *w;
  float* y;
} Multiply;

static void MultiplyBlock(void* context, int32_t block) {
  const Multiply* m = context;
  for (int i = block * 100; i < (block + 1) * 100; ++i) m->y[i] = m->x[i] * m->w[i];
}

__attribute__((unused)) static void MultiplyAll(const Multiply* m) {
  for (int block = 0; block < kElements / 100; ++block) MultiplyBlock((void*)m, block);
}

__attribute__((unused)) static void* Sleep(void* argument) {
  pause();
  return argument;
}

static int Run(const void* in, const void* constants, void* out, void* scratch,
               const HoneParallel* parallel) {
  static volatile int calls;
  Multiply m = {in, constants, out};
  calls = calls + 1;
#ifdef BEHAVIOUR_threaded
  parallel->parallel_for(parallel->pool, kElements / 100, MultiplyBlock, &m);
  return 0;
#endif
  MultiplyAll(&m);
  switch (BEHAVIOUR) {
    case slow:
      for (volatile int i = 0; i < 200000; ++i) {
      }
      break;
    case crash:
      *(volatile int*)0 = 1;
      break;
    case hang:
      for (volatile int i = 0;; ++i) {
      }
    case wrong_output:
      m.y[777] += 0.5f;
      break;
    case nan_output:
      m.y[0] = NAN;
      break;
    case memory_hog:
      for (;;) *(volatile char*)malloc(64 << 20) = 1;
    case out_of_bounds:
      memset(m.y, 0, 4096 + 4 * kElements);
      break;
    case slack_write:
      m.y[-1] = 0;
      break;
    case forks:
      if (fork() == 0) pause();
      fork();
      break;
    case early_exit:
      _exit(0);
    case fails:
      return 7;
    case closes_socket:
      close(3);
      break;
    case writes_inputs:
      ((float*)in)[5] = 1;
      break;
    case wrong_later:
      if (calls > 20) m.y[3] = 9;
      break;
    case stops_itself:
      raise(SIGSTOP);
      break;
    case executes:
      execl("/bin/true", "true", (char*)0);
      break;
    case connects:
      Escaped(socket(AF_INET, SOCK_STREAM, 0) >= 0);
      break;
    case traces_parent:
      Escaped(ptrace(PTRACE_ATTACH, getppid(), 0, 0) == 0);
      break;
    case kills_parent:
      Escaped(kill(getppid(), 0) == 0);
      break;
    case reads_file:
      Escaped(open("/etc/passwd", O_RDONLY) >= 0 || open("/proc/self/environ", O_RDONLY) >= 0);
      break;
    case writes_file:
      Escaped(open("/tmp/hone-escaped", O_WRONLY | O_CREAT, 0600) >= 0 || mkdir("/tmp/hone-escaped.d", 0700) == 0 ||
              unlink("/tmp/hone-escaped") == 0);
      break;
    case floods_stdout: {
      char line[4096];
      memset(line, 'x', sizeof line);
      for (int i = 0; i < 100; ++i) write(1, line, sizeof line);
      Escaped(write(4, line, sizeof line) >= 0 || write(5, line, sizeof line) >= 0);
      break;
    }
    case maps_code:
      Escaped(mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED ||
              mprotect((void*)((uintptr_t)m.y & -4096ul), 4096, PROT_READ | PROT_WRITE | PROT_EXEC) == 0);
      break;
    case starts_thread: {
      pthread_t thread;
      Escaped(pthread_create(&thread, 0, Sleep, 0) == 0);
      break;
    }
    case asks_for_privileges:
      Escaped(setuid(0) == 0 || unshare(CLONE_NEWNS) == 0);
      break;
    default:
      break;
  }
  return 0;
}

#ifdef BEHAVIOUR_reads_file_on_load
__attribute__((constructor)) static void ReadOnLoad(void) {
  Escaped(open("/etc/passwd", O_RDONLY) >= 0 || open("/proc/self/environ", O_RDONLY) >= 0 || opendir("/tmp") != 0);
}
#endif

#ifdef BEHAVIOUR_crash_on_load
__attribute__((constructor)) static void CrashOnLoad(void) { abort(); }
#endif

const HoneCandidateV1* hone_candidate(void) {
  static const HoneCandidateV1 table = {
      HONE_CANDIDATE_ABI, sizeof(table), 4 * kElements,
      4 * kElements,      4 * kElements, BEHAVIOUR == huge_scratch ? UINT64_C(1) << 40 : 64,
      PackInputs,         PackConstants, Run,
      UnpackOutputs};
  return BEHAVIOUR == null_table ? 0 : &table;
}
