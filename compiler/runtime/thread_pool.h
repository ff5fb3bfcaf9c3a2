/* The fork-join pool of modules and of the worker's runner. Freestanding C: futex by system call, threads
 * through weak pthread_create/pthread_join (absent: everything runs on the caller). Each thread takes its own
 * stable range first, then steals chunks by an atomic counter. Threads spin between the parallel regions of
 * one inference and park between inferences. The caller never waits for a thread that has not begun: its work
 * is stolen. A thread that loses its CPU within a chunk finishes it on the caller's: workers move among the
 * CPUs that they may use, the caller's thread never does. */
#pragma once

#include <stdint.h>

#include "hone_parallel.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct HoneThreadPool HoneThreadPool;

/* Bytes of a pool for up to `threads` threads; the caller provides the (64-byte aligned, zeroed) memory. */
uint64_t HoneThreadPoolBytes(int32_t threads);
/* Starts threads - 1 workers; returns the pool, with fewer threads if the system gives fewer. */
HoneThreadPool* HoneThreadPoolInit(void* memory, int32_t threads);
/* Starts more workers, up to `threads` in all (never fewer than now); returns how many threads there are. The
 * memory must hold HoneThreadPoolBytes(threads). Only by the thread between Begin and End, or while nobody
 * else has the pool. */
int32_t HoneThreadPoolGrow(HoneThreadPool* pool, int32_t threads);
int32_t HoneThreadPoolThreads(const HoneThreadPool* pool);
/* Between Begin and End the workers spin; outside they park. Begin returns 0 if another thread holds the
 * pool. */
int HoneThreadPoolBegin(HoneThreadPool* pool);
/* At most `threads` threads, the caller included, take part until End. Only between Begin and End. */
void HoneThreadPoolLimit(HoneThreadPool* pool, int32_t threads);
void HoneThreadPoolEnd(HoneThreadPool* pool);
/* Matches HoneParallel.parallel_for with pool = HoneThreadPool*; only between Begin and End. Called from
 * inside a body it runs everything on that thread. */
void HoneThreadPoolParallelFor(void* pool, int32_t n, void (*body)(void*, int32_t), void* context);
void HoneThreadPoolDestroy(HoneThreadPool* pool); /* joins the workers */

#ifdef __cplusplus
}
#endif
