#include "server/workers/honesty.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_format.h"

namespace hone {
namespace {

// A device may be faster than at its calibration, beside other work, but not by so much.
constexpr double kImpossible = 0.2;  // of the roofline's floor

// The worker's own check allows half-precision outputs their rounding.
double LargestError(const v1::Lease& lease) {
  double error = lease.tolerance();
  for (const v1::TensorSpec& output : lease.outputs()) {
    if (output.dtype() == "f16" || output.dtype() == "bf16") error = std::max(error, 0x1p-7);
  }
  return error;
}

bool IsTime(double seconds) { return std::isfinite(seconds) && seconds > 0; }

}  // namespace

std::string LieIn(const v1::Lease& lease, const v1::Measurement& m) {
  if (m.outcome() == v1::OUTCOME_UNSPECIFIED) return "it told no outcome";
  if (m.outcome() != v1::OUTCOME_OK) return "";
  if (!IsTime(m.p20_seconds()) || !IsTime(m.median_seconds()) || !IsTime(m.p95_seconds()) ||
      !std::isfinite(m.ratio_to_incumbent()) || m.ratio_to_incumbent() < 0) {
    return "it told a time that is none";
  }
  if (m.p20_seconds() > m.median_seconds() || m.median_seconds() > m.p95_seconds())
    return "it told quantiles out of order";
  if (m.p20_seconds() < kImpossible * lease.floor_seconds()) {
    return absl::StrFormat("it told an impossible time: %.3g s, where the roofline allows %.3g s at best",
                           m.p20_seconds(), lease.floor_seconds());
  }
  if (lease.tolerance() > 0 && !(m.max_error() <= LargestError(lease))) {
    return absl::StrFormat("it called outputs right whose error is %.3g, with a tolerance of %.3g",
                           m.max_error(), LargestError(lease));
  }
  return "";
}

bool IsReplay(const v1::Measurement& a, const v1::Measurement& b) {
  if (a.p20_seconds() != b.p20_seconds() || a.median_seconds() != b.median_seconds() ||
      a.p95_seconds() != b.p95_seconds() || a.windows_size() != b.windows_size()) {
    return false;
  }
  for (int i = 0; i < a.windows_size(); ++i) {
    if (a.windows(i).seconds() != b.windows(i).seconds()) return false;
  }
  return true;
}

}  // namespace hone
