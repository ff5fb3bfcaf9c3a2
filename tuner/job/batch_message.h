#pragma once

#include <vector>

#include "compiler/graph/graph.h"
#include "hone/v1/workers.pb.h"
#include "proto/values/tensor_spec.h"

namespace hone {

void FillSpecs(const std::vector<TensorSpec>& specs, google::protobuf::RepeatedPtrField<v1::TensorSpec>* messages);

// Of a whole model's inputs or outputs. Integers are token ids, masks or segment numbers, mostly: 0 and 1 are in the range
// of all of them.
std::vector<TensorSpec> ModuleSpecs(const Graph& graph, const std::vector<TensorId>& ids);

}  // namespace hone
