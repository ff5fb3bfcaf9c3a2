/* How compiled code asks for threads. Freestanding C, part of the module's and the candidate's ABI. */
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* threads: how many may work at once (>= 1). parallel_for(pool, n, body, context) calls body(context, i) for every
 * i in [0, n) once, on any of the threads, and returns when all are done. */
typedef struct HoneParallel {
  int32_t threads;
  void (*parallel_for)(void* pool, int32_t n, void (*body)(void* context, int32_t i), void* context);
  void* pool;
} HoneParallel;

#ifdef __cplusplus
}
#endif
