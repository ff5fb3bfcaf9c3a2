#include "tests/reliability/trend.h"

#include <algorithm>
#include <cmath>

namespace hone {

Trend TheilSen(const std::vector<Sample>& samples) {
  std::vector<double> slopes;
  for (size_t i = 0; i < samples.size(); ++i) {
    for (size_t j = i + 1; j < samples.size(); ++j) {
      const double run = samples[j].at - samples[i].at;
      if (run != 0) slopes.push_back((samples[j].value - samples[i].value) / run);
    }
  }
  std::sort(slopes.begin(), slopes.end());
  const double n = static_cast<double>(samples.size()), pairs = static_cast<double>(slopes.size());
  const double spread = 1.96 * std::sqrt(n * (n - 1) * (2 * n + 5) / 18);
  const auto at_rank = [&](double rank) {
    return slopes[static_cast<size_t>(std::clamp(rank, 0.0, pairs - 1))];
  };
  return {.slope = at_rank(pairs / 2),
          .low = at_rank((pairs - spread) / 2),
          .high = at_rank((pairs + spread) / 2)};
}

}  // namespace hone
