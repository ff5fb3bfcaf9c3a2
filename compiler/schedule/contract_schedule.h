#pragma once

#include <string>
#include <variant>

#include "compiler/schedule/contract_view.h"
#include "compiler/schedule/schedule.h"

namespace hone {

// How a convolution's output pixels become the rows of register tiles; the trace's `rows=`.
enum class RowTiles : uint8_t {
  kAffine,  // of one image row, or of several that follow each other at one distance in every access
  kTable,   // across image rows
  kBands,   // of one band that reads by the same taps; the others lie beyond operand a's ends and add nothing
  kApart,   // of one image row, also where several would do, and blocks are image rows (no text: strips' own)
};

// The decisions of a `leaf contract` trace.
struct ContractChoice {
  int mr = 0, nv = 0, lanes = 0, unroll = 1;
  HeldSide hold = HeldSide::kB;
  RowTiles rows = RowTiles::kAffine;
  bool panels_outer = false;        // order n,m
  int64_t tiles_per_block = 0;      // 0: one (order m,n) or all (order n,m)
  int64_t k_steps = 0;              // per pass; 0: all
  bool parallel_m = true, parallel_n = false;
};
std::variant<ContractChoice, Rejection> ReadContractChoice(const Trace& trace);
// What `leaf contract ...` alone says.
std::variant<ContractChoice, Rejection> ReadContractLeaf(const Primitive& leaf);

// Accumulators, what is held, and what LLVM's scheduler keeps in flight beside them: several broadcasts ahead
// where few instructions use each, and products where they are not fused with the sum. The constants are what
// spill_test proves.
int RegistersOf(const ContractChoice& choice, const Target& target);

// The trace of a choice: the inverse of ReadContractChoice; and its leaf alone.
Trace ContractTrace(const ContractChoice& choice);
std::string ContractLeafText(const ContractChoice& choice);

struct ContractPlan {
  ContractKernel kernel;
  Layout b_layout;          // of the packed operand
};

// Cuts the stage. `tensors` have their layouts, but for the operand b.
std::variant<ContractPlan, Rejection> ScheduleContract(const StageLoops& stage, const ContractView& view,
                                                       const ContractChoice& choice, const Target& target, int threads,
                                                       const std::vector<NestTensor>& tensors);

// Whether so much does not stay in the second-level cache beside what is computed with it.
bool LeavesL2(int64_t bytes, const Target& target);

// A sound choice without search.
ContractChoice DefaultContractChoice(const Anchor& anchor, const Target& target, int threads);

}  // namespace hone
