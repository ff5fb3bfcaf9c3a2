#include "compiler/task/evaluate.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "compiler/task/task.h"

namespace hone {

HostTensor HostTensorOf(const ConstantData& constant) {
  return {constant.dtype, constant.dims, {constant.data, constant.data + constant.size}};
}

ConstantRef ConstantOf(HostTensor tensor) {
  return MakeConstant(tensor.dtype, std::move(tensor.dims), std::move(tensor.bytes));
}

absl::StatusOr<std::vector<HostTensor>> EvaluateNode(std::string_view op, const AttrMap& attrs,
                                                     std::span<const HostTensor> inputs) {
  Task task;
  std::vector<TensorId> ids;
  for (const HostTensor& input : inputs) {
    ids.push_back(task.graph.AddInput("i", {input.dtype, {input.dims.begin(), input.dims.end()}}));
  }
  absl::StatusOr<std::vector<TensorId>> outputs =
      task.graph.AddNode(op, std::move(ids), attrs, std::string(op));
  if (!outputs.ok()) return outputs.status();
  task.graph.SetOutputs(*std::move(outputs));
  absl::StatusOr<TensorProgram> program = LowerTask(task);
  if (!program.ok()) return program.status();
  return Interpret(*program, inputs);
}

absl::StatusOr<std::vector<HostTensor>> EvaluateGraph(const Graph& graph,
                                                      std::span<const HostTensor> inputs) {
  if (inputs.size() != graph.inputs().size()) return absl::InvalidArgumentError("number of inputs");
  std::vector<std::optional<HostTensor>> values(static_cast<size_t>(graph.tensor_count()));
  for (size_t i = 0; i < inputs.size(); ++i) values[graph.inputs()[i].index] = inputs[i];
  for (int i = 0; i < graph.tensor_count(); ++i) {
    if (graph.tensor({i}).constant != nullptr) values[i] = HostTensorOf(*graph.tensor({i}).constant);
  }
  for (int i = 0; i < graph.node_count(); ++i) {
    const Node& node = graph.node({i});
    std::vector<HostTensor> operands;
    for (const TensorId id : node.inputs) operands.push_back(*values[id.index]);
    absl::StatusOr<std::vector<HostTensor>> results = EvaluateNode(node.op->name, node.attrs, operands);
    if (!results.ok()) return results.status();
    for (size_t k = 0; k < results->size(); ++k) values[node.outputs[k].index] = std::move((*results)[k]);
  }
  std::vector<HostTensor> outputs;
  for (const TensorId id : graph.outputs()) outputs.push_back(*values[id.index]);
  return outputs;
}

}  // namespace hone
