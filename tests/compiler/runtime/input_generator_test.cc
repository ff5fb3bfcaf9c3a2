#include "compiler/runtime/input_generator.h"

#include <gtest/gtest.h>

namespace hone {
namespace {

// The values are a contract between the interpreter (hone-job) and the workers: they never change.
TEST(InputGenerator, ValuesAreFixed) {
  EXPECT_EQ(HoneMix64(0), 0xe220a8397b1dcdafull);
  EXPECT_EQ(HoneUniform(1, 2, 3), HoneUniform(1, 2, 3));
  EXPECT_NE(HoneUniform(1, 2, 3), HoneUniform(1, 2, 4));
  EXPECT_NE(HoneUniform(1, 2, 3), HoneUniform(1, 3, 3));
  EXPECT_NE(HoneUniform(1, 2, 3), HoneUniform(2, 2, 3));
}

TEST(InputGenerator, UniformWithinRange) {
  double sum = 0, squares = 0;
  constexpr int kCount = 100000;
  for (int i = 0; i < kCount; ++i) {
    const double x = HoneGenerateReal(7, 1, i, -1, 1);
    ASSERT_GE(x, -1);
    ASSERT_LT(x, 1);
    ASSERT_EQ(static_cast<double>(static_cast<float>(HoneUniform(7, 1, i))), HoneUniform(7, 1, i));
    sum += x;
    squares += x * x;
  }
  EXPECT_NEAR(sum / kCount, 0, 0.01);
  EXPECT_NEAR(squares / kCount, 1.0 / 3, 0.01);
}

TEST(InputGenerator, IntegersRoundDownAndCoverTheRange) {
  int seen[5] = {};
  for (int i = 0; i < 1000; ++i) {
    const int64_t x = HoneGenerateInteger(7, 0, i, -2, 3);
    ASSERT_GE(x, -2);
    ASSERT_LE(x, 2);
    ++seen[x + 2];
  }
  for (int count : seen) EXPECT_GT(count, 100);
}

}  // namespace
}  // namespace hone
