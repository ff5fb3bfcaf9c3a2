#include "tuner/prior.h"

#include <algorithm>
#include <cmath>

namespace hone {
namespace {

constexpr double kCallSeconds = 15e-9;           // entering a leaf: coordinates, addresses, first loads
constexpr double kLevelShare = 0.75;             // of a cache that one operand may take
constexpr double kSustained = 0.97;              // of the peak, in the best leaf
constexpr double kLoadPorts = 0.93;              // the part of their cycles that they sustain
constexpr double kScatteredCycles = 1.2;         // per piece of a vector that is not contiguous
constexpr double kAliasedCycles = 8;             // ... whose neighbours have evicted each other
constexpr double kTransferRate =
    0.25;  // of the third-level cache's: tiles' rows, line by line from another core's
constexpr double kUnhidden = 0.2;        // of the lesser of computing and memory
constexpr double kUnhiddenMemory = 0.4;  // ... more, of constants that come from beyond the caches
constexpr double kWaitingPanel = 1.0 / 16;  // of the second-level cache: what is longer leaves it before its uses
constexpr double kSumCost = 2;      // sums are half as fast as multiply-adds
constexpr double kFilledTwice = 2;  // temporaries share their cache with as much that passes through
constexpr double kWrittenBack = 4;  // ... evicted: fetched to be written, and written back, at half the rate
constexpr double kGflopsPerGbps = 0.5;           // guesses where nothing was measured

double Known(double measured, double fallback) { return measured > 0 ? measured : fallback; }

// Cycles per reduction step relative to the multiply-adds' own.
double Slowdown(const NestStatistics& s, const Roofline& r) {
  if (s.fmas_per_step == 0) return 1;
  const double compute = static_cast<double>(s.fmas_per_step) / r.fma_per_cycle;
  const double loads = static_cast<double>(s.loads_per_step) / (kLoadPorts * r.loads_per_cycle);
  const double latency = s.accumulators > 0 ? r.fma_latency * static_cast<double>(s.fmas_per_step) / s.accumulators : 0;
  return std::max({compute, loads, latency}) / compute;
}

// The parts of a task's tensors that one thread reads or writes.
struct Shares {
  double inputs = 1, constants = 1, outputs = 1;
};

// Threads share out the inputs first: the pieces of one range of constants follow each other.
Shares SharesOf(const NestStatistics& s, int threads) {
  const double of_inputs = std::min<double>(threads, std::max(1.0, s.input_parts));
  const double of_constants = std::min(threads / of_inputs, std::max(1.0, s.constant_parts));
  return {1 / of_inputs, 1 / of_constants, 1.0 / threads};
}

double FootprintBytes(const NestStatistics& s) { return s.input_bytes + s.constant_bytes + s.output_bytes; }

// From the cache that holds the whole model's, of which some grow like this task's and some not at all.
double ConstantGbps(const NestStatistics& s, const Roofline& r) {
  return r.BandwidthFor(std::max(FootprintBytes(s), std::sqrt(s.constant_growth) * r.model_constant_bytes));
}

double ConstantSeconds(const NestStatistics& s, const Roofline& r, const Shares& shares) {
  return s.constant_bytes * shares.constants / (ConstantGbps(s, r) * 1e9);
}

// From the cache that holds all of the task's tensors, where the rest of the model has left them.
double ActivationSeconds(const NestStatistics& s, const Roofline& r, const Shares& shares) {
  const double bytes = s.input_bytes * shares.inputs + s.output_bytes * shares.outputs;
  return bytes / (r.BandwidthFor(FootprintBytes(s)) * 1e9);
}

double ComputeSeconds(const NestStatistics& s, const Roofline& r) {
  const double peak = r.gflops * 1e9 * kSustained;
  if (s.parts.empty()) {
    return (s.executed_flops + s.waiting_flops) / peak * Slowdown(s, r) + s.leaf_calls * kCallSeconds +
           s.transcendental * 20 / peak +
           (kScatteredCycles * s.scattered + kAliasedCycles * s.aliased_stores) * r.cycle_seconds;
  }
  double seconds = 0;
  for (const NestStatistics& part : s.parts) seconds += ComputeSeconds(part, r);
  return seconds;
}

// What the busiest thread reads from other threads' caches, or leaves in its own for others to read.
double TransferSeconds(const NestStatistics& s, const Roofline& r, int threads) {
  if (threads == 1) return 0;
  const double own = 1.0 / threads, read = SharesOf(s, threads).inputs;
  double bytes = s.halo_bytes / kTransferRate;
  if (read > own) bytes += (read - own) * s.input_bytes / kTransferRate + own * (1 - own) * s.output_bytes;
  return bytes / (r.l3_gbps * 1e9);
}

// Of the sums and temporaries of algorithms that multiply less.
double TransformSeconds(const NestStatistics& s, const Roofline& r) {
  const double temporaries = std::max(kFilledTwice * s.transform_footprint, r.l2_bytes / 2);
  const double evicted = std::max(0.0, 1 - r.l2_bytes / std::max(s.transform_footprint, 1.0));
  return kSumCost * s.transform_flops / (r.gflops * 1e9 * kSustained) +
         s.transform_bytes / (r.BandwidthFor(temporaries) * 1e9) +
         kWrittenBack * evicted * s.transform_bytes / (r.l3_gbps * 1e9);
}

// With so much time for memory beyond what a task needs that is measured alone.
double EstimateSeconds(const NestStatistics& s, const Roofline& r, int threads, double transfer) {
  const double pieces = std::max(1.0, s.parallel_pieces);
  const double share = std::ceil(pieces / threads) / pieces;  // of the work, of the busiest thread
  const double compute = share * ComputeSeconds(s, r);
  const auto seconds = [&](double bytes, double footprint) {
    return bytes / (r.BandwidthFor(footprint) * 1e9);
  };
  const Shares shares = SharesOf(s, threads);
  const double constants = ConstantSeconds(s, r, shares);
  const double once = ActivationSeconds(s, r, shares) + constants;   // every tensor
  const double beyond = 1 - ConstantGbps(s, r) / r.l3_gbps;
  const double evicted =
      1 - kWaitingPanel * r.l2_bytes / std::max(s.b_panel_bytes, 1.0);  // of a panel, before its uses
  double waiting =
      std::max({0.0, kUnhiddenMemory * beyond, evicted - kUnhidden}) * std::min(compute, constants);
  double memory = once;
  if (s.leaf_calls > 0) {
    // The panel is read for every row tile, the block's rows for every panel; each from where it fits.
    const double reread = std::max(0.0, share * s.b_reads - shares.constants) * s.constant_bytes;
    const double again = share * (seconds(s.leaf_calls * s.b_panel_bytes, s.b_panel_bytes) +
                                  seconds(s.a_reads * s.input_bytes, s.a_panel_bytes)) +
                         seconds(reread, s.constant_bytes);
    memory = std::max(memory, again + once);
    // Beside temporaries, constants leave the second-level cache before the next block of tiles.
    const double left = seconds(reread, s.constant_bytes + kFilledTwice * s.transform_footprint);
    waiting += std::max(0.0, left - reread / (r.l2_gbps * 1e9));
  }
  memory += share * seconds(s.strip_bytes, s.strip_footprint) + transfer;
  const double copies = share * (2 * s.copy_bytes / (r.l2_gbps * 1e9) + TransformSeconds(s, r));
  const double total = std::max(compute, memory) + kUnhidden * std::min(compute, memory) + waiting + copies;
  return total + (threads > 1 ? r.fork_join_seconds : 0) + 1e-7;
}

}  // namespace

Roofline Roofline::Of(const Device& device, const Target& target) {
  const Calibration& c = device.calibration;
  const TargetRow& row = *target.row;
  Roofline r;
  const auto measured = c.fma_gflops.find(target.ToString());
  r.gflops = Known(measured == c.fma_gflops.end() ? 0 : measured->second, row.nominal_gflops);
  r.l1_gbps = Known(c.l1_read_gbps, r.gflops / kGflopsPerGbps);
  r.l2_gbps = Known(c.l2_read_gbps, r.l1_gbps / 2);
  r.l3_gbps = Known(c.l3_read_gbps, r.l2_gbps / 2);
  r.dram_gbps = Known(c.dram_read_gbps, r.l3_gbps / 3);
  r.l1_bytes = Known(static_cast<double>(device.l1d_bytes), static_cast<double>(row.l1d_bytes));
  r.l2_bytes = Known(static_cast<double>(device.l2_bytes), static_cast<double>(row.l2_bytes));
  r.l3_bytes = Known(static_cast<double>(c.l3_held_bytes), Known(static_cast<double>(device.l3_bytes), static_cast<double>(row.l3_bytes)));
  r.fork_join_seconds = Known(c.fork_join_us, 1) * 1e-6;
  r.fma_per_cycle = row.fma_per_cycle;
  r.loads_per_cycle = row.loads_per_cycle;
  r.fma_latency = row.fma_latency;
  r.cycle_seconds = 2 * target.vector_width() * r.fma_per_cycle / (r.gflops * 1e9);
  return r;
}

double Roofline::BandwidthFor(double bytes) const {
  const std::pair<double, double> levels[] = {{l1_bytes, l1_gbps}, {l2_bytes, l2_gbps}, {l3_bytes, l3_gbps}};
  double seconds = 0, rest = 1;   // per GB; the share that no nearer level holds
  for (const auto& [capacity, gbps] : levels) {
    const double held = bytes > 0 ? std::min(rest, capacity * kLevelShare / bytes) : rest;
    seconds += held / gbps;
    rest -= held;
  }
  return 1 / (seconds + rest / dram_gbps);
}

double PriorSeconds(const NestStatistics& s, const Roofline& r, int threads) {
  return EstimateSeconds(s, r, threads, 0);
}

double ModelSeconds(const NestStatistics& s, const Roofline& r, int threads) {
  return EstimateSeconds(s, r, threads, TransferSeconds(s, r, threads));
}

double FloorSeconds(const NestStatistics& s, const Roofline& r, int threads, double saving) {
  const double compute = s.flops / saving / (r.gflops * 1e9);
  return std::max(compute, ActivationSeconds(s, r, {}) + ConstantSeconds(s, r, {})) / threads;
}

}  // namespace hone
