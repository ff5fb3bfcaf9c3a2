#include "compiler/module/required_features.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

extern "C" {
#include "compiler/runtime/cpu_features.h"
}

namespace hone {
namespace {

uint64_t RequiredBy(const char* target) {
  const auto found = FindTarget(target);
  EXPECT_TRUE(found.ok());
  const auto bits = RequiredCpuFeatures(*found);
  EXPECT_TRUE(bits.ok()) << bits.status();
  return bits.value_or(0);
}

TEST(RequiredFeaturesTest, LevelsContainEachOther) {
  const uint64_t v2 = RequiredBy("x86-64-v2"), v3 = RequiredBy("x86-64-v3"), v4 = RequiredBy("x86-64-v4");
  EXPECT_THAT(CpuFeatureNames(v2), testing::UnorderedElementsAre("sse3", "ssse3", "sse4.1", "sse4.2", "popcnt", "cx16",
                                                                 "sahf"));
  EXPECT_THAT(CpuFeatureNames(v3 & ~v2), testing::UnorderedElementsAre("avx", "avx2", "fma", "f16c", "bmi", "bmi2",
                                                                       "lzcnt", "movbe"));
  EXPECT_THAT(CpuFeatureNames(v4 & ~v3), testing::UnorderedElementsAre("avx512f", "avx512dq", "avx512cd", "avx512bw",
                                                                       "avx512vl"));
  EXPECT_EQ(v2 & ~v3, 0u);
  EXPECT_EQ(v3 & ~v4, 0u);
}

// The module's own check agrees with the compiler's detection.
TEST(RequiredFeaturesTest, TheRuntimeSeesWhatTheTargetsSee) {
  for (const TargetRow& row : TargetTable()) {
    const auto bits = RequiredCpuFeatures(Target{&row});
    ASSERT_TRUE(bits.ok());
    if (*bits == 0) continue;   // not x86
    EXPECT_EQ(row.runs_here(), (*bits & ~HoneCpuFeatures()) == 0) << row.name;
  }
  EXPECT_EQ(HoneCpuFeatures() >> HONE_CPU_FEATURE_NONE, 0u);
  EXPECT_STREQ(HoneCpuFeatureName(8), "avx2");
  EXPECT_STREQ(HoneCpuFeatureName(62), "?");
}

}  // namespace
}  // namespace hone
