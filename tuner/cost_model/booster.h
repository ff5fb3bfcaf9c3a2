#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "tuner/cost_model.h"

namespace hone {

// What one prediction is made of, averaged over the bag: log_seconds = log_prior + bias + the sum of the
// effects.
struct Attribution {
  double bias = 0;              // what the trees add to the prior on average over what they were trained with
  std::vector<double> effects;  // by feature: its SHAP value (Lundberg and Lee 2017), exact for trees
};

// A bag of XGBoost regressors on log seconds with the prior as base margin: without data the answer is the prior.
class Booster : public CostModel {
 public:
  explicit Booster(uint64_t seed);
  ~Booster() override;
  absl::Status Train(const std::vector<CostSample>& samples) override;
  bool trained() const override { return !models_.empty(); }
  absl::StatusOr<std::vector<CostEstimate>> Estimate(const std::vector<CostSample>& samples) const override;
  absl::StatusOr<Attribution> Explain(const CostSample& sample) const;  // untrained: all zero

 private:
  struct Model;
  uint64_t seed_;
  std::vector<std::unique_ptr<Model>> models_;
};

}  // namespace hone
