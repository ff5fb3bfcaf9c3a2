#pragma once

#include "compiler/schedule/schedule.h"
#include "proto/values/device.h"

namespace hone {

// Limits of the device a job tunes for, per core unless said otherwise. Filled from its calibration, where there is one.
struct Roofline {
  double gflops = 0;               // f32 multiply-adds x 2
  double cycle_seconds = 0;        // in which it makes fma_per_cycle of them, of the widest vectors
  double l1_gbps = 0, l2_gbps = 0, l3_gbps = 0, dram_gbps = 0;
  double l1_bytes = 0, l2_bytes = 0, l3_bytes = 0;   // l3 shared by all cores
  double model_constant_bytes = 0;   // all tasks' together: what a task's constants have been evicted by when it runs again
  double fork_join_seconds = 0;
  int fma_per_cycle = 2, loads_per_cycle = 2, fma_latency = 4;

  static Roofline Of(const Device& device, const Target& target);
  // Bandwidth of reading this many bytes again and again, GB/s: each cache gives the share that it holds. (Zen 5, L3 of 32
  // MiB: 28 MB 100, 64 MB 61, 128 MB 47 GB/s.)
  double BandwidthFor(double bytes) const;
};

// Analytic estimate in seconds of one run: compute and memory limits of the leaf, its calls, copies, synchronisation.
// Good for order, not for truth; the booster learns the difference.
double PriorSeconds(const NestStatistics& statistics, const Roofline& roofline, int threads);

// The same inside a model, where tasks share out rows among threads: one that reads all rows, or computes all
// rows of some channels, finds its inputs, or leaves its results to the next task, in another thread's cache.
// A task that is measured alone, over and over, has its inputs in its own.
double ModelSeconds(const NestStatistics& statistics, const Roofline& roofline, int threads);

// Below this no schedule can go: nominal operations, divided by what an algorithm may save, and compulsory traffic.
double FloorSeconds(const NestStatistics& statistics, const Roofline& roofline, int threads, double saving = 1);

}  // namespace hone
