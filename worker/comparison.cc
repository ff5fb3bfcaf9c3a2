#include "worker/comparison.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "proto/values/tensor_values.h"

namespace hone {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Collects the largest difference of pairs of values. NaN-safe: what cannot be compared counts as infinite.
class DifferenceCollector {
 public:
  explicit DifferenceCollector(DType dtype) : exact_(!IsFloat(dtype)) {}

  void Add(int64_t element, double expected, double actual) {
    if (std::isfinite(expected)) largest_expected_ = std::max(largest_expected_, std::fabs(expected));
    if (expected == actual || (std::isnan(expected) && std::isnan(actual))) return;
    double error = std::fabs(expected - actual);
    if (exact_ || !std::isfinite(error)) error = kInfinity;
    if (error > worst_.max_error) worst_ = {error, element, actual, expected};
  }

  Difference Finish() const {
    Difference difference = worst_;
    if (largest_expected_ > 0) difference.max_error /= largest_expected_;
    return difference;
  }

 private:
  const bool exact_;
  double largest_expected_ = 0;
  Difference worst_;
};

}  // namespace

Difference CompareTensors(const TensorSpec& spec, const void* expected, const void* actual) {
  DifferenceCollector collector(spec.dtype);
  const int64_t elements = spec.Elements();
  if (spec.dtype == DType::kF32) {
    const float *e = static_cast<const float*>(expected), *a = static_cast<const float*>(actual);
    for (int64_t i = 0; i < elements; ++i) collector.Add(i, e[i], a[i]);
  } else {
    for (int64_t i = 0; i < elements; ++i) {
      collector.Add(i, ReadElement(spec.dtype, expected, i), ReadElement(spec.dtype, actual, i));
    }
  }
  return collector.Finish();
}

Difference CompareSamples(const TensorSpec& spec, const OracleSample& sample, const void* actual) {
  DifferenceCollector collector(spec.dtype);
  const auto elements = static_cast<uint64_t>(spec.Elements());
  for (size_t i = 0; i < std::min(sample.elements.size(), sample.values.size()); ++i) {
    const uint64_t element = sample.elements[i];
    if (element >= elements) return {kInfinity, static_cast<int64_t>(element), 0, sample.values[i]};
    collector.Add(static_cast<int64_t>(element), sample.values[i], ReadElement(spec.dtype, actual, element));
  }
  return collector.Finish();
}

double Bound(DType dtype, double tolerance) {
  switch (dtype) {
    case DType::kF16:
      return std::max(tolerance, 0x1p-10);
    case DType::kBF16:
      return std::max(tolerance, 0x1p-7);
    default:
      return tolerance;
  }
}

std::string Describe(size_t output, const Difference& difference) {
  return absl::StrCat("output ", output, ", element ", difference.element, ": ", difference.actual,
                      " instead of ", difference.expected, " (error ", difference.max_error,
                      " of the largest value)");
}

}  // namespace hone
