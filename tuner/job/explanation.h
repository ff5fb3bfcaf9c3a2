#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "hone/v1/records.pb.h"
#include "proto/values/host_lock.h"
#include "tuner/cost_model/booster.h"
#include "tuner/tuning_session.h"

namespace hone {

// Trains the model with what the session has measured, as before a proposal, and takes its prediction for one
// schedule of one task apart. Works within the host's slices.
absl::StatusOr<v1::RecordExplanation> ExplainSchedule(const TuningSession& session,
                                                      const std::string& task_key, const std::string& trace,
                                                      const HostLockFiles& host, Booster* model);

}  // namespace hone
