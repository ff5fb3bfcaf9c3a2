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

TEST(BoosterTest, APredictionIsTheSumOfItsParts) {
  Booster booster(7);
  const std::vector<CostSample> samples = Samples(200, 0);
  const auto untrained = booster.Explain(samples[0]);
  ASSERT_TRUE(untrained.ok());
  EXPECT_EQ(untrained->effects, std::vector<double>(3));
  ASSERT_TRUE(booster.Train(samples).ok());
  double first = 0, second = 0;
  for (const CostSample& unseen : Samples(40, 13)) {
    const auto estimate = booster.Estimate({unseen});
    const auto attribution = booster.Explain(unseen);
    ASSERT_TRUE(estimate.ok() && attribution.ok());
    ASSERT_EQ(attribution->effects.size(), 3u);
    double sum = unseen.log_prior + attribution->bias;
    for (const double effect : attribution->effects) sum += effect;
    EXPECT_NEAR(sum, estimate->front().log_seconds, 1e-4);
    EXPECT_NEAR(attribution->bias, 0.75, 0.1);                          // the mean of what the prior misses
    EXPECT_EQ(attribution->effects[0] > 0, unseen.features[0] > 0.5f);  // the step
    EXPECT_EQ(attribution->effects[2], 0);                              // a constant says nothing
    first += std::fabs(attribution->effects[0]);
    second += std::fabs(attribution->effects[1]);
  }
  EXPECT_GT(first, 2 * second);
}

}  // namespace
}  // namespace hone
