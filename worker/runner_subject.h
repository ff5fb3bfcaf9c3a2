/* What hone-runner measures: a candidate or a module behind one small table. C. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "compiler/runtime/thread_pool.h"
#include "worker/runner_protocol.h"

typedef struct RunnerContext {
  RunnerSetup setup;
  const char* inputs; /* mapped kRunnerInputsFd */
  char* outputs;      /* mapped kRunnerOutputsFd */
  HoneThreadPool* pool;
  int calls_limited; /* the sandbox's layer of system calls is on */
  char error[kRunnerMessageBytes];
} RunnerContext;

/* All return 0, or -1 with context->error set. */
typedef struct RunnerSubject {
  const char* symbol;                                /* the function that gives the object's table */
  int (*load)(RunnerContext*, const void* table);    /* checks the table, packs, allocates */
  int (*select)(RunnerContext*, uint32_t input_set); /* which inputs run() sees */
  int (*poison)(RunnerContext*);                     /* what run must write holds NaNs */
  void (*warm)(RunnerContext*);                      /* constants back into the cache a model's run finds them in */
  int (*run)(RunnerContext*);                        /* one call; nothing else, it is timed */
  int (*publish)(RunnerContext*);                    /* outputs to context->outputs */
  int (*inspect)(RunnerContext*);                    /* did it write where it must not? */
} RunnerSubject;

extern const RunnerSubject kRunnerCandidateSubject;
extern const RunnerSubject kRunnerModuleSubject;

int RunnerFail(RunnerContext* context, const char* format, ...) __attribute__((format(printf, 2, 3)));

/* Memory of `bytes` (64-byte aligned) whose end touches an unmapped page, and whose beginning follows one;
 * what slack there is on both sides is filled with a pattern. Never freed: a runner lives for one object. */
typedef struct GuardedBuffer {
  char* data;
  uint64_t bytes;
  char* pages; /* the mapped pages around it */
  uint64_t page_bytes;
} GuardedBuffer;

int GuardedAllocate(GuardedBuffer* buffer, uint64_t bytes); /* -1: out of memory */
int GuardedProtect(const GuardedBuffer* buffer, int writable);
int GuardedIsIntact(const GuardedBuffer* buffer); /* the pattern in the slack is still there */
