#pragma once

#include <optional>
#include <variant>

#include "compiler/schedule/contract_schedule.h"
#include "compiler/schedule/stage_schedule.h"
#include "compiler/schedule/strip_schedule.h"
#include "compiler/schedule/winograd_schedule.h"

namespace hone {

// The decisions of a trace, read once.
struct Decisions {
  enum class Leaf { kGeneric, kContract, kStage } leaf = Leaf::kGeneric;
  ContractChoice contract;
  std::optional<WinogradChoice> winograd;   // with contract leaves
  int strassen = 0;                         // levels, with contract leaves; 0: none
  StageChoice anchor;          // of the costliest stage, for stage leaves
  std::optional<StripChoice> strips;        // of all stages; the leaves above are none then
  bool fuse_rows = true;
};
std::variant<Decisions, Rejection> ReadDecisions(const Trace& trace, const Target& target);

}  // namespace hone
