#include "worker/comparison.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace hone {
namespace {

const float kNan = std::nanf("");
const float kInf = std::numeric_limits<float>::infinity();

Difference Compare(std::vector<float> expected, std::vector<float> actual) {
  return CompareTensors({.dims = {static_cast<int64_t>(expected.size())}}, expected.data(), actual.data());
}

TEST(Comparison, RelativeToTheLargestValue) {
  const Difference d = Compare({1, -4, 2}, {1, -4, 2.25});
  EXPECT_DOUBLE_EQ(d.max_error, 0.25 / 4);
  EXPECT_EQ(d.element, 2);
  EXPECT_EQ(Compare({1, 2}, {1, 2}).max_error, 0);
  EXPECT_EQ(Compare({0, 0}, {0, 0.5}).max_error, 0.5);
}

TEST(Comparison, NonFiniteValuesAgreeOnlyWithThemselves) {
  EXPECT_EQ(Compare({kNan, kInf, 1}, {kNan, kInf, 1}).max_error, 0);
  EXPECT_TRUE(std::isinf(Compare({1, 2}, {1, kNan}).max_error));
  EXPECT_TRUE(std::isinf(Compare({1, kNan}, {1, 2}).max_error));
  EXPECT_TRUE(std::isinf(Compare({1, kInf}, {1, -kInf}).max_error));
  EXPECT_TRUE(std::isinf(Compare({1, 2}, {1, kInf}).max_error));
}

TEST(Comparison, IntegersAreExact) {
  const int64_t expected[] = {1000000, 2}, actual[] = {1000001, 2};
  const TensorSpec spec{.dtype = DType::kI64, .dims = {2}};
  EXPECT_TRUE(std::isinf(CompareTensors(spec, expected, actual).max_error));
  EXPECT_EQ(CompareTensors(spec, expected, expected).max_error, 0);
}

TEST(Comparison, SamplesOutOfRangeDisagree) {
  const float actual[] = {1, 2};
  const TensorSpec spec{.dims = {2}};
  EXPECT_EQ(CompareSamples(spec, {.elements = {1}, .values = {2}}, actual).max_error, 0);
  EXPECT_TRUE(std::isinf(CompareSamples(spec, {.elements = {2}, .values = {2}}, actual).max_error));
}

TEST(Comparison, HalfPrecisionHasItsOwnBound) {
  EXPECT_EQ(Bound(DType::kF32, 2e-5), 2e-5);
  EXPECT_GT(Bound(DType::kF16, 2e-5), 9e-4);
  EXPECT_EQ(Bound(DType::kBF16, 0.5), 0.5);
}

}  // namespace
}  // namespace hone
