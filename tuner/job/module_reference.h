#pragma once

#include <string>
#include <vector>

#include "tuner/tuning_session.h"

namespace hone {

// What the modules of a job are compared with on the device.
struct ModuleReference {
  std::string name;             // of its schedules: "reference", "direct" or "default"
  std::vector<Trace> traces;    // by task
};

// The reference schedules, where these end in time; else the direct algorithm's default ones, where the session's are
// others; else the session's own, which prove the tuned module only.
ModuleReference ReferenceOf(const TuningSession& session);

}  // namespace hone
