#include "cpu_features.h"

#include <stddef.h>

#if defined(__x86_64__)
#include <cpuid.h>

typedef struct {
  uint32_t bit, leaf, subleaf, reg, position, state;
  const char* name;
} Feature;

#define HONE_ROW(bit, name, leaf, subleaf, reg, position, state) {bit, leaf, subleaf, reg, position, state, name},
static const Feature kFeatures[] = {HONE_X86_FEATURES(HONE_ROW)};
#undef HONE_ROW
enum { kFeatureCount = sizeof kFeatures / sizeof kFeatures[0] };

/* The register states that the operating system saves: XCR0, readable only if it says so itself (OSXSAVE). */
static uint64_t SavedStates(void) {
  uint32_t eax, ebx, ecx, edx;
  if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & (1u << 27))) return 0;
  __asm__ volatile("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
  return ((uint64_t)edx << 32) | eax;
}

uint64_t HoneCpuFeatures(void) {
  const uint64_t states = SavedStates();
  uint64_t features = 0;
  uint32_t leaf = 0, subleaf = 0, r[4] = {0, 0, 0, 0};   /* of the row before: in a virtual machine CPUID is slow */
  for (size_t i = 0; i < kFeatureCount; ++i) {
    const Feature* f = &kFeatures[i];
    if (f->leaf != leaf || f->subleaf != subleaf) {
      leaf = f->leaf;
      subleaf = f->subleaf;
      const int exists = __get_cpuid_count(leaf, 0, &r[0], &r[1], &r[2], &r[3]);
      const int has_subleaf = exists && r[0] >= subleaf;   /* sub-leaf 0 of leaf 7 states the last one there is */
      if (has_subleaf && subleaf != 0) __cpuid_count(leaf, subleaf, r[0], r[1], r[2], r[3]);
      if (!exists || (subleaf != 0 && !has_subleaf)) r[0] = r[1] = r[2] = r[3] = 0;
    }
    if (((r[f->reg] >> f->position) & 1u) && (states & f->state) == f->state) features |= UINT64_C(1) << f->bit;
  }
  return features;
}

const char* HoneCpuFeatureName(int bit) {
  for (size_t i = 0; i < kFeatureCount; ++i) {
    if ((int)kFeatures[i].bit == bit) return kFeatures[i].name;
  }
  return bit == HONE_CPU_FEATURE_NONE ? "none" : "?";
}
#else
uint64_t HoneCpuFeatures(void) { return 0; }
const char* HoneCpuFeatureName(int bit) { return bit == HONE_CPU_FEATURE_NONE ? "none" : "?"; }
#endif
