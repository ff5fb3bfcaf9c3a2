#pragma once

#include <vector>

namespace hone {

struct Sample {
  double at = 0, value = 0;
};

// How fast values rise, per unit of `at`, with its 95 % interval.
struct Trend {
  double slope = 0, low = 0, high = 0;
};

// The median of the slopes between all pairs of samples (Theil 1950), its interval by the variance of
// Kendall's S (Sen, JASA 63, 1968): outliers, up to 29 % of the samples, move it little. Values that hang
// together from one sample to the next, as memory's do, make the interval too narrow. At least two samples.
Trend TheilSen(const std::vector<Sample>& samples);

}  // namespace hone
