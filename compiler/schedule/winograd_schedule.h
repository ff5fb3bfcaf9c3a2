#pragma once

#include <optional>
#include <variant>

#include "compiler/schedule/contract_schedule.h"

namespace hone {

// A stage seen as a convolution that Winograd's algorithm computes: a window of at most 7 taps in either
// dimension, any stride or any dilation, constant weights [oc, ic, kh, kw], one group or wide ones
// (SplitGroups).
struct WinogradView {
  ContractView contract;
  int image = -1, out_channel = -1;   // indices into StageLoops::axes
  int channel = -1;                   // into StageLoops::reduce
  struct Dim {
    int out = -1, tap = -1;           // into axes, reduce
    int64_t taps = 1, stride = 1, dilation = 1;
  } dims[2];
  // Where the data comes from: operand a, or what its padding stage copies.
  ProgramTensorId source = -1;
  int padding_stage = -1;             // of FusedStages; -1: none
  int64_t before[2] = {0, 0};
};
std::optional<WinogradView> ViewAsWinograd(const FusedStages& fused, int stage);

// The decisions of `algorithm winograd m=4 tiles=28`.
struct WinogradChoice {
  int outputs = 4;     // per tile, in each dimension with more than one tap
  int64_t tiles = 16;  // per block
};

struct WinogradPlan {
  WinogradKernel kernel;           // `products`, `transformed`, `edge` are set
  Layout packed;                   // of the transformed constant
  AxisTransforms transforms;
};

// Cuts the stage. Adds the temporaries to `tensors`, and as the last one the transformed constant.
std::variant<WinogradPlan, Rejection> ScheduleWinograd(const StageLoops& stage, const WinogradView& view,
                                                       const WinogradChoice& choice, const ContractChoice& contract,
                                                       const Target& target, int threads,
                                                       std::vector<NestTensor>* tensors);

}  // namespace hone
