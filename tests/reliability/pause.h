#pragma once

#include <filesystem>
#include <string>

#include "absl/time/clock.h"

namespace hone {

// For runs of hours on a shared machine: returns once there is no such file (a path may be empty).
inline void WaitWhileThere(const std::string& file) {
  while (!file.empty() && std::filesystem::exists(file)) absl::SleepFor(absl::Milliseconds(200));  // polls it
}

}  // namespace hone
