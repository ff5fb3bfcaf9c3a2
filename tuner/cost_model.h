#pragma once

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace hone {

// What was learnt about one schedule: features, log of the prior's seconds, log of the measured seconds.
struct CostSample {
  std::vector<float> features;
  double log_prior = 0;
  double log_seconds = 0;
};

struct CostEstimate {
  double log_seconds = 0;
  double deviation = 0;   // of log_seconds, between the models of the bag
};

// Learns how measured times differ from the prior. Deterministic in its samples and seed.
class CostModel {
 public:
  virtual ~CostModel() = default;
  virtual absl::Status Train(const std::vector<CostSample>& samples) = 0;
  virtual bool trained() const = 0;
  // samples' log_seconds are not read.
  virtual absl::StatusOr<std::vector<CostEstimate>> Estimate(const std::vector<CostSample>& samples) const = 0;
};

}  // namespace hone
