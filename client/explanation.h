#pragma once

#include <string>

#include "hone/v1/records.pb.h"

namespace hone {

// Why the cost model predicted what it did for a trial: the prior, what was learnt, what was measured, and
// the features' effects as bars left (faster) and right (slower) of an axis. `width` 0 = unlimited.
std::string ExplanationText(const v1::RecordExplanation& explanation, int width);

// The same as a waterfall from the prior's time to the predicted one.
std::string ExplanationSvg(const v1::RecordExplanation& explanation);

}  // namespace hone
