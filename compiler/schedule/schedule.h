#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "compiler/schedule/loop_nest.h"
#include "compiler/schedule/trace.h"
#include "compiler/task/task.h"
#include "compiler/tensor_program/tensor_program.h"

namespace hone {

// What the program's costliest stage looks like; search-space rules are chosen by it.
//   kContract: out[batch, m, n] += a[batch, m, k] * b[batch, k, n] (matmul, dense convolution). Extents below.
//   kWindow:   out[.., w, c] over a small window, no axis shared between lanes (depthwise, pooling)
//   kRow:      a reduction of whole rows, with elementwise stages around it (softmax, normalisation, reduce)
//   kMap:      no reduction
//   kStrip:    several such stages on images, each reading the one before row by row (StripView); paddings do not count
enum class AnchorKind : uint8_t { kContract, kWindow, kRow, kMap, kStrip };

struct Anchor {
  AnchorKind kind = AnchorKind::kMap;
  int stage = -1;                  // index into the program's stages
  int64_t batch = 1, m = 1, n = 1, k = 1;   // kContract: extents (m = all output pixels, k = all reduction steps)
  int64_t groups = 1;  // ... of output channels that lie side by side in operand b: part of the batch
  int64_t row = 1;                 // kContract on images: pixels of one output row (m % row == 0); else 1
  int64_t k_inner = 1;             // contiguous reduction steps (channel block, or k)
  bool constant_b = true;          // b is packed ahead; else packed into scratch at each run
  int64_t lanes = 1;               // extent of the contiguous output axis (kWindow: channels in a block; kMap/kRow: row length)
  int64_t outer = 1;               // product of the other output extents
  int64_t window = 1;              // kWindow: taps
  int64_t tile_extent = 1;         // kWindow: extent of the output axis that a register tile runs along
  int64_t taps[2] = {1, 1};        // kContract: the window, where Winograd's algorithm applies
  int64_t stride[2] = {1, 1}, dilation[2] = {1, 1};
  int64_t tiled[2] = {1, 1};       // ... and the output's extents along it, of one remainder by the dilation
  double inside = 1;  // kContract: share of the taps that lie within the image, beside its padding
  std::vector<Anchor> parts;       // kStrip: of each stage
  int64_t rows = 0;                // of the result, where it can be computed in strips: kStrip; kContract with padding
  bool winograd() const { return taps[0] > stride[0] || taps[1] > stride[1]; }
  // Whether there are taps in the padding that tiles may skip.
  bool bands() const { return kind == AnchorKind::kContract && inside < 1; }
  // Whether Strassen's algorithm may win: below, its sums cost as much as the products it saves.
  bool strassen() const {
    return kind == AnchorKind::kContract && constant_b && batch == 1 && k_inner == k && m >= 64 && n >= 256 && k >= 256;
  }
  // The taps that are transformed: of a stride, every stride-th.
  int64_t LongestPhase(int dim) const { return (taps[dim] + stride[dim] - 1) / stride[dim]; }
};

inline constexpr int64_t kMostWinogradPoints = 8;   // of a tile in one dimension: beyond, transforms lose too much
// Outputs per tile and dimension for which the transforms stay accurate and tiles are not mostly overhang.
std::vector<int64_t> WinogradSizes(const Anchor& anchor);

// Why a trace is not a schedule of this task. Cheap: turned to text only when asked.
enum class Rejection : uint8_t {
  kUnknownAlgorithm, kWrongLeaf, kTooManyRegisters, kTooFewAccumulators, kWidthNotOfTarget, kBadTile, kTooManyPatterns,
  kUnknownAxis, kNotLowered, kTooLarge, kNotExact,
};
std::string_view RejectionText(Rejection rejection);

absl::StatusOr<Anchor> FindAnchor(const TensorProgram& program);

// What the cost model needs to know of a schedule. Bytes and multiply-adds are per run.
struct NestStatistics {
  double flops = 0;                 // nominal (useful)
  double executed_flops = 0;        // with tails and padding
  double waiting_flops = 0;         // that the time would do in which small tiles wait for their sums
  double input_bytes = 0, constant_bytes = 0, output_bytes = 0, scratch_bytes = 0;   // footprints
  double constant_growth = 1;  // constants as the kernels read them over those of the task
  int accumulators = 0, registers = 0, loads_per_step = 0, fmas_per_step = 0;        // leaf, per reduction step
  double leaf_calls = 0;            // micro-kernel invocations
  double steps_per_call = 0;        // reduction steps of one call
  double a_panel_bytes = 0;         // operand rows re-read by each pass of the inner tile loop
  double b_panel_bytes = 0;         // packed panel re-read by it
  double a_reads = 1, b_reads = 1;  // times each whole operand is streamed
  double copy_bytes = 0;            // padding, packing at run time
  double halo_bytes = 0;  // that a thread reads of what another's part of the rows holds, on either side
  double parallel_pieces = 1;       // independent pieces of the parallel loop, a narrow last one a fraction
  double input_parts = 1, constant_parts = 1;   // in which they read inputs and constants; 1: each piece reads all
  double vector_fraction = 1;       // share of lanes that do useful work
  double transcendental = 0;        // exp, tanh, erf... per run
  double scattered = 0;             // pieces in which vectors are loaded or stored that are not contiguous
  double aliased_stores = 0;  // more of them, multiples of 4 KiB apart: they share a set of the nearest cache
  double transform_flops = 0, transform_bytes = 0;   // of algorithms that multiply less: their sums, their temporaries
  double transform_footprint = 0;                    // of the temporaries that one block of tiles fills
  std::vector<NestStatistics> parts;   // of strips: each stage's operations and leaf; the sums and the costliest's leaf are above
  double strip_bytes = 0;           // written and read again between the stages of strips
  double strip_footprint = 0;       // ... of one strip
};

struct Scheduled {
  LoopNest nest;
  NestStatistics statistics;
};

// Task + Trace -> LoopNest. Correct by construction: bounds are inferred, tails generated. Thread-safe.
std::variant<Scheduled, Rejection> Schedule(const Task& task, const TensorProgram& program, const Trace& trace);

// The oracle's trace: direct, generic fallback, no leaf. Legal for every static task that LowerTask accepts.
Trace ReferenceTrace();
// A sound schedule without search: the untuned default.
Trace DefaultTrace(const Task& task, const TensorProgram& program);
// Schedules that skip the taps in the padding, and need no padded copy.
std::vector<Trace> BandTraces(const Task& task, const TensorProgram& program);
// Sound schedules of Winograd's algorithm for the tile sizes and blocks worth a look; which of them pays, if any, a cost
// model must tell. None where the algorithm does not apply or is forbidden.
std::vector<Trace> WinogradTraces(const Task& task, const TensorProgram& program);
// The same of Strassen's, with one level: two gain more or lose, by what only a measurement tells.
std::vector<Trace> StrassenTraces(const Task& task, const TensorProgram& program);
// Sound direct schedules of matmul-like tasks beside the default one, with panels of one to three vectors:
// several threads share out rows or panels, tiles go across the rows of small images. Which of them pays, a
// cost model must tell. None for one thread where rows are long.
std::vector<Trace> DirectTraces(const Task& task, const TensorProgram& program);
// Sound schedules of a task of several stages, or of one and its padding: strips of any height, the leaves that each stage
// would have alone. None where `anchor.rows` is 0.
std::vector<Trace> StripTraces(const Task& task, const Anchor& anchor);

}  // namespace hone
