/* Memory from the kernel. Freestanding. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "system_call.h"

enum { kHoneHugePage = 2 << 20 };

static inline uint64_t HoneAlignUp(uint64_t value, uint64_t alignment) {
  return (value + alignment - 1) & ~(alignment - 1);
}

/* Zeroed private memory, page-aligned; NULL if there is none. */
static inline void* HoneMapMemory(uint64_t bytes) {
  const long at = HoneSystemCall6(kHoneSysMmap, 0, (long)bytes, 3 /* READ | WRITE */, 0x22 /* PRIVATE | ANONYMOUS */,
                                  -1, 0);
  return at < 0 && at > -4096 ? NULL : (void*)at;
}

/* A whole file, read only; NULL if it cannot be mapped. */
static inline const void* HoneMapFile(long descriptor, uint64_t bytes) {
  const long at = HoneSystemCall6(kHoneSysMmap, 0, (long)bytes, 1 /* READ */, 2 /* PRIVATE */, descriptor, 0);
  return at < 0 && at > -4096 ? NULL : (const void*)at;
}

/* Enters pages that are about to be read into this process's page tables, all with one call instead of a
 * fault for each few: a third of the time. Linux 5.14; older kernels refuse, and the faults come. */
static inline void HoneExpectReads(const void* memory, uint64_t bytes) {
  HoneSystemCall6(kHoneSysMadvise, (long)memory, (long)bytes, 22 /* MADV_POPULATE_READ */, 0, 0, 0);
}

/* Pages that are not in use yet are to be huge ones. */
static inline void HoneAdviseHugePages(const void* memory, uint64_t bytes) {
  HoneSystemCall6(kHoneSysMadvise, (long)memory, (long)bytes, 14 /* MADV_HUGEPAGE */, 0, 0, 0);
}

static inline void HoneUnmapMemory(const void* memory, uint64_t bytes) {
  HoneSystemCall6(kHoneSysMunmap, (long)memory, (long)bytes, 0, 0, 0, 0);
}
