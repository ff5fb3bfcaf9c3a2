#pragma once

#include <optional>

#include "compiler/schedule/contract_view.h"

namespace hone {

// A contraction seen as a convolution in two dimensions: weights [oc, ic, kh, kw], one group or wide ones
// (SplitGroups).
struct ConvView {
  ContractView contract;
  int image = -1, out_channel = -1;  // indices into StageLoops::axes
  int channel = -1;                  // into StageLoops::reduce
  struct Dim {
    int out = -1, tap = -1;  // into axes, reduce
    int64_t taps = 1, stride = 1, dilation = 1;
  } dims[2];
  // Where the data comes from: operand a, or what its padding stage copies.
  ProgramTensorId source = -1;
  int padding_stage = -1;  // of FusedStages; -1: none
  int64_t before[2] = {0, 0};
};
std::optional<ConvView> ViewAsConv(const FusedStages& fused, int stage);

// The convolution on its source: indices leave it where the padding was, and add nothing there.
StageLoops WithoutPadding(StageLoops stage, const ConvView& view);
// How many of all taps of all outputs lie inside of the source, as a share.
double ShareInside(const FusedStages& fused, const StageLoops& stage, const ConvView& view);

}  // namespace hone
