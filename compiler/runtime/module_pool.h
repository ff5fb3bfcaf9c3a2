/* The state that all sessions of a module share: its thread pool and whether this process is a fork. Thread-safe. */
#pragma once

#include <stdint.h>

#include "thread_pool.h"

/* A session comes: the pool has, or grows to, `threads` (<= 1: no pool needed). Returns the threads there are for it
 * (fewer if the system gives fewer or the process is a fork), or 0 if out of memory. */
int32_t HoneModuleEnter(int32_t threads);
/* A session goes; the last one joins the pool's threads. */
void HoneModuleLeave(void);

/* Marks runs: a word that is never 0 and changes in the child of a fork, where inherited runs do not exist. */
uint32_t HoneModuleGeneration(void);

/* The pool for one run, `threads` of its threads spinning; NULL if another run has it or there is none. */
HoneThreadPool* HoneModuleTakePool(int32_t threads);
void HoneModuleGivePool(HoneThreadPool* pool);
