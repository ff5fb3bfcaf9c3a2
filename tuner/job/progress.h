#pragma once

#include "hone/v1/job_link.pb.h"
#include "tuner/tuning_session.h"

namespace hone {

// How far the session is, and when it will be done; the budget and the seconds spent are there already.
void AddTasks(const TuningSession& session, v1::JobProgress* progress);

}  // namespace hone
