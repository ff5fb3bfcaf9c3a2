#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "compiler/schedule/fused_stages.h"
#include "compiler/target/target.h"

namespace hone {

// How the loops of one stage are cut: what a trace may say of them. Zero means: choose.
struct StageChoice {
  int lanes = 0;     // vector width; 1 is scalar code
  int tile = 0;      // points of a reduction computed together
  int partial = 0;   // partial results of a reduction whose points stand alone
  int points = 0;    // points of a map computed together
};

// Points of one row to compute together, of `extent`: near-equal tiles that leave registers for operands and are long
// enough to hide the latency of their sums.
int WindowTile(int64_t extent, const Target& target);

// Picks the axis that runs in vectors: one along which accesses are contiguous or broadcast; narrower vectors than
// chosen where only they fit. `tensors` have their layouts.
void PickLanes(const std::vector<NestTensor>& tensors, const Target& target, const StageChoice& choice, StageLoops* stage);
// Constants that the lanes of a stage step through in strides, in blocks of lanes instead: one load per vector.
std::vector<std::pair<ProgramTensorId, Layout>> PackingsForLanes(const std::vector<NestTensor>& tensors,
                                                                 const StageLoops& stage);
// Cuts the axis of the lanes into blocks where it is stored so, orders the axes as they lie in the stored tensor, and
// picks the axis that is tiled.
void ArrangeLoops(const std::vector<NestTensor>& tensors, const Target& target, const StageChoice& choice,
                  StageLoops* stage);
// Both.
void ScheduleStage(const std::vector<NestTensor>& tensors, const Target& target, const StageChoice& choice,
                   StageLoops* stage);

// A kernel of its own for one scheduled stage: as many of its outer axes become the parallel loop as `threads` need.
StageKernel KernelOf(StageLoops stage, int threads);

// How many leading axes stages [begin, end) share such that one point of them can be computed wholly, all stages in
// turn, before the next: what later stages load of earlier ones has the same leading indices. 0: they share none.
int SharedAxes(const FusedStages& fused, size_t begin, size_t end);

// How many neighbouring rows such stages compute in turn, so that the chain of operations of one row overlaps with the
// next: a divisor of the last shared axis that leaves rows in the first-level cache and work for all threads.
int RowsTogether(const FusedStages& fused, size_t begin, size_t end, int outer, int threads);

// One kernel of stages [begin, end) over their first `outer` axes, of the last of them `rows` points at a time.
StageKernel RowKernelOf(const FusedStages& fused, size_t begin, size_t end, int outer, int rows,
                        const std::vector<NestTensor>& tensors, const Target& target, const StageChoice& choice,
                        int threads);

// One kernel of a stage whose lanes are picked: its outer axes are `image` and blocks of `rows` of the later axis `row`.
StageKernel RowBlocksOf(StageLoops stage, int image, int row, int64_t rows, const std::vector<NestTensor>& tensors,
                        const Target& target, const StageChoice& choice);

}  // namespace hone
