#pragma once

#include <string>

#include "hone/v1/workers.pb.h"

namespace hone {

// Why no honest device can have told this measurement of a trial of `lease`; empty if one may have.
std::string LieIn(const v1::Lease& lease, const v1::Measurement& measurement);

// Whether two measurements are one told twice: clocks do not repeat a whole set of windows.
bool IsReplay(const v1::Measurement& measurement, const v1::Measurement& earlier);

}  // namespace hone
