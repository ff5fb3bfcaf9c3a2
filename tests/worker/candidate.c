/* One candidate per behaviour, chosen by -DBEHAVIOUR=NAME: y[i] = x[i] * w[i] over kElements floats, or what
 * goes wrong instead. BEHAVIOUR names are those of kBehaviours in lease_executor_test.cc. */
#define _GNU_SOURCE
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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
  huge_scratch
};

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
    default:
      break;
  }
  return 0;
}

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
