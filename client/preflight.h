#pragma once

#include "absl/status/status.h"
#include "client/json.h"

namespace hone {

// What stops a model, all at once, read from its inspect report. FailedPrecondition: nodes that Hone cannot
// compile, each with name, operator, attribute, opset, reason and remedy; or symbolic dimensions left open,
// with the very --shape flag to add as the remedy.
absl::Status CheckPreflight(const Json& report);

}  // namespace hone
