#include "thread_pool.h"

#include <stdatomic.h>
#include <stddef.h>

#include "system_call.h"
#include "thread_placement.h"

/* pthread_t is one word in glibc (unsigned long) and musl (pointer). */
typedef unsigned long HonePthread;
extern int pthread_create(HonePthread*, const void*, void* (*)(void*), void*) __attribute__((weak));
extern int pthread_join(HonePthread, void**) __attribute__((weak));

enum {
  kFutexWaitPrivate = 128,
  kFutexWakePrivate = 129,
  /* A hand-off to a spinning thread takes 0.1 us, a futex wake 20-90 us (facts/performance.md §0.6). A pause
   * is 10 ns on some CPUs and 50 ns on others. No yields: Linux (6.18) takes a whole time slice for one. */
  kIdlePauses = 1 << 14,    /* of a worker between regions, before it sleeps */
  kPatientPauses = 1 << 12, /* of the caller behind the last worker, before it asks whether that one runs */
  kProbePauses = 1 << 11,   /* a worker without CPU time meanwhile does not run */
  kStealPauses = 24,        /* before a thread takes from another's range: some 0.3-1 us */
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
  long id;                   /* of the thread, for the kernel */
  _Atomic uint32_t inside;   /* 1 while it works on a region */
  _Atomic uint32_t lent;     /* it was moved to the caller's CPU */
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
  _Atomic int32_t caller_cpu;   /* where the caller last was; -1: unknown */
  HoneCpuSet home;              /* where the lent worker may run */
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

/* Runs everything this thread can claim: its own range, then what is left of the others'. Before it takes
 * from these it gives threads that began a little later some time to come to their end by themselves: the
 * data of what it takes come from another core's cache, now and when the next region finds the results. */
static void Work(HoneThreadPool* pool, int32_t self) {
  int patience = kStealPauses;
  for (int32_t k = 0; k < pool->parts; ++k) {
    int32_t victim = self + k < pool->parts ? self + k : self + k - pool->parts;
    Slot* slot = &pool->slots[victim];
    while (atomic_load_explicit(&slot->next, memory_order_relaxed) < slot->end) {
      if (k > 0 && patience-- > 0) {
        HonePause();
        continue;
      }
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
  if (gate & kCallerSleeps) FutexWake(&pool->gate, 1);
}

/* The kernel likes to wake a worker beside its caller, and keeps both on one CPU while another is half free. */
static void LeaveCallersCpu(HoneThreadPool* pool) {
  const int32_t cpu = atomic_load_explicit(&pool->caller_cpu, memory_order_relaxed);
  HoneCpuSet cpus;
  if (cpu >= 0 && HoneCurrentCpu() == cpu && HoneGetCpus(0, &cpus) > 1) HoneLeaveCpu(cpu, &cpus);
}

/* Returns the new epoch once it differs from `seen`. */
static uint32_t WaitForEpoch(HoneThreadPool* pool, uint32_t seen) {
  for (int step = 0;;) {
    uint32_t epoch = atomic_load_explicit(&pool->epoch, memory_order_acquire);
    if (epoch != seen) return epoch;
    if (step < kIdlePauses && atomic_load_explicit(&pool->spinning, memory_order_relaxed)) {
      HonePause();
      ++step;
      continue;
    }
    /* Announce: the sleeper count is raised before the kernel compares the epoch, and wakers change the epoch
     * before they read the count; one of the two sees the other. */
    atomic_fetch_add(&pool->sleepers, 1);
    FutexWait(&pool->epoch, seen);
    atomic_fetch_sub(&pool->sleepers, 1);
    LeaveCallersCpu(pool);
    step = 0;
  }
}

/* A worker's part in the open region, if there still is one. */
static void WorkInside(HoneThreadPool* pool, Slot* slot) {
  if (!Enter(pool)) return;
  atomic_store_explicit(&slot->inside, 1, memory_order_release);
  if (slot->index < pool->parts) Work(pool, slot->index);
  const int lent = atomic_load_explicit(&slot->lent, memory_order_acquire) != 0;
  HoneCpuSet home;
  if (lent) home = pool->home;
  atomic_store_explicit(&slot->inside, 0, memory_order_release);
  Leave(pool);
  if (lent) HoneLeaveCpu(atomic_load_explicit(&pool->caller_cpu, memory_order_relaxed), &home);
}

static void* WorkerMain(void* argument) {
  Slot* slot = argument;
  HoneThreadPool* pool = slot->pool;
  HoneSetFloatControl(kHoneDefaultFloatControl);
  slot->id = HoneThreadId();
  uint32_t epoch = 0;
  while (!atomic_load_explicit(&pool->stop, memory_order_acquire)) {
    WorkInside(pool, slot);
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
    atomic_store_explicit(&pool->caller_cpu, HoneCurrentCpu(), memory_order_relaxed);
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

static uint32_t Gate(HoneThreadPool* pool) { return atomic_load_explicit(&pool->gate, memory_order_acquire); }

/* Waits for so many pauses, or until nobody is inside. */
static void PauseForWorkers(HoneThreadPool* pool, int pauses) {
  for (int i = 0; i < pauses && (Gate(pool) & kInside) != 0; ++i) HonePause();
}

static int IsInside(Slot* worker) { return (int)atomic_load_explicit(&worker->inside, memory_order_acquire); }

/* Inside, and without any CPU time for a while. */
static int IsStuck(HoneThreadPool* pool, Slot* worker) {
  if (!IsInside(worker)) return 0;
  const uint64_t before = HoneThreadNanoseconds(worker->id);
  PauseForWorkers(pool, kProbePauses);
  return IsInside(worker) && HoneThreadNanoseconds(worker->id) == before;
}

/* Somebody else has the worker's CPU, perhaps for milliseconds: it finishes on this thread's, which sleeps meanwhile, and
 * goes away again. Where the kernel does not move it, this thread just sleeps. */
static void LendCpu(HoneThreadPool* pool, Slot* worker) {
  const int32_t cpu = HoneCurrentCpu();
  const int lends =
      cpu >= 0 && HoneGetCpus(worker->id, &pool->home) > 1 && (pool->home.words[cpu / 64] & HoneCpuBit(cpu)) != 0;
  if (lends) {
    HoneCpuSet here = {{0}};
    here.words[cpu / 64] = HoneCpuBit(cpu);
    atomic_store_explicit(&pool->caller_cpu, cpu, memory_order_relaxed);
    atomic_store_explicit(&worker->lent, 1, memory_order_release);
    HoneSetCpus(worker->id, &here);
  }
  while (IsInside(worker)) {
    const uint32_t gate = atomic_fetch_or_explicit(&pool->gate, kCallerSleeps, memory_order_acq_rel) | kCallerSleeps;
    if (IsInside(worker)) FutexWait(&pool->gate, gate);
  }
  if (lends) {
    atomic_store_explicit(&worker->lent, 0, memory_order_relaxed);
    HoneSetCpus(worker->id, &pool->home);
  }
}

/* Closes the gate and waits until nobody is inside. */
static void Close(HoneThreadPool* pool) {
  atomic_fetch_and_explicit(&pool->gate, ~(uint32_t)kOpen, memory_order_acq_rel);
  for (int pauses = kPatientPauses; (Gate(pool) & kInside) != 0; pauses = kProbePauses) {
    PauseForWorkers(pool, pauses);
    for (int32_t t = 1; t < pool->threads; ++t) {
      if (IsStuck(pool, &pool->slots[t])) LendCpu(pool, &pool->slots[t]);
    }
  }
}

void HoneThreadPoolParallelFor(void* argument, int32_t n, void (*body)(void*, int32_t), void* context) {
  HoneThreadPool* pool = argument;
  int32_t parts = n < pool->limit ? n : pool->limit;
  /* From inside a body: the region is open, or closed with that body's thread still inside. */
  const int nested = (atomic_load_explicit(&pool->gate, memory_order_relaxed) & (kOpen | kInside)) != 0;
  if (parts <= 1 || nested) {
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
