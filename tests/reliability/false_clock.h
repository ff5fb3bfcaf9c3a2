#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Seconds that this process's wall clock is ahead of the machine's. Set before the first thread is made.
extern int64_t false_clock_seconds;

#ifdef __cplusplus
}
#endif
