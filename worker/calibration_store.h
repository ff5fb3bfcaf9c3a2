#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "proto/values/device.h"

namespace hone {

// Each figure's best. Other programs make a machine look slower, nothing makes it look faster, and floors
// must not lie above what is measured. One without figures counts for nothing.
Calibration BestOf(const Calibration& a, const Calibration& b);

// What `path` keeps of this device (class, fingerprint); nullopt: nothing.
std::optional<Calibration> StoredCalibration(const std::string& path, const Device& device);

// Makes device's calibration the best of it and those before, which `path` keeps from one start of a worker
// to the next while the device (class, fingerprint) is the same. An error means that the file could not be
// written; the calibration is as good all the same.
absl::Status KeepBestCalibration(const std::string& path, Device* device);

}  // namespace hone
