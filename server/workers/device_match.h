#pragma once

#include <string_view>

#include "hone/v1/common.pb.h"

namespace hone {

// Whether code for `target` runs on the device: its own target, one it is calibrated for, a lower level of
// the same family (x86-64-v3 on an x86-64-v4 machine), or "host"/"" = whatever the device is.
bool DeviceRuns(const v1::Device& device, std::string_view target);

}  // namespace hone
