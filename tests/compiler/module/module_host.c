/* A program that uses a tiny module (tiny_module.h) as a stranger would: plain C, any libc.
 * usage: module_host MODULE.so    Prints "ok, N threads". Every allocation of the process goes through the counter
 * below; with glibc a seccomp filter also kills the process if a run maps, unmaps, or makes a thread. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hone.h"

static char heap[1 << 24];
static size_t heap_used, allocations;

void* malloc(size_t bytes) {
  const size_t at = __atomic_fetch_add(&heap_used, (bytes + 31) / 16 * 16, __ATOMIC_RELAXED);
  __atomic_fetch_add(&allocations, 1, __ATOMIC_RELAXED);
  if (at + bytes + 16 > sizeof heap) return NULL;
  memcpy(heap + at, &bytes, sizeof bytes);
  return heap + at + 16;
}
void free(void* memory) {}
void* calloc(size_t n, size_t bytes) { return malloc(n * bytes); }   /* never reused: still zero */
void* realloc(void* memory, size_t bytes) {
  void* moved = malloc(bytes);
  if (memory == NULL || moved == NULL) return moved;
  size_t old;
  memcpy(&old, (char*)memory - 16, sizeof old);
  return memcpy(moved, memory, old < bytes ? old : bytes);
}
void* aligned_alloc(size_t alignment, size_t bytes) {
  char* memory = malloc(bytes + alignment);
  return memory + (alignment - (size_t)memory % alignment) % alignment;
}

#if defined(__GLIBC__)
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define KILL_ON(number)                                    \
  BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),       \
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)

/* On all threads. Returns whether it is in force. */
static int ForbidAllocation(void) {
  struct sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      KILL_ON(SYS_mmap), KILL_ON(SYS_mremap), KILL_ON(SYS_munmap), KILL_ON(SYS_brk), KILL_ON(SYS_clone),
      KILL_ON(SYS_clone3), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  struct sock_fprog program = {sizeof filter / sizeof filter[0], filter};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) == 0;
}
#else
static int ForbidAllocation(void) { return 0; }
#endif

static int Fail(const char* what, const char* detail) {
  char line[600];
  const int n = snprintf(line, sizeof line, "module_host: %s: %s\n", what, detail);
  fwrite(line, 1, (size_t)n, stdout);
  return 1;
}

int main(int argc, char** argv) {
  static char output[BUFSIZ];
  setvbuf(stdout, output, _IOFBF, sizeof output);
  void* library = argc == 2 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
  if (library == NULL) return Fail("dlopen", dlerror());
  const HoneModuleV1* (*entry)(void) = (const HoneModuleV1* (*)(void))dlsym(library, "hone_module");
  if (entry == NULL) return Fail("dlsym", "no hone_module");
  const HoneModuleV1* module = entry();
  char error[256] = "";
  HoneOptions options = {sizeof options, 2, error, sizeof error};
  HoneSession* session;
  if (HoneOpen(module, &options, &session) != HONE_OK) return Fail("open", error);

  static _Alignas(64) float x[6] = {0, 1, 2, 3, 4, 5};
  static _Alignas(64) float y[6];
  static _Alignas(64) int32_t state[8];
  int64_t x_shape[2] = {2, 3}, y_shape[1] = {6}, state_shape[1] = {8};
  DLTensor in = {x, {kDLCPU, 0}, 2, {kDLFloat, 32, 1}, x_shape, NULL, 0};
  DLTensor out[2] = {{y, {kDLCPU, 0}, 1, {kDLFloat, 32, 1}, y_shape, NULL, 0},
                     {state, {kDLCPU, 0}, 1, {kDLInt, 32, 1}, state_shape, NULL, 0}};
  const int forbidden = ForbidAllocation();
  const size_t before = allocations;
  for (int run = 0; run < 100; ++run) {
    if (HoneRun(module, session, &in, 1, out, 2) != HONE_OK) return Fail("run", module->error(session));
  }
  if (allocations != before) return Fail("run", "allocated");
  const float expected[6] = {2, 6, 10, 14, 18, 22};
  if (memcmp(y, expected, sizeof y) != 0) return Fail("run", "wrong values");
  if (!forbidden) HoneClose(module, session);   /* else it could not unmap */
  printf("ok, %d threads%s\n", (int)state[0], forbidden ? ", no system call for memory" : "");
  fflush(stdout);
  _Exit(0);
}
