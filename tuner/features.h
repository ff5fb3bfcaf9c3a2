#pragma once

#include <span>
#include <string>
#include <vector>

#include "compiler/schedule/schedule.h"
#include "tuner/prior.h"

namespace hone {

// Everything a feature may look at.
struct FeatureInput {
  const Anchor& anchor;
  const NestStatistics& statistics;
  const Trace& trace;
  const Roofline& roofline;
  int threads = 1;
};

struct FeatureRow {
  std::string_view name;
  double (*value)(const FeatureInput& input);
};
std::span<const FeatureRow> FeatureTable();

std::vector<float> FeaturesOf(const FeatureInput& input);
// A hash of the names: stored with every model, so that none is used with other features.
std::string FeatureVersion();

}  // namespace hone
