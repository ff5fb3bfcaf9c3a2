#include "tests/reliability/trend.h"

#include <cmath>
#include <random>

#include "gtest/gtest.h"

namespace hone {
namespace {

std::vector<Sample> Line(double slope, double noise, int outlier_every) {
  std::mt19937 random(1);
  std::normal_distribution<> wobble(0, noise);
  std::vector<Sample> samples;
  for (int i = 0; i < 200; ++i)
    samples.push_back(
        {i * 0.01, 100 + slope * i * 0.01 + wobble(random) + (i % outlier_every == 7 ? 50 : 0)});
  return samples;
}

TEST(TrendTest, SeesTheSlopeThroughNoiseAndOutliers) {
  for (const double slope : {0.0, 3.0, -2.0}) {
    const Trend trend = TheilSen(Line(slope, 0.5, 10));
    EXPECT_NEAR(trend.slope, slope, 0.2);
    EXPECT_LE(trend.low, slope);
    EXPECT_GE(trend.high, slope);
    EXPECT_LT(trend.high - trend.low, 0.8);
  }
}

TEST(TrendTest, IsExactWithoutNoise) {
  const Trend trend = TheilSen({{0, 1}, {1, 3}, {2, 5}});
  EXPECT_EQ(trend.slope, 2);
  EXPECT_EQ(trend.low, 2);
  EXPECT_EQ(trend.high, 2);
}

}  // namespace
}  // namespace hone
