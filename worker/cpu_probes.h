#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

// Short measurements of what one core can do at most, and right now. Each runs on the calling thread.
namespace hone {

// One row per target row that has vectors of its own.
struct CpuProbe {
  std::string_view target;  // "x86-64-v3"
  bool (*runs_here)();
  double (*multiply_add)(int64_t iterations);       // register-only chains; returns the operations it did
  void (*read)(const void* memory, int64_t bytes);  // bytes a multiple of 1024, 64-byte aligned
};
std::span<const CpuProbe> CpuProbes();  // least capable first
const CpuProbe& BestCpuProbe();         // the most capable that runs here

double MeasureGflops(const CpuProbe& probe, double seconds);  // best of several windows
// Memory that is read again and again.
class ReadProbe {
 public:
  explicit ReadProbe(uint64_t most_bytes);   // where there is no such memory, all rates are 0
  // Reads `bytes` of it for `seconds`; best pass, in GB/s (1e9).
  double Gbps(uint64_t bytes, double seconds) const;
  // The same as a network reads its constants: a MiB at a time, with twice as long spent on arithmetic
  // between.
  double GbpsBetweenArithmetic(uint64_t bytes, double seconds) const;

 private:
  std::unique_ptr<void, void (*)(void*)> memory_;
};
// What one parallel region of `threads` threads costs beside the work, in microseconds; 0 for one thread.
double MeasureForkJoinUs(int threads, double seconds);

}  // namespace hone
