#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "proto/values/device.h"

namespace hone {

// What the system says about this machine: CPU, caches, the cores this process may use, fingerprint.
// Uncalibrated.
Device DetectDevice();

// Its measured limits (facts/performance.md §5.1). Takes about half a second; the caller holds the host lock.
Calibration Calibrate(const Device& device);
// The same, holding the host lock exclusively (waits for it up to a minute).
absl::StatusOr<Calibration> CalibrateAlone(const Device& device, const std::string& host_lock_path);

// One "key : value" of /proc/cpuinfo's first processor; empty if there is none.
std::string CpuInfoField(absl::string_view cpuinfo, absl::string_view key);

// Text of a JSON object with every field of the device, for people and scripts.
std::string DeviceToJson(const Device& device);

}  // namespace hone
