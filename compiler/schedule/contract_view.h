#pragma once

#include <optional>
#include <vector>

#include "compiler/schedule/fused_stages.h"

namespace hone {

// A sum of products seen as matrix multiplication: every output axis belongs to both operands (batch), to `a` alone (m)
// or to `b` alone (n, exactly one); every reduction axis to both.
struct ContractView {
  ProgramTensorId a = -1, b = -1;
  std::vector<LoadIndex> a_indices, b_indices;
  std::vector<int> batch, m;   // indices into StageLoops::axes
  int n = -1;
  int group = -1;  // of the batch: the axis that splits one of operand b's together with n; -1: there is none
};

std::optional<ContractView> ViewAsContract(const StageLoops& stage);

// A convolution in groups of channels, whose weights have the output channel as one axis: makes that (group,
// channel of the group), a contraction with the groups as batch. Narrow groups stay together: vectors hold
// several of them.
void SplitGroups(StageLoops* stage);

// The stage that costs most, by multiply-adds.
int CostliestStage(const FusedStages& fused);
double StageFlops(const StageLoops& stage);

}  // namespace hone
