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
};

std::optional<ContractView> ViewAsContract(const StageLoops& stage);

// The stage that costs most, by multiply-adds.
int CostliestStage(const FusedStages& fused);
double StageFlops(const StageLoops& stage);

}  // namespace hone
