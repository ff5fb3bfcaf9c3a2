#include "tuner/job/batch_message.h"

#include "proto/values/value_messages.h"

namespace hone {

void FillSpecs(const std::vector<TensorSpec>& specs, google::protobuf::RepeatedPtrField<v1::TensorSpec>* messages) {
  for (const TensorSpec& spec : specs) *messages->Add() = ToMessage(spec);
}

std::vector<TensorSpec> ModuleSpecs(const Graph& graph, const std::vector<TensorId>& ids) {
  std::vector<TensorSpec> specs;
  for (const TensorId id : ids) {
    const TensorType& type = graph.tensor(id).type;
    TensorSpec spec{.dtype = type.dtype, .dims = ConstantShape(type.shape).value_or(std::vector<int64_t>())};
    if (type.dtype == DType::kBool) {
      spec.low = 0, spec.high = 2;
    } else if (!IsFloat(type.dtype)) {
      spec.low = 0, spec.high = 2;
    }
    specs.push_back(std::move(spec));
  }
  return specs;
}

}  // namespace hone
