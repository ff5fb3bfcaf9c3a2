#include "client/units.h"

#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "client/error.h"

namespace hone {
namespace {

struct Scale {
  double factor;
  const char* unit;
};

std::string Scaled(double value, absl::string_view unit) {
  const int digits = value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return absl::StrFormat("%.*f %s", digits, value, unit);
}

constexpr Scale kDurationUnits[] = {{1e-3, "ms"}, {86400, "d"}, {3600, "h"}, {60, "m"}, {1, "s"}};

// Takes "90s" off the front of `text` and adds it to `seconds`.
bool TakeDuration(absl::string_view& text, double& seconds) {
  size_t digits = 0;
  while (digits < text.size() && (absl::ascii_isdigit(text[digits]) || text[digits] == '.')) ++digits;
  double number;
  if (!absl::SimpleAtod(text.substr(0, digits), &number)) return false;
  text.remove_prefix(digits);
  for (const Scale& unit : kDurationUnits) {
    if (absl::ConsumePrefix(&text, unit.unit)) {
      seconds += number * unit.factor;
      return true;
    }
  }
  if (!text.empty()) return false;
  seconds += number;
  return true;
}

absl::Status BadBudget(absl::string_view text) {
  return WithRemedy(UsageError(absl::StrCat("'", text, "' is not a budget")),
                    "write a time (5m, 90s, 1h30m), trials (100trials), both (5m,100trials) or none");
}

}  // namespace

std::string FormatLatency(double seconds) {
  if (seconds <= 0 || !std::isfinite(seconds)) return "-";
  if (seconds < 0.9995e-6) return Scaled(seconds * 1e9, "ns");
  if (seconds < 0.9995e-3) return Scaled(seconds * 1e6, "us");
  if (seconds < 0.9995) return Scaled(seconds * 1e3, "ms");
  return Scaled(seconds, "s");
}

std::string FormatDuration(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0) return "-";
  const int64_t whole = std::llround(seconds);
  if (whole < 60) return absl::StrCat(whole, "s");
  if (whole < 3600) return absl::StrFormat("%dm %02ds", whole / 60, whole % 60);
  return absl::StrFormat("%dh %02dm", whole / 3600, whole % 3600 / 60);
}

std::string FormatBytes(uint64_t bytes) {
  if (bytes < 1000) return absl::StrCat(bytes, " B");
  return FormatCount(static_cast<double>(bytes), "B");
}

std::string FormatCount(double count, absl::string_view unit) {
  constexpr Scale kPrefixes[] = {{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}};
  for (const Scale& prefix : kPrefixes) {
    if (count >= prefix.factor) return Scaled(count / prefix.factor, absl::StrCat(prefix.unit, unit));
  }
  return absl::StrFormat("%.0f %s", count, unit);
}

std::string FormatPercent(double fraction) { return absl::StrFormat("%.1f %%", fraction * 100); }

std::string FormatTime(int64_t micros) {
  if (micros == 0) return "-";
  return absl::FormatTime("%Y-%m-%d %H:%M:%S", absl::FromUnixMicros(micros), absl::UTCTimeZone());
}

absl::StatusOr<double> ParseDuration(absl::string_view text) {
  double seconds = 0;
  absl::string_view rest = text;
  while (!rest.empty()) {
    if (!TakeDuration(rest, seconds)) {
      seconds = 0;
      break;
    }
  }
  if (seconds <= 0 || !std::isfinite(seconds)) {
    return WithRemedy(UsageError(absl::StrCat("'", text, "' is not a time")),
                      "write for example 90s, 5m, 1h30m or 30d");
  }
  return seconds;
}

absl::StatusOr<uint64_t> ParseBytes(absl::string_view text) {
  constexpr Scale kUnits[] = {{1e3, "kB"}, {1e6, "MB"}, {1e9, "GB"}, {1e12, "TB"}, {1, "B"}, {1, ""}};
  for (const Scale& unit : kUnits) {
    absl::string_view digits = text;
    double number;
    if (!absl::ConsumeSuffix(&digits, unit.unit) || !absl::SimpleAtod(digits, &number)) continue;
    if (number >= 0 && number * unit.factor < 9e18) return static_cast<uint64_t>(number * unit.factor);
  }
  return WithRemedy(UsageError(absl::StrCat("'", text, "' is not a size")),
                    "write for example 500MB or 20GB");
}

absl::StatusOr<v1::Budget> ParseBudget(absl::string_view text) {
  v1::Budget budget;
  if (text == "none") return budget;
  for (absl::string_view part : absl::StrSplit(text, ',')) {
    absl::string_view number = part;
    if (absl::ConsumeSuffix(&number, "trials") || absl::ConsumeSuffix(&number, "trial")) {
      auto trials = ParseWhole(number, 0, UINT32_MAX);
      if (!trials.ok()) return BadBudget(text);
      budget.set_trials(static_cast<uint32_t>(*trials));
      budget.set_zero_trials(*trials == 0);
    } else {
      auto seconds = ParseDuration(part);
      if (!seconds.ok()) return BadBudget(text);
      budget.set_seconds(*seconds);
    }
  }
  return budget;
}

absl::StatusOr<double> ParsePercent(absl::string_view text) {
  absl::string_view digits = text;
  double percent = 0;
  if (!absl::ConsumeSuffix(&digits, "%") || !absl::SimpleAtod(absl::StripAsciiWhitespace(digits), &percent) ||
      !std::isfinite(percent) || percent < 0) {
    return UsageError(absl::StrCat("'", text, "' is not a percentage like 2%"));
  }
  return percent / 100;
}

absl::StatusOr<v1::ShapeBinding> ParseShape(absl::string_view text) {
  const size_t equals = text.rfind('=');
  v1::ShapeBinding binding;
  bool ok = equals != absl::string_view::npos && equals > 0 && equals + 1 < text.size();
  if (ok) {
    binding.set_input(std::string(text.substr(0, equals)));
    for (absl::string_view dim : absl::StrSplit(text.substr(equals + 1), ',')) {
      auto value = ParseWhole(absl::StripAsciiWhitespace(dim), 1, INT64_C(1) << 40);
      if (!value.ok()) {
        ok = false;
        break;
      }
      binding.add_dims(static_cast<int64_t>(*value));
    }
  }
  if (!ok) {
    return WithRemedy(UsageError(absl::StrCat("'", text, "' is not a shape")),
                      "write the input's name and its dimensions: --shape input=1,3,48,320");
  }
  return binding;
}

absl::StatusOr<uint64_t> ParseWhole(absl::string_view text, uint64_t lowest, uint64_t highest) {
  uint64_t value;
  const bool digits = !text.empty() && absl::ascii_isdigit(text.front());
  if (!digits || !absl::SimpleAtoi(text, &value) || value < lowest || value > highest) {
    return UsageError(absl::StrCat("'", text, "' is not a whole number from ", lowest, " to ", highest));
  }
  return value;
}

}  // namespace hone
