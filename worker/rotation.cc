#include "worker/rotation.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "compiler/runtime/input_generator.h"

namespace hone {
namespace {

constexpr size_t kFewestKept = 3;     // below that there is no statistic
constexpr double kAbsurd = 3;         // the first kept window slower by this factor: out at once
constexpr size_t kFewestToDrop = 5;   // kept windows of both before a ratio interval decides
constexpr double kDropMargin = 1.02;  // "above" the incumbent's: intervals of a few windows are rough
constexpr double kHopeless = 1.5;     // all kept windows slower by this factor: out after kFewestKept
constexpr uint32_t kMostCalls = 1u << 20;

size_t Kept(std::span<const Window> windows) {
  return std::count_if(windows.begin(), windows.end(), [](const Window& w) { return w.kept; });
}

std::vector<double> KeptSeconds(std::span<const Window> windows) {
  std::vector<double> seconds;
  for (const Window& w : windows) {
    if (w.kept) seconds.push_back(w.seconds);
  }
  return seconds;
}

// One contestant's way through the rotation.
struct Lane {
  Contestant* contestant = nullptr;
  Measurement measurement;
  double guess = 0;  // seconds per call
  double spent = 0;  // seconds
  bool running = true;

  std::span<const Window> windows() const { return measurement.windows; }

  void RunOnce(double run_limit) {
    const double wanted = std::ceil(kWindowSeconds / std::max(guess, 1e-9));
    const Contestant::Report report =
        contestant->RunWindow(static_cast<uint32_t>(std::clamp(wanted, 1.0, double{kMostCalls})));
    if (report.ending) {
      measurement.outcome = report.ending->outcome;
      measurement.message = report.ending->message;
      running = false;
      return;
    }
    measurement.windows.push_back(report.window);
    guess = guess > 0 ? std::min(guess, report.window.seconds) : report.window.seconds;
    spent += report.window.seconds * (report.window.calls + 1);
    if (spent > run_limit) running = false;
  }

  // The noisy-host rule of Rotate's contract.
  void KeepLeastDisturbed() {
    std::vector<Window>& all = measurement.windows;
    const size_t kept = Kept(all);
    if (measurement.outcome != Outcome::kOk || kept >= kFewestKept || all.empty()) return;
    std::vector<size_t> order(all.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::stable_sort(order.begin(), order.end(), [&all](size_t a, size_t b) {
      return std::pair(all[a].kept, all[a].cpu_fraction) > std::pair(all[b].kept, all[b].cpu_fraction);
    });
    order.resize(std::min(all.size(), std::max(kFewestKept, all.size() / 3)));
    for (size_t i : order) all[i].kept = true;
    measurement.message =
        absl::StrCat("noisy host: ", kept, " of ", all.size(), " windows were undisturbed; kept the ",
                     order.size(), " least disturbed");
  }
};

bool HasLost(const Lane& lane, const Lane& incumbent, uint64_t seed) {
  const std::vector<double> mine = KeptSeconds(lane.windows()), theirs = KeptSeconds(incumbent.windows());
  if (mine.empty() || theirs.empty()) return false;
  const double best = *std::min_element(mine.begin(), mine.end());
  const double worst = *std::max_element(theirs.begin(), theirs.end());
  const size_t fewest = std::min(mine.size(), theirs.size());
  if (best > kAbsurd * worst || (fewest >= kFewestKept && best > kHopeless * worst)) return true;
  if (fewest < kFewestToDrop) return false;
  return CompareSeries(lane.windows(), incumbent.windows(), seed).low > kDropMargin;
}

// One round: who still runs gets a window. Returns how many of its windows were kept, or nothing if nobody
// runs.
std::optional<double> RunRound(std::vector<Lane>& lanes, const RotationOptions& options) {
  size_t ran = 0, kept = 0;
  for (Lane& lane : lanes) {
    if (!lane.running) continue;
    const size_t before = lane.measurement.windows.size();
    lane.RunOnce(options.run_limit_seconds);
    if (lane.measurement.windows.size() == before) continue;
    ++ran;
    kept += lane.measurement.windows.back().kept;
  }
  if (ran == 0) return std::nullopt;
  return static_cast<double>(kept) / static_cast<double>(ran);
}

// Stops lanes that have enough or have lost. The incumbent goes on while anybody else does.
void Retire(std::vector<Lane>& lanes, const RotationOptions& options) {
  bool others = false;
  for (size_t i = 0; i < lanes.size(); ++i) {
    if (i == options.incumbent || !lanes[i].running) continue;
    if (Kept(lanes[i].windows()) >= options.windows) lanes[i].running = false;
    if (options.incumbent && HasLost(lanes[i], lanes[*options.incumbent], options.seed))
      lanes[i].running = false;
    others |= lanes[i].running;
  }
  if (!options.incumbent || others) return;
  Lane& incumbent = lanes[*options.incumbent];
  if (lanes.size() > 1 || Kept(incumbent.windows()) >= options.windows) incumbent.running = false;
}

}  // namespace

RatioInterval CompareSeries(std::span<const Window> candidate, std::span<const Window> incumbent,
                            uint64_t seed) {
  constexpr int kResamples = 400;
  const size_t rounds = std::min(candidate.size(), incumbent.size());
  const std::vector<double> mine = KeptSeconds(candidate), theirs = KeptSeconds(incumbent);
  if (mine.empty() || theirs.empty()) return {};
  RatioInterval interval;
  interval.ratio = Quantile(mine, 0.2) / Quantile(theirs, 0.2);
  if (std::min(mine.size(), theirs.size()) < kFewestKept) {
    interval.low = Quantile(mine, 0) / Quantile(theirs, 1);
    interval.high = Quantile(mine, 1) / Quantile(theirs, 0);
    return interval;
  }
  std::vector<double> ratios;
  std::vector<double> a, b;
  for (int resample = 0; resample < kResamples; ++resample) {
    a.clear();
    b.clear();
    for (size_t i = 0; i < rounds; ++i) {
      const auto round = static_cast<size_t>(HoneUniform(seed, resample, i) * static_cast<double>(rounds));
      if (candidate[round].kept) a.push_back(candidate[round].seconds);
      if (incumbent[round].kept) b.push_back(incumbent[round].seconds);
    }
    if (!a.empty() && !b.empty()) ratios.push_back(Quantile(a, 0.2) / Quantile(b, 0.2));
  }
  if (ratios.empty()) return {interval.ratio, interval.ratio, interval.ratio};
  interval.low = std::min(interval.ratio, Quantile(ratios, 0.025));
  interval.high = std::max(interval.ratio, Quantile(ratios, 0.975));
  return interval;
}

std::vector<Measurement> Rotate(std::span<Contestant* const> contestants,
                                std::span<const double> first_seconds, const RotationOptions& options,
                                const std::function<void(double)>& after_round) {
  std::vector<Lane> lanes(contestants.size());
  for (size_t i = 0; i < lanes.size(); ++i) {
    lanes[i].contestant = contestants[i];
    lanes[i].guess = first_seconds[i];
  }
  for (uint32_t round = 0; round < 2 * options.windows; ++round) {
    const std::optional<double> kept = RunRound(lanes, options);
    if (!kept) break;
    if (after_round) after_round(*kept);
    Retire(lanes, options);
  }
  std::vector<Measurement> measurements;
  for (Lane& lane : lanes) lane.KeepLeastDisturbed();
  for (size_t i = 0; i < lanes.size(); ++i) {
    Measurement& m = lanes[i].measurement;
    if (m.outcome == Outcome::kOk && m.windows.empty()) {
      m.outcome = Outcome::kInfrastructure;
      m.message = "no window was measured";
    }
    if (options.incumbent && m.outcome == Outcome::kOk) {
      const RatioInterval ratio = CompareSeries(m.windows, lanes[*options.incumbent].windows(), options.seed);
      m.ratio_to_incumbent = ratio.ratio;
      m.ratio_low = ratio.low;
      m.ratio_high = ratio.high;
    }
    SummariseWindows(m);
  }
  for (Lane& lane : lanes) measurements.push_back(std::move(lane.measurement));
  return measurements;
}

}  // namespace hone
