/* CPU features that a module may require, as bits of one word. The names are LLVM's, so that the compiler derives the
 * word from a target's CPU. One row per feature. */
#pragma once

#include <stdint.h>

/* Sorted by leaf. X(bit, name, cpuid leaf, subleaf, register (0 eax 1 ebx 2 ecx 3 edx), bit in it, state the OS must save (XCR0)) */
#define HONE_X86_FEATURES(X)                          \
  X(0, "sse3", 1, 0, 2, 0, 0)                         \
  X(1, "ssse3", 1, 0, 2, 9, 0)                        \
  X(2, "sse4.1", 1, 0, 2, 19, 0)                      \
  X(3, "sse4.2", 1, 0, 2, 20, 0)                      \
  X(4, "popcnt", 1, 0, 2, 23, 0)                      \
  X(5, "cx16", 1, 0, 2, 13, 0)                        \
  X(7, "avx", 1, 0, 2, 28, 0x6)                       \
  X(9, "fma", 1, 0, 2, 12, 0x6)                       \
  X(10, "f16c", 1, 0, 2, 29, 0x6)                     \
  X(14, "movbe", 1, 0, 2, 22, 0)                      \
  X(8, "avx2", 7, 0, 1, 5, 0x6)                       \
  X(11, "bmi", 7, 0, 1, 3, 0)                         \
  X(12, "bmi2", 7, 0, 1, 8, 0)                        \
  X(15, "avx512f", 7, 0, 1, 16, 0xe6)                 \
  X(16, "avx512dq", 7, 0, 1, 17, 0xe6)                \
  X(17, "avx512cd", 7, 0, 1, 28, 0xe6)                \
  X(18, "avx512bw", 7, 0, 1, 30, 0xe6)                \
  X(19, "avx512vl", 7, 0, 1, 31, 0xe6)                \
  X(20, "avx512ifma", 7, 0, 1, 21, 0xe6)              \
  X(21, "avx512vbmi", 7, 0, 2, 1, 0xe6)               \
  X(22, "avx512vbmi2", 7, 0, 2, 6, 0xe6)              \
  X(23, "avx512vnni", 7, 0, 2, 11, 0xe6)              \
  X(24, "avx512bitalg", 7, 0, 2, 12, 0xe6)            \
  X(25, "avx512vpopcntdq", 7, 0, 2, 14, 0xe6)         \
  X(27, "avx512fp16", 7, 0, 3, 23, 0xe6)              \
  X(29, "gfni", 7, 0, 2, 8, 0)                        \
  X(26, "avx512bf16", 7, 1, 0, 5, 0xe6)               \
  X(28, "avxvnni", 7, 1, 0, 4, 0x6)                   \
  X(6, "sahf", 0x80000001u, 0, 2, 0, 0)               \
  X(13, "lzcnt", 0x80000001u, 0, 2, 5, 0)

/* A feature that no CPU has: a module that requires it is refused everywhere. For tests of the refusal. */
#define HONE_CPU_FEATURE_NONE 63

/* The features of this CPU that the operating system supports too. Runs on any CPU of the architecture. */
uint64_t HoneCpuFeatures(void);
/* "?" for a bit without a name. */
const char* HoneCpuFeatureName(int bit);
