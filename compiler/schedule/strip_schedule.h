#pragma once

#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "compiler/schedule/contract_schedule.h"
#include "compiler/schedule/stage_schedule.h"

namespace hone {

// A program whose stages read each other row by row, every result being an image [n, c, h, w]: convolutions
// (those of several rows read the task's input, or their padding), windows, maps. The last stage's result is
// the task's.
struct StripView {
  // Row r of a stage's result reads the rows [stride * r + first, stride * r + last] that `producer` stores, as far as
  // there are.
  struct Need {
    int producer = -1;   // index into parts
    int64_t stride = 1, first = 0, last = 0;
  };
  struct Part {
    std::optional<ContractView> contract;   // none: a window or a map
    bool padding = false;                   // a map, of a convolution's input
    std::vector<Need> needs;
  };
  std::vector<Part> parts;   // by stage

  int Computing() const;  // parts that are no padding
};
std::optional<StripView> ViewAsStrips(const FusedStages& fused);

// The decisions of `strip 4; leaf contract ...; leaf window ...; leaf contract ...`.
struct StripChoice {
  using Leaf = std::variant<ContractChoice, StageChoice>;
  int64_t rows = 1;           // of the result per strip
  std::vector<Leaf> leaves;   // of the stages in order, but for padding, which has none
};

struct StripPlan {
  StripKernel kernel;
  std::vector<std::pair<ProgramTensorId, Layout>> constants;   // as the parts want them
};

// Cuts all stages. `tensors` have their layouts; what one stage hands to the next becomes a ring of rows.
std::variant<StripPlan, Rejection> ScheduleStrips(const FusedStages& fused, const StripView& view, const StripChoice& choice,
                                                  const Target& target, int threads, std::vector<NestTensor>* tensors);

}  // namespace hone
