#include "compiler/target/x86.h"

namespace hone {
namespace {

// Levels of the x86-64 psABI (gitlab.com/x86-psABIs/x86-64-ABI, "Micro-Architecture Levels").
#if defined(__x86_64__)
bool RunsV2() { return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt"); }
bool RunsV3() {
  return RunsV2() && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("bmi2");
}
bool RunsV4() {
  return RunsV3() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl");
}
#else
bool RunsV2() { return false; }
bool RunsV3() { return false; }
bool RunsV4() { return false; }
#endif

constexpr int64_t kKiB = 1024, kMiB = 1024 * kKiB;

// l2: the smallest of the server cores of a level.
TargetRow Row(std::string_view name, std::vector<int> widths, int registers, bool folds, bool fma, double gflops, int64_t l2,
              bool (*runs_here)()) {
  return {.name = name,
          .triple = "x86_64-unknown-linux-gnu",
          .cpu = name,
          .features = "",
          .vector_widths = std::move(widths),
          .vector_registers = registers,
          .folds_broadcast = folds,
          .has_fma = fma,
          .fma_latency = 4,
          .fma_per_cycle = 2,
          .loads_per_cycle = 2,
          .l1d_bytes = 32 * kKiB,
          .l2_bytes = l2,
          .l3_bytes = 32 * kMiB,
          .nominal_gflops = gflops,
          .runs_here = runs_here};
}

}  // namespace

std::span<const TargetRow> X86Targets() {
  static const TargetRow rows[] = {
      Row("x86-64-v2", {4}, 16, false, false, 24, 512 * kKiB, RunsV2),
      Row("x86-64-v3", {8, 4}, 16, false, true, 96, 512 * kKiB, RunsV3),
      Row("x86-64-v4", {16, 8, 4}, 32, true, true, 110, kMiB, RunsV4),
  };
  return rows;
}

}  // namespace hone
