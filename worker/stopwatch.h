#pragma once

#include <chrono>

#include "absl/time/time.h"

namespace hone {

// Time since construction by the monotonic clock.
class Stopwatch {
 public:
  absl::Duration Elapsed() const { return absl::FromChrono(std::chrono::steady_clock::now() - begin_); }
  double Seconds() const { return absl::ToDoubleSeconds(Elapsed()); }

 private:
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

}  // namespace hone
