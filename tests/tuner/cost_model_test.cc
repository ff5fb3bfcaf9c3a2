#include <gtest/gtest.h>

#include <cmath>

#include "tuner/cost_model/booster.h"

namespace hone {
namespace {

std::vector<CostSample> Samples(int count, int offset) {
  std::vector<CostSample> samples;
  for (int i = 0; i < count; ++i) {
    const float x = static_cast<float>((i * 37 + offset) % 101) / 101, y = static_cast<float>((i * 53 + offset) % 97) / 97;
    CostSample sample{.features = {x, y, 1}, .log_prior = -8};
    sample.log_seconds = -8 + (x > 0.5f ? 1.0 : 0.0) + 0.5 * y;
    samples.push_back(sample);
  }
  return samples;
}

TEST(BoosterTest, UntrainedItGivesThePrior) {
  const Booster booster(1);
  const auto estimates = booster.Estimate(Samples(5, 0));
  ASSERT_TRUE(estimates.ok());
  for (const CostEstimate& estimate : *estimates) EXPECT_DOUBLE_EQ(estimate.log_seconds, -8);
}

TEST(BoosterTest, LearnsWhatThePriorMissesAndIsDeterministic) {
  Booster first(7), second(7);
  ASSERT_TRUE(first.Train(Samples(200, 0)).ok());
  ASSERT_TRUE(second.Train(Samples(200, 0)).ok());
  const std::vector<CostSample> unseen = Samples(60, 13);
  const auto a = first.Estimate(unseen), b = second.Estimate(unseen);
  ASSERT_TRUE(a.ok() && b.ok());
  double error = 0, prior_error = 0;
  for (size_t i = 0; i < unseen.size(); ++i) {
    EXPECT_EQ((*a)[i].log_seconds, (*b)[i].log_seconds);
    error += std::fabs((*a)[i].log_seconds - unseen[i].log_seconds);
    prior_error += std::fabs(unseen[i].log_prior - unseen[i].log_seconds);
  }
  EXPECT_LT(error, 0.25 * prior_error);
}

}  // namespace
}  // namespace hone
