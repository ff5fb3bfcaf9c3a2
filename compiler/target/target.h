#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace hone {

// One row per kind of machine code Hone can make. A vendor adds a file and a row. Nothing else in the compiler knows an
// instruction set.
struct TargetRow {
  std::string_view name;             // "x86-64-v3"
  std::string_view triple;           // LLVM triple
  std::string_view cpu;              // LLVM cpu
  std::string_view features;         // LLVM feature string, sorted
  std::vector<int> vector_widths;    // f32 lanes, widest (preferred) first
  int vector_registers;              // of that width
  bool folds_broadcast;              // the multiply-add takes a broadcast memory operand (AVX-512)
  bool has_fma;
  int fma_latency, fma_per_cycle;    // cycles; instructions per cycle
  int loads_per_cycle;
  int64_t l1d_bytes, l2_bytes, l3_bytes;   // defaults where no device was measured
  double nominal_gflops;             // one core, f32, where no device was measured
  bool (*runs_here)();               // whether this machine executes such code
};

std::span<const TargetRow> TargetTable();

// A resolved target: a row plus what was found out about the device. Text form is the row's name; `host` never appears.
struct Target {
  const TargetRow* row = nullptr;
  int vector_width() const { return row->vector_widths.front(); }
  std::string ToString() const { return std::string(row->name); }
  bool operator==(const Target&) const = default;
};

// "host" resolves by CPU detection. InvalidArgument lists the names there are, NotFound: none runs here.
absl::StatusOr<Target> FindTarget(std::string_view name);

}  // namespace hone
