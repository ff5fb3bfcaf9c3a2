#pragma once

#include <functional>
#include <map>
#include <variant>
#include <vector>

#include "compiler/schedule/loop_nest.h"
#include "compiler/schedule/schedule.h"

namespace hone {

// A program after the decisions every schedule shares: elementwise stages are computed where they are used, or in the
// stores of the reduction they follow. What is left loads inputs, constants and tensors that earlier stages store.
struct FusedStages {
  std::vector<ProgramTensor> tensors;
  std::vector<StageLoops> stages;

  std::vector<int64_t> Shape(ProgramTensorId tensor) const;
};

// Rejects what is not lowered yet: symbolic shapes, scans, half-precision types. With `skip_padding`, windows over a
// padded tensor read the tensor itself and leave out the taps in the padding (StageLoops::ranges), unless they are dense
// convolutions.
std::variant<FusedStages, Rejection> FuseStages(const TensorProgram& program, bool skip_padding = false);

void ForEachLoad(const ScalarRef& scalar, const std::function<void(const Scalar& load)>& visit);
// The loads of a stage: of what it reduces and of what it stores.
void ForEachLoad(const StageLoops& stage, const std::function<void(const Scalar& load)>& visit);
int LoadsOf(const FusedStages& fused, ProgramTensorId tensor);   // how often stages load it
// Axes in terms of others, in everything the stage computes, stores and skips; its lists of axes stay.
void SubstituteInto(const std::map<SymbolRef, DimExpr>& values, StageLoops* stage);
// Multiplications by one and additions of nothing aside: operations per evaluation, transcendental ones apart.
struct ScalarCost {
  int operations = 0, transcendental = 0;
};
ScalarCost CostOf(const ScalarRef& scalar);

int64_t Extent(const Axis& axis);
int64_t Points(const std::vector<Axis>& axes);   // product of the extents

}  // namespace hone
