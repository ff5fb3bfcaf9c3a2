#include "compiler/tensor_program/tensor_program.h"

#include <algorithm>

namespace hone {
namespace {

void CountLoads(const ScalarRef& scalar, ProgramTensorId tensor, bool* found) {
  if (scalar->kind == Scalar::Kind::kLoad && scalar->tensor == tensor) *found = true;
  for (const LoadIndex& index : scalar->indices) {
    if (const ScalarRef* computed = std::get_if<ScalarRef>(&index)) CountLoads(*computed, tensor, found);
  }
  for (const ScalarRef& operand : scalar->operands) CountLoads(operand, tensor, found);
}

}  // namespace

ProgramTensorId TensorProgram::AddTensor(ProgramTensor tensor) {
  tensors.push_back(std::move(tensor));
  return static_cast<ProgramTensorId>(tensors.size()) - 1;
}

std::vector<ProgramTensorId> TensorProgram::TensorsOf(ProgramTensor::Role role) const {
  std::vector<ProgramTensorId> ids;
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (tensors[i].role == role) ids.push_back(static_cast<ProgramTensorId>(i));
  }
  return ids;
}

const Stage* TensorProgram::ProducerOf(ProgramTensorId tensor) const {
  for (const Stage& stage : stages) {
    if (std::find(stage.outputs.begin(), stage.outputs.end(), tensor) != stage.outputs.end()) return &stage;
    if (!stage.scan) continue;
    for (const auto* written : {&stage.scan->final_carried, &stage.scan->stacked}) {
      if (std::find(written->begin(), written->end(), tensor) != written->end()) return &stage;
    }
  }
  return nullptr;
}

int TensorProgram::UsesOf(ProgramTensorId tensor) const {
  int uses = 0;
  for (const Stage& stage : stages) {
    bool found = false;
    for (const ScalarRef& body : stage.body) CountLoads(body, tensor, &found);
    if (stage.scan) {
      for (const auto* read : {&stage.scan->initial, &stage.scan->scanned}) {
        found = found || std::find(read->begin(), read->end(), tensor) != read->end();
      }
    }
    uses += found ? 1 : 0;
  }
  return uses;
}

}  // namespace hone
