/* The tasks of tiny_module.h, as compiled code would be. */
#include <stdint.h>

#include "compiler/runtime/hone_parallel.h"

static int Aligned(const void* pointer, uintptr_t to) { return ((uintptr_t)pointer & (to - 1)) == 0; }

static uint32_t FloatControl(void) {
#if defined(__x86_64__)
  uint32_t value;
  __asm__ volatile("stmxcsr %0" : "=m"(value));
  return value & ~0x3fu;
#else
  return 0x9fc0;
#endif
}

/* x, w (transposed), y. Mailbox for tests of concurrency: x[1] > 1e30 makes it say "here" in x[2] and wait. */
int32_t tiny_add(void* const* buffers, void* scratch, const HoneParallel* parallel) {
  volatile float* x = buffers[0];
  const float* w = buffers[1];
  float* y = buffers[2];
  if (x[1] > 1e30f) {
    x[2] = 1;
    while (x[1] > 1e30f) {
    }
  }
  if (x[0] < -1e30f) return 3;
  for (int i = 0; i < 2; ++i) {
    for (int j = 0; j < 3; ++j) y[i * 3 + j] = x[i * 3 + j] + w[j * 2 + i];
  }
  *(float*)scratch = Aligned(x, 64) && Aligned(w, 64) && Aligned(y, 64) && Aligned(scratch, 64);
  ((float*)scratch)[1] = Aligned(w, 4096);
  return 0;
}

typedef struct {
  const float* in;
  float* out;
  int32_t* state;
} Work;

static void Body(void* context, int32_t i) {
  Work* work = context;
  work->out[i] = 2 * work->in[i];
  __atomic_fetch_add(&work->state[1], 1, __ATOMIC_RELAXED);
  if (FloatControl() != 0x9fc0) __atomic_store_n(&work->state[2], 0, __ATOMIC_RELAXED);
}

/* y as a row, out, state. */
int32_t tiny_double(void* const* buffers, void* scratch, const HoneParallel* parallel) {
  Work work = {buffers[0], buffers[1], buffers[2]};
  for (int i = 0; i < 8; ++i) work.state[i] = 0;
  work.state[0] = parallel->threads;
  work.state[2] = 1;
  work.state[3] = ((float*)scratch)[0] == 1 && Aligned(work.in, 64) && Aligned(work.out, 64) && Aligned(work.state, 64);
  work.state[4] = ((float*)scratch)[1] == 1;
  parallel->parallel_for(parallel->pool, 6, Body, &work);
  return 0;
}
