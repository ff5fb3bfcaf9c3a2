#include "proto/values/measurement.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace hone {
namespace {

constexpr std::array<std::string_view, 8> kOutcomeNames = {
    "ok", "rejected", "compile_error", "crash", "timeout", "wrong_output", "device_lost", "infrastructure"};

}  // namespace

std::string_view OutcomeName(Outcome outcome) { return kOutcomeNames[static_cast<size_t>(outcome)]; }

std::optional<Outcome> ParseOutcome(std::string_view name) {
  for (size_t i = 0; i < kOutcomeNames.size(); ++i) {
    if (kOutcomeNames[i] == name) return static_cast<Outcome>(i);
  }
  return std::nullopt;
}

bool IsCandidatesOwn(Outcome outcome) {
  return outcome != Outcome::kDeviceLost && outcome != Outcome::kInfrastructure;
}

double Quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  const double rank = q * static_cast<double>(values.size() - 1);
  return values[static_cast<size_t>(std::llround(rank))];
}

void SummariseWindows(Measurement& measurement) {
  std::vector<double> kept, all;
  for (const Window& window : measurement.windows) {
    all.push_back(window.seconds);
    if (window.kept) kept.push_back(window.seconds);
  }
  const std::vector<double>& sample = kept.size() >= 3 ? kept : all;
  if (sample.empty()) return;
  measurement.p20_seconds = Quantile(sample, 0.20);
  measurement.median_seconds = Quantile(sample, 0.50);
  measurement.p95_seconds = Quantile(sample, 0.95);
}

}  // namespace hone
