#pragma once

#include <functional>

#include "absl/status/statusor.h"
#include "hone/v1/models.pb.h"
#include "hone/v1/records.pb.h"
#include "server/jobs/job_session.h"

// Questions that a short-lived hone-job answers, which gets the model's files and nothing else. They block up
// to options.inspect_limit (DeadlineExceeded). What the child says of the model is the caller's error; its
// death is Internal, naming how it died. They give up (Cancelled) soon after `cancelled` has become true.
namespace hone {

absl::StatusOr<v1::InspectModelResponse> InspectModel(JobServices& services,
                                                      const v1::InspectModelRequest& request,
                                                      const std::function<bool()>& cancelled);

// Of a record of this job. FailedPrecondition: it is of no schedule.
absl::StatusOr<v1::RecordExplanation> ExplainRecord(JobServices& services, const JobRow& job,
                                                    const RecordRow& record,
                                                    const std::function<bool()>& cancelled);

}  // namespace hone
