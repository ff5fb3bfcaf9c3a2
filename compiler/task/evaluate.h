#pragma once

#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "compiler/graph/graph.h"
#include "compiler/tensor_program/interpreter.h"

namespace hone {

HostTensor HostTensorOf(const ConstantData& constant);
ConstantRef ConstantOf(HostTensor tensor);

// Evaluates a graph node by node through its operators' programs and the interpreter: the reference of the
// passes' tests and the constant folder. `inputs` in graph order. Returns the outputs in order. Layouts do
// not matter.
absl::StatusOr<std::vector<HostTensor>> EvaluateGraph(const Graph& graph, std::span<const HostTensor> inputs);
// One node whose inputs are these.
absl::StatusOr<std::vector<HostTensor>> EvaluateNode(std::string_view op, const AttrMap& attrs,
                                                     std::span<const HostTensor> inputs);

}  // namespace hone
