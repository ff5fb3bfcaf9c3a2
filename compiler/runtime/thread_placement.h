/* Which CPU a thread runs on, may run on, and whether it runs at all. Linux system calls; each may fail (old kernels, call
 * filters), and callers then go on without. Freestanding. */
#pragma once

#include <stdint.h>

#include "system_call.h"

enum { kHoneMostCpus = 8192 };

typedef struct HoneCpuSet {
  uint64_t words[kHoneMostCpus / 64];
} HoneCpuSet;

static inline int32_t HoneCurrentCpu(void) {   /* -1: unknown */
  uint32_t cpu = 0;
  const long code = HoneSystemCall6(kHoneSysGetcpu, (long)&cpu, 0, 0, 0, 0, 0);
  return code != 0 || cpu >= kHoneMostCpus ? -1 : (int32_t)cpu;
}

static inline long HoneThreadId(void) { return HoneSystemCall6(kHoneSysGettid, 0, 0, 0, 0, 0, 0); }

/* The CPUs that a thread (0: this one) may run on; returns how many, 0 if they cannot be told. */
static inline int32_t HoneGetCpus(long thread, HoneCpuSet* cpus) {
  const long bytes = HoneSystemCall6(kHoneSysSchedGetaffinity, thread, sizeof *cpus, (long)cpus, 0, 0, 0);
  int32_t count = 0;
  for (long i = 0; i < kHoneMostCpus / 64; ++i) {
    if (i * 8 >= bytes) cpus->words[i] = 0;   /* the kernel writes as much as it knows */
    for (uint64_t word = cpus->words[i]; word != 0; word &= word - 1) ++count;
  }
  return count;
}

static inline int HoneSetCpus(long thread, const HoneCpuSet* cpus) {
  return HoneSystemCall6(kHoneSysSchedSetaffinity, thread, sizeof *cpus, (long)cpus, 0, 0, 0) == 0;
}

static inline uint64_t HoneCpuBit(int32_t cpu) { return UINT64_C(1) << (cpu % 64); }

/* Moves this thread off a CPU, to one of the others that it may run on; its set of CPUs is `cpus` afterwards. */
static inline void HoneLeaveCpu(int32_t cpu, const HoneCpuSet* cpus) {
  HoneCpuSet others = *cpus;
  others.words[cpu / 64] &= ~HoneCpuBit(cpu);
  HoneSetCpus(0, &others);   /* refused if it is the only one */
  HoneSetCpus(0, cpus);
}

/* CPU time of a thread of this process in nanoseconds, up to now; 0 if it cannot be told. */
static inline uint64_t HoneThreadNanoseconds(long thread) {
  const long clock = (long)(~(uint64_t)thread << 3 | 6);   /* linux/posix-timers_types.h: CPUCLOCK_PERTHREAD | CPUCLOCK_SCHED */
  int64_t time[2] = {0, 0};
  HoneSystemCall6(kHoneSysClockGettime, clock, (long)time, 0, 0, 0, 0);
  return (uint64_t)time[0] * 1000000000u + (uint64_t)time[1];
}
