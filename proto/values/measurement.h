#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hone {

// How a trial ended. Only the candidate's own outcomes train the cost model; lost ones are queued again.
enum class Outcome {
  kOk,
  kRejected,
  kCompileError,
  kCrash,
  kTimeout,
  kWrongOutput,
  kDeviceLost,
  kInfrastructure,
};

std::string_view OutcomeName(Outcome outcome);   // "ok", "wrong_output", ...
std::optional<Outcome> ParseOutcome(std::string_view name);
bool IsCandidatesOwn(Outcome outcome);

// One timed stretch of `calls` back-to-back runs; `seconds` is wall time per call.
struct Window {
  double seconds = 0;
  uint32_t calls = 0;
  double cpu_fraction = 0;   // thread CPU time / wall
  bool kept = false;         // no involuntary switch and cpu_fraction > 0.99
};

// What measuring one candidate gave. Times in seconds.
struct Measurement {
  Outcome outcome = Outcome::kOk;
  std::string message;
  std::vector<Window> windows;
  double p20_seconds = 0;
  double median_seconds = 0;
  double p95_seconds = 0;
  double ratio_to_incumbent = 0;   // 0 = there was no incumbent
  double ratio_low = 0;            // 95 % interval
  double ratio_high = 0;
  double max_error = 0;            // max |output - oracle| / max |oracle|
  bool cold = false;
  double probe_gflops_before = 0;
  double probe_gflops_after = 0;
  double probe_read_gbps_before = 0;
  double probe_read_gbps_after = 0;
};

// Fills p20/median/p95 from the kept windows (all windows if fewer than three were kept).
void SummariseWindows(Measurement& measurement);

// Nearest-rank quantile of a non-empty sample, q in [0, 1].
double Quantile(std::vector<double> values, double q);

}  // namespace hone
