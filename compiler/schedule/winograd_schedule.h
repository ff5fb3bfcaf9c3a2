#pragma once

#include <optional>
#include <variant>

#include "compiler/schedule/contract_schedule.h"
#include "compiler/schedule/conv_view.h"

namespace hone {

// At most 7 taps in either dimension, any stride or any dilation, constant weights.
bool SuitsWinograd(const ConvView& view, const FusedStages& fused);

// The decisions of `algorithm winograd m=4 tiles=28 kernels=given`.
struct WinogradChoice {
  int outputs = 4;     // per tile, in each dimension with more than one tap
  int64_t tiles = 16;  // per block
  bool given = false;  // kernels are transformed at each run, `split k` channels of a panel at a time
};

struct WinogradPlan {
  WinogradKernel kernel;           // `products`, `transformed`, `edge` are set
  Layout packed;                   // of the constant
  AxisTransforms transforms;       // of it, ahead; none: it is packed as it was given
};

// Cuts the stage. Adds the temporaries to `tensors`, and as the last one the transformed kernels.
std::variant<WinogradPlan, Rejection> ScheduleWinograd(const StageLoops& stage, const ConvView& view,
                                                       const WinogradChoice& choice,
                                                       const ContractChoice& contract, const Target& target,
                                                       int threads, std::vector<NestTensor>* tensors);

}  // namespace hone
