/* What the runtime needs from the machine and the kernel without a libc: system calls, the pause hint, the
 * floating-point control word. Freestanding C; one block per architecture (Linux). */
#pragma once

#include <stdint.h>

#if defined(__x86_64__)

enum {
  kHoneSysClose = 3,
  kHoneSysLseek = 8,
  kHoneSysMmap = 9,
  kHoneSysMprotect = 10,
  kHoneSysMunmap = 11,
  kHoneSysRtSigprocmask = 14,
  kHoneSysSchedYield = 24,
  kHoneSysMremap = 25,
  kHoneSysMadvise = 28,
  kHoneSysGetpid = 39,
  kHoneSysGettid = 186,
  kHoneSysFutex = 202,
  kHoneSysSchedSetaffinity = 203,
  kHoneSysSchedGetaffinity = 204,
  kHoneSysClockGettime = 228,
  kHoneSysOpenat = 257,
  kHoneSysGetcpu = 309
};

static inline long HoneSystemCall6(long number, long a, long b, long c, long d, long e, long f) {
  long result;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}

static inline void HonePause(void) { __asm__ volatile("pause"); }

/* MXCSR: rounding, exception masks, flush-to-zero. The default rounds to nearest and keeps denormals. */
enum { kHoneDefaultFloatControl = 0x1f80 };
static inline uint64_t HoneGetFloatControl(void) {
  uint32_t value;
  __asm__ volatile("stmxcsr %0" : "=m"(value));
  return value;
}
static inline void HoneSetFloatControl(uint64_t control) {
  uint32_t value = (uint32_t)control;
  __asm__ volatile("ldmxcsr %0" : : "m"(value));
}

#elif defined(__aarch64__)

enum {
  kHoneSysOpenat = 56,
  kHoneSysClose = 57,
  kHoneSysLseek = 62,
  kHoneSysFutex = 98,
  kHoneSysClockGettime = 113,
  kHoneSysSchedSetaffinity = 122,
  kHoneSysSchedGetaffinity = 123,
  kHoneSysSchedYield = 124,
  kHoneSysRtSigprocmask = 135,
  kHoneSysGetcpu = 168,
  kHoneSysGetpid = 172,
  kHoneSysGettid = 178,
  kHoneSysMunmap = 215,
  kHoneSysMremap = 216,
  kHoneSysMmap = 222,
  kHoneSysMprotect = 226,
  kHoneSysMadvise = 233
};

static inline long HoneSystemCall6(long number, long a, long b, long c, long d, long e, long f) {
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  register long x5 __asm__("x5") = f;
  __asm__ volatile("svc 0"
                   : "+r"(x0)
                   : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                   : "memory");
  return x0;
}

static inline void HonePause(void) { __asm__ volatile("yield"); }

/* FPCR: rounding to nearest, denormals kept, no traps. */
enum { kHoneDefaultFloatControl = 0 };
static inline uint64_t HoneGetFloatControl(void) {
  uint64_t value;
  __asm__ volatile("mrs %0, fpcr" : "=r"(value));
  return value;
}
static inline void HoneSetFloatControl(uint64_t control) {
  __asm__ volatile("msr fpcr, %0" : : "r"(control));
}

#else
#error "compiler/runtime/system_call.h has no block for this architecture"
#endif
