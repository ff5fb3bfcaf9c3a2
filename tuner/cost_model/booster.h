#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "tuner/cost_model.h"

namespace hone {

// A bag of XGBoost regressors on log seconds with the prior as base margin: without data the answer is the prior.
class Booster : public CostModel {
 public:
  explicit Booster(uint64_t seed);
  ~Booster() override;
  absl::Status Train(const std::vector<CostSample>& samples) override;
  bool trained() const override { return !models_.empty(); }
  absl::StatusOr<std::vector<CostEstimate>> Estimate(const std::vector<CostSample>& samples) const override;

 private:
  struct Model;
  uint64_t seed_;
  std::vector<std::unique_ptr<Model>> models_;
};

}  // namespace hone
