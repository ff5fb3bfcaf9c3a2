#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "hone/v1/jobs.pb.h"

// Quantities as people write and read them.
namespace hone {

std::string FormatLatency(double seconds);                      // "1.23 ms", "456 us", "2.10 s"; "-" for 0
std::string FormatDuration(double seconds);                     // "4m 10s", "35s", "2h 05m"
std::string FormatBytes(uint64_t bytes);                        // "15.2 MB" (1e6)
std::string FormatCount(double count, absl::string_view unit);  // 3.8e9, "FLOP" -> "3.80 GFLOP"
std::string FormatPercent(double fraction);                     // 0.123 -> "12.3 %"
std::string FormatTime(int64_t micros);                         // UTC, "2026-11-23 13:45:10"; "-" for 0

// "90s", "5m", "1h30m", "30d", "250ms"; a bare number is seconds. Seconds > 0.
absl::StatusOr<double> ParseDuration(absl::string_view text);
// "500MB", "20GB" (1e9), "2TB"; a bare number is bytes.
absl::StatusOr<uint64_t> ParseBytes(absl::string_view text);
// A time ("5m"), a number of trials ("100trials"), both ("5m,100trials"), "0trials" (the prior's pick,
// nothing measured), or "none" (until no gain is expected).
absl::StatusOr<v1::Budget> ParseBudget(absl::string_view text);
// "2%" or "0.5 %" as a fraction, at least 0.
absl::StatusOr<double> ParsePercent(absl::string_view text);
// "input=1,3,48,320". The name may itself contain '='.
absl::StatusOr<v1::ShapeBinding> ParseShape(absl::string_view text);
absl::StatusOr<uint64_t> ParseWhole(absl::string_view text, uint64_t lowest, uint64_t highest);

}  // namespace hone
