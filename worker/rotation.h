#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "proto/values/measurement.h"
#include "worker/runner_process.h"

namespace hone {

// Something that can be timed by windows: a runner process, or a test's model of one.
class Contestant {
 public:
  struct Report {
    std::optional<Ending> ending;  // set: the contestant is out
    Window window;
  };
  virtual ~Contestant() = default;
  // One untimed call, then at least `calls` timed ones lasting at least kWindowSeconds.
  virtual Report RunWindow(uint32_t calls) = 0;
};

struct RotationOptions {
  uint32_t windows = 10;            // kept ones wanted per contestant
  double run_limit_seconds = 10;    // of timed and untimed calls per contestant
  std::optional<size_t> incumbent;  // whom the others race against
  uint64_t seed = 1;                // of the bootstrap
};

// A window lasts at least this long (facts/performance.md §4: 0.2-2 ms, so that most fall between
// disturbances).
inline constexpr double kWindowSeconds = 2e-4;
// A window is kept if there was no involuntary switch and the CPU was ours for more than this part of it.
inline constexpr double kKeptCpuFraction = 0.99;

// Gives each contestant in turn one window, round after round, until each has its kept windows, is out, or
// has been through twice as many rounds. Slow drift and neighbours thus hit all alike. A contestant whose
// ratio interval lies above the incumbent's is dropped early ("racing"); it stays ok, with fewer windows.
// first_seconds: a first guess of each one's time per call. after_round (may be null) hears which part of the
// last round's windows was kept. The result has outcome, windows, quantiles and ratios; where the host was
// too noisy for three kept windows, the least disturbed third is kept instead and the message says so.
std::vector<Measurement> Rotate(std::span<Contestant* const> contestants,
                                std::span<const double> first_seconds, const RotationOptions& options,
                                const std::function<void(double)>& after_round);

// Ratio of p20s of two series measured in the same rounds, with its 95 % interval by bootstrapping rounds
// (below three kept windows: the extremes).
struct RatioInterval {
  double ratio = 0, low = 0, high = 0;  // all 0: no kept windows
};
RatioInterval CompareSeries(std::span<const Window> candidate, std::span<const Window> incumbent,
                            uint64_t seed);

}  // namespace hone
