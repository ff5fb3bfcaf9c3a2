#include "module_pool.h"

#include <stddef.h>

#include "memory_map.h"
#include "system_call.h"

enum { kMaxThreads = 1024, kFutexWaitPrivate = 128, kFutexWakePrivate = 129, kWipeOnFork = 18 };

/* No page of any of our architectures is larger than this alignment, so the mark has its pages to itself. */
#if defined(__x86_64__)
#define PAGE_BYTES 4096
#else
#define PAGE_BYTES 65536
#endif

/* Reads 1 once a session came; the kernel zeroes the page in the child of a fork (MADV_WIPEONFORK, Linux 4.14). */
static struct {
  uint32_t alive;
  char rest[PAGE_BYTES - sizeof(uint32_t)];
} fork_mark __attribute__((aligned(PAGE_BYTES)));

static struct {
  uint32_t lock;          /* of what follows */
  uint32_t pool_lock;     /* held by the run that uses the pool, and while it grows or goes */
  uint32_t watching;      /* fork_mark is in force */
  uint32_t generation;    /* 1 + the forks noticed */
  int32_t sessions;
  int32_t forked;         /* this process is a child that inherited sessions: no threads */
  long process;           /* where the kernel does not wipe: the process that fork_mark belongs to; else 0 */
  HoneThreadPool* pool;   /* has memory for kMaxThreads */
} module_state = {.generation = 1};

/* Mutex in one word: 0 free, 1 held, 2 held and waited for (Drepper, "Futexes Are Tricky", 2011). */
static int TryLock(uint32_t* word) {
  uint32_t expected = 0;
  return __atomic_compare_exchange_n(word, &expected, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static void Lock(uint32_t* word) {
  if (TryLock(word)) return;
  while (__atomic_exchange_n(word, 2, __ATOMIC_ACQUIRE) != 0) {
    HoneSystemCall6(kHoneSysFutex, (long)word, kFutexWaitPrivate, 2, 0, 0, 0);
  }
}

static void Unlock(uint32_t* word) {
  if (__atomic_exchange_n(word, 0, __ATOMIC_RELEASE) != 2) return;
  HoneSystemCall6(kHoneSysFutex, (long)word, kFutexWakePrivate, 1, 0, 0, 0);
}

static long ProcessId(void) { return HoneSystemCall6(kHoneSysGetpid, 0, 0, 0, 0, 0, 0); }

/* In a forked child: locks that the parent held are free, the pool's threads do not exist. */
static void ForgetParent(void) {
  if (module_state.pool != NULL) HoneUnmapMemory(module_state.pool, HoneThreadPoolBytes(kMaxThreads));
  module_state.pool = NULL;
  module_state.forked = module_state.sessions > 0;
  ++module_state.generation;
  __atomic_store_n(&module_state.pool_lock, 0, __ATOMIC_RELAXED);
  __atomic_store_n(&module_state.lock, 0, __ATOMIC_RELAXED);
}

/* Called first by every entry; one load when nothing happened. Of several threads of a child that come at once, one
 * tidies up and the others wait. */
static void NoticeFork(void) {
  if (!__atomic_load_n(&module_state.watching, __ATOMIC_ACQUIRE)) return;
  if (module_state.process != 0 && module_state.process != ProcessId()) {
    module_state.process = ProcessId();
    __atomic_store_n(&fork_mark.alive, 0, __ATOMIC_RELEASE);
  }
  if (__atomic_load_n(&fork_mark.alive, __ATOMIC_ACQUIRE) == 1) return;
  uint32_t expected = 0;
  if (__atomic_compare_exchange_n(&fork_mark.alive, &expected, 2, 0, __ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE)) {
    ForgetParent();
    __atomic_store_n(&fork_mark.alive, 1, __ATOMIC_RELEASE);
  }
  while (__atomic_load_n(&fork_mark.alive, __ATOMIC_ACQUIRE) != 1) {
    HoneSystemCall6(kHoneSysSchedYield, 0, 0, 0, 0, 0, 0);
  }
}

/* Idempotent, before any lock is taken: a fork at any later moment is noticed. */
static void WatchForks(void) {
  if (__atomic_load_n(&module_state.watching, __ATOMIC_ACQUIRE)) return;
  const long wiped = HoneSystemCall6(kHoneSysMadvise, (long)&fork_mark, sizeof fork_mark, kWipeOnFork, 0, 0, 0);
  module_state.process = wiped == 0 ? 0 : ProcessId();
  __atomic_store_n(&fork_mark.alive, 1, __ATOMIC_RELEASE);
  __atomic_store_n(&module_state.watching, 1, __ATOMIC_RELEASE);
}

/* Under `lock`. Waits for the run that uses the pool. Returns the threads there are for the caller; 0: no memory. */
static int32_t GrowPool(int32_t threads) {
  if (module_state.pool == NULL) {
    void* memory = HoneMapMemory(HoneThreadPoolBytes(kMaxThreads));
    if (memory == NULL) return 0;
    Lock(&module_state.pool_lock);
    module_state.pool = HoneThreadPoolInit(memory, threads);
    Unlock(&module_state.pool_lock);
  } else if (HoneThreadPoolThreads(module_state.pool) < threads) {
    Lock(&module_state.pool_lock);
    HoneThreadPoolGrow(module_state.pool, threads);
    Unlock(&module_state.pool_lock);
  }
  const int32_t got = HoneThreadPoolThreads(module_state.pool);
  return got < threads ? got : threads;
}

int32_t HoneModuleEnter(int32_t threads) {
  NoticeFork();
  WatchForks();
  Lock(&module_state.lock);
  int32_t got = 1;
  if (threads > 1 && !module_state.forked) got = GrowPool(threads < kMaxThreads ? threads : kMaxThreads);
  if (got != 0) ++module_state.sessions;
  Unlock(&module_state.lock);
  return got;
}

void HoneModuleLeave(void) {
  NoticeFork();
  Lock(&module_state.lock);
  if (--module_state.sessions == 0) {
    Lock(&module_state.pool_lock);
    if (module_state.pool != NULL) {
      HoneThreadPoolDestroy(module_state.pool);
      HoneUnmapMemory(module_state.pool, HoneThreadPoolBytes(kMaxThreads));
      module_state.pool = NULL;
    }
    Unlock(&module_state.pool_lock);
    module_state.forked = 0;
  }
  Unlock(&module_state.lock);
}

uint32_t HoneModuleGeneration(void) {
  NoticeFork();
  return module_state.generation;
}

HoneThreadPool* HoneModuleTakePool(int32_t threads) {
  if (!TryLock(&module_state.pool_lock)) return NULL;
  HoneThreadPool* pool = module_state.pool;
  if (pool != NULL && HoneThreadPoolThreads(pool) > 1 && HoneThreadPoolBegin(pool)) {
    HoneThreadPoolLimit(pool, threads);
    return pool;
  }
  Unlock(&module_state.pool_lock);
  return NULL;
}

void HoneModuleGivePool(HoneThreadPool* pool) {
  HoneThreadPoolEnd(pool);
  Unlock(&module_state.pool_lock);
}
