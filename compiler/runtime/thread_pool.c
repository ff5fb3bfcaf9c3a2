#include "thread_pool.h"

#include <stdatomic.h>
#include <stddef.h>

#include "system_call.h"

/* pthread_t is one word in glibc (unsigned long) and musl (pointer). */
typedef unsigned long HonePthread;
extern int pthread_create(HonePthread*, const void*, void* (*)(void*), void*) __attribute__((weak));
extern int pthread_join(HonePthread, void**) __attribute__((weak));

enum {
  kFutexWaitPrivate = 128,
  kFutexWakePrivate = 129,
  /* About 40 us of pauses, then a millisecond of yields, so that a neighbour on this core gets on; then the
   * futex. A hand-off to a spinning thread takes 0.1 us, a futex wake 20-90 us (facts/performance.md §0.6). */
  kPauses = 1 << 12,
  kYields = 1 << 12,
  kChunksPerThread = 16
};

/* The gate: whether a region is open, whether its caller sleeps, and how many workers are inside. A worker
 * enters only while it is open; the caller closes it and leaves once nobody is inside. So every index that
 * somebody claimed is done by then, and a region's fields never change under a worker. */
enum { kOpen = 1u << 31, kCallerSleeps = 1u << 30, kInside = kCallerSleeps - 1 };

typedef struct {
  _Alignas(64) _Atomic uint32_t next; /* first unclaimed index of this thread's range */
  uint32_t end;
  HonePthread thread;
  HoneThreadPool* pool;
  int32_t index;
} Slot;

struct HoneThreadPool {
  _Alignas(64) _Atomic uint32_t gate;
  /* Changes when there may be something to do; what parked workers wait on. */
  _Alignas(64) _Atomic uint32_t epoch;
  _Atomic uint32_t sleepers;
  _Atomic uint32_t spinning; /* between Begin and End */
  _Atomic uint32_t stop;
  _Alignas(64) _Atomic uint32_t held;
  int32_t threads, limit;
  /* The open region. */
  int32_t parts;
  uint32_t chunk;
  void (*body)(void*, int32_t);
  void* context;
  Slot slots[]; /* slot 0 is the caller's */
};

static void FutexWait(_Atomic uint32_t* word, uint32_t value) {
  HoneSystemCall6(kHoneSysFutex, (long)word, kFutexWaitPrivate, (long)value, 0, 0, 0);
}

static void FutexWake(_Atomic uint32_t* word, int32_t count) {
  HoneSystemCall6(kHoneSysFutex, (long)word, kFutexWakePrivate, count, 0, 0, 0);
}

/* One step of waiting: pause first, yield later. */
static void Relax(int step) {
  if (step < kPauses) {
    HonePause();
  } else {
    HoneSystemCall6(kHoneSysSchedYield, 0, 0, 0, 0, 0, 0);
  }
}

/* Runs everything this thread can claim: its own range, then what is left of the others'. */
static void Work(HoneThreadPool* pool, int32_t self) {
  for (int32_t k = 0; k < pool->parts; ++k) {
    int32_t victim = self + k < pool->parts ? self + k : self + k - pool->parts;
    Slot* slot = &pool->slots[victim];
    while (atomic_load_explicit(&slot->next, memory_order_relaxed) < slot->end) {
      uint32_t begin = atomic_fetch_add_explicit(&slot->next, pool->chunk, memory_order_relaxed);
      if (begin >= slot->end) break;
      uint32_t end = slot->end - begin < pool->chunk ? slot->end : begin + pool->chunk;
      for (uint32_t i = begin; i < end; ++i) pool->body(pool->context, (int32_t)i);
    }
  }
}

static int Enter(HoneThreadPool* pool) {
  uint32_t gate = atomic_load_explicit(&pool->gate, memory_order_relaxed);
  while (gate & kOpen) {
    if (atomic_compare_exchange_weak_explicit(&pool->gate, &gate, gate + 1, memory_order_acquire,
                                              memory_order_relaxed)) {
      return 1;
    }
  }
  return 0;
}

static void Leave(HoneThreadPool* pool) {
  uint32_t gate = atomic_fetch_sub_explicit(&pool->gate, 1, memory_order_acq_rel);
  if ((gate & kCallerSleeps) && (gate & kInside) == 1) FutexWake(&pool->gate, 1);
}

/* Returns the new epoch once it differs from `seen`. */
static uint32_t WaitForEpoch(HoneThreadPool* pool, uint32_t seen) {
  for (int step = 0;;) {
    uint32_t epoch = atomic_load_explicit(&pool->epoch, memory_order_acquire);
    if (epoch != seen) return epoch;
    if (step < kPauses + kYields && atomic_load_explicit(&pool->spinning, memory_order_relaxed)) {
      Relax(step++);
      continue;
    }
    /* Announce: the sleeper count is raised before the kernel compares the epoch, and wakers change the epoch
     * before they read the count; one of the two sees the other. */
    atomic_fetch_add(&pool->sleepers, 1);
    FutexWait(&pool->epoch, seen);
    atomic_fetch_sub(&pool->sleepers, 1);
    step = 0;
  }
}

static void* WorkerMain(void* argument) {
  Slot* slot = argument;
  HoneThreadPool* pool = slot->pool;
  HoneSetFloatControl(kHoneDefaultFloatControl);
  uint32_t epoch = 0;
  while (!atomic_load_explicit(&pool->stop, memory_order_acquire)) {
    if (Enter(pool)) {
      if (slot->index < pool->parts) Work(pool, slot->index);
      Leave(pool);
    }
    epoch = WaitForEpoch(pool, epoch);
  }
  return NULL;
}

static void ChangeEpoch(HoneThreadPool* pool) {
  atomic_fetch_add(&pool->epoch, 1);
  if (atomic_load(&pool->sleepers) != 0) FutexWake(&pool->epoch, INT32_MAX);
}

/* Workers take none of the program's asynchronous signals. Synchronous faults (SIGILL 4, SIGTRAP 5, SIGBUS 7,
 * SIGFPE 8, SIGSEGV 11) and the three that libcs use internally (32-34) stay open. */
static uint64_t BlockSignals(void) {
  uint64_t mask = ~(UINT64_C(1) << 3 | UINT64_C(1) << 4 | UINT64_C(1) << 6 | UINT64_C(1) << 7 |
                    UINT64_C(1) << 10 | UINT64_C(7) << 31);
  uint64_t old = 0;
  HoneSystemCall6(kHoneSysRtSigprocmask, 0 /* SIG_BLOCK */, (long)&mask, (long)&old, sizeof(mask), 0, 0);
  return old;
}

static void RestoreSignals(uint64_t mask) {
  HoneSystemCall6(kHoneSysRtSigprocmask, 2 /* SIG_SETMASK */, (long)&mask, 0, sizeof(mask), 0, 0);
}

uint64_t HoneThreadPoolBytes(int32_t threads) {
  return sizeof(HoneThreadPool) + (uint64_t)(threads < 1 ? 1 : threads) * sizeof(Slot);
}

HoneThreadPool* HoneThreadPoolInit(void* memory, int32_t threads) {
  HoneThreadPool* pool = memory;
  pool->threads = pool->limit = 1;
  HoneThreadPoolGrow(pool, threads);
  return pool;
}

int32_t HoneThreadPoolGrow(HoneThreadPool* pool, int32_t threads) {
  if (pthread_create == NULL || pthread_join == NULL || threads <= pool->threads) return pool->threads;
  uint64_t signals = BlockSignals();
  while (pool->threads < threads) {
    Slot* slot = &pool->slots[pool->threads];
    slot->pool = pool;
    slot->index = pool->threads;
    if (pthread_create(&slot->thread, NULL, WorkerMain, slot) != 0) break;
    ++pool->threads;
  }
  RestoreSignals(signals);
  pool->limit = pool->threads;
  return pool->threads;
}

int32_t HoneThreadPoolThreads(const HoneThreadPool* pool) { return pool->threads; }

int HoneThreadPoolBegin(HoneThreadPool* pool) {
  if (atomic_exchange_explicit(&pool->held, 1, memory_order_acquire) != 0) return 0;
  pool->limit = pool->threads;
  if (pool->threads > 1) {
    atomic_store(&pool->spinning, 1);
    ChangeEpoch(pool);
  }
  return 1;
}

void HoneThreadPoolLimit(HoneThreadPool* pool, int32_t threads) {
  pool->limit = threads < 1 ? 1 : threads < pool->threads ? threads : pool->threads;
}

void HoneThreadPoolEnd(HoneThreadPool* pool) {
  atomic_store(&pool->spinning, 0);
  atomic_store_explicit(&pool->held, 0, memory_order_release);
}

/* Closes the gate and waits until nobody is inside. */
static void Close(HoneThreadPool* pool) {
  uint32_t gate =
      atomic_fetch_and_explicit(&pool->gate, ~(uint32_t)kOpen, memory_order_acq_rel) & ~(uint32_t)kOpen;
  for (int step = 0; (gate & kInside) != 0 && step < kPauses + kYields; ++step) {
    Relax(step);
    gate = atomic_load_explicit(&pool->gate, memory_order_acquire);
  }
  while ((gate & kInside) != 0) {
    gate = atomic_fetch_or_explicit(&pool->gate, kCallerSleeps, memory_order_acq_rel) | kCallerSleeps;
    if ((gate & kInside) != 0) FutexWait(&pool->gate, gate);
    gate = atomic_load_explicit(&pool->gate, memory_order_acquire);
  }
}

void HoneThreadPoolParallelFor(void* argument, int32_t n, void (*body)(void*, int32_t), void* context) {
  HoneThreadPool* pool = argument;
  int32_t parts = n < pool->limit ? n : pool->limit;
  if (parts <= 1 || (atomic_load_explicit(&pool->gate, memory_order_relaxed) & kOpen)) {
    for (int32_t i = 0; i < n; ++i) body(context, i);
    return;
  }
  for (int32_t t = 0; t < parts; ++t) {
    atomic_store_explicit(&pool->slots[t].next, (uint32_t)((int64_t)n * t / parts), memory_order_relaxed);
    pool->slots[t].end = (uint32_t)((int64_t)n * (t + 1) / parts);
  }
  pool->parts = parts;
  pool->chunk = 1 + (uint32_t)n / ((uint32_t)parts * kChunksPerThread);
  pool->body = body;
  pool->context = context;
  atomic_store_explicit(&pool->gate, kOpen, memory_order_release);
  ChangeEpoch(pool);
  Work(pool, 0);
  Close(pool);
}

void HoneThreadPoolDestroy(HoneThreadPool* pool) {
  atomic_store(&pool->stop, 1);
  ChangeEpoch(pool);
  for (int32_t t = 1; t < pool->threads; ++t) pthread_join(pool->slots[t].thread, NULL);
  pool->threads = pool->limit = 1;
}
