/* The floating-point environment that compiled code runs in: round to nearest, exceptions masked, denormal operands and
 * results taken as zero (a denormal costs over 100 cycles on many cores, and no stated tolerance needs one). Set at the
 * start of a run or of a parallel body, restored at its end. */
#pragma once

#include "system_call.h"

#if defined(__x86_64__)
enum { kHoneRunFloatControl = 0x9fc0, kHoneStickyFloatFlags = 0x3f };   /* MXCSR: masks, FTZ 0x8000, DAZ 0x40 */
#elif defined(__aarch64__)
enum { kHoneRunFloatControl = 1 << 24, kHoneStickyFloatFlags = 0 };     /* FPCR: FZ */
#endif

/* Returns what HoneLeaveFloatControl restores. */
static inline uint64_t HoneEnterFloatControl(void) {
  const uint64_t before = HoneGetFloatControl();
  if ((before & ~(uint64_t)kHoneStickyFloatFlags) != kHoneRunFloatControl) HoneSetFloatControl(kHoneRunFloatControl);
  return before;
}
static inline void HoneLeaveFloatControl(uint64_t before) {
  if ((before & ~(uint64_t)kHoneStickyFloatFlags) != kHoneRunFloatControl) HoneSetFloatControl(before);
}
