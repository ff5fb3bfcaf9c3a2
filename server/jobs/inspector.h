#pragma once

#include <functional>

#include "absl/status/statusor.h"
#include "hone/v1/models.pb.h"
#include "server/jobs/job_session.h"

namespace hone {

// Answers a pre-flight request by a short-lived hone-job that gets the model's files and nothing else. Blocks
// up to options.inspect_limit (DeadlineExceeded). What the child says about the model is the caller's error;
// its death is Internal, naming how it died. Gives up (Cancelled) soon after `cancelled` has become true.
absl::StatusOr<v1::InspectModelResponse> InspectModel(JobServices& services,
                                                      const v1::InspectModelRequest& request,
                                                      const std::function<bool()>& cancelled);

}  // namespace hone
