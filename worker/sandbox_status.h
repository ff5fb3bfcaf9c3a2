#pragma once

#include "absl/status/status.h"

namespace hone {

// FailedPrecondition: this machine refuses a layer of proto/sandbox; which, why, what it exposes and the remedy.
absl::Status SandboxStatus();

}  // namespace hone
