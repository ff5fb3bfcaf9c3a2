#pragma once

#include <optional>
#include <string>

#include "proto/values/device.h"
#include "proto/values/measurement.h"
#include "tuner/tuning_session.h"

namespace hone {

// Default and tuned module, measured in rotation on the device.
struct ModuleComparison {
  Measurement by_default, tuned;
  double tolerance = 0;
  std::string reference;   // whose outputs theirs were compared with: "reference", "direct" or "default" schedules
  uint32_t inputs = 2;
  // A default module compared with itself proves nothing.
  bool verified() const { return reference != "default" || tuned_wins(); }
  // Whether the tuned module is handed over: right, and faster beyond doubt.
  bool tuned_wins() const {
    return tuned.outcome == Outcome::kOk && tuned.ratio_high > 0 && tuned.ratio_high < 1;
  }
};

struct ReportInput {
  std::string model, job, target;
  int threads = 1;
  Device device;
  double seconds = 0;
  const TuningSession& session;
  std::optional<ModuleComparison> comparison;   // none: cancelled before it was measured

  // Cancelled before they were compared: each kernel is verified, the best of them are handed over.
  bool DeliversTuned() const { return !comparison || comparison->tuned_wins(); }
};

// The report of README "optimisation report", as JSON text.
std::string ReportJson(const ReportInput& input);

}  // namespace hone
