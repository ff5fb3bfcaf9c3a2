#include "compiler/graph_passes/graph_matching.h"

#include <algorithm>
#include <cstring>

#include "compiler/task/evaluate.h"

namespace hone {

const Node* ProducerIf(const Graph& graph, TensorId id, std::string_view op) {
  const NodeId producer = graph.tensor(id).producer;
  if (producer.index < 0 || graph.node(producer).op->name != op) return nullptr;
  return &graph.node(producer);
}

bool IsGraphOutput(const Graph& graph, TensorId id) {
  return std::find(graph.outputs().begin(), graph.outputs().end(), id) != graph.outputs().end();
}

bool HasOneUse(const Graph& graph, TensorId id) {
  if (IsGraphOutput(graph, id)) return false;
  int uses = 0;
  for (const NodeId user : graph.UsersOf(id)) {
    const std::vector<TensorId>& inputs = graph.node(user).inputs;
    uses += static_cast<int>(std::count(inputs.begin(), inputs.end(), id));
  }
  return uses == 1;
}

const ConstantData* ConstantOf(const Graph& graph, TensorId id) {
  const ConstantData* constant = graph.tensor(id).constant.get();
  return constant != nullptr && constant->data != nullptr ? constant : nullptr;
}

std::optional<std::vector<float>> Floats(const Graph& graph, TensorId id) {
  const ConstantData* constant = ConstantOf(graph, id);
  if (constant == nullptr || constant->dtype != DType::kF32) return std::nullopt;
  std::vector<float> values(constant->size / sizeof(float));
  std::memcpy(values.data(), constant->data, constant->size);
  return values;
}

std::optional<float> SplatFloat(const Graph& graph, TensorId id) {
  const ConstantData* constant = ConstantOf(graph, id);
  if (constant == nullptr || constant->dtype != DType::kF32 || !IsWrittenByValue(*constant))
    return std::nullopt;
  float value;
  std::memcpy(&value, constant->data, sizeof value);
  return value;
}

std::optional<std::vector<float>> PerChannel(const Graph& graph, TensorId id,
                                             const std::vector<DimExpr>& shape, int axis) {
  const std::optional<std::vector<float>> values = Floats(graph, id);
  const std::vector<DimExpr>& dims = graph.tensor(id).type.shape;
  if (!values || dims.size() > shape.size() || !shape[axis].IsConstant()) return std::nullopt;
  const size_t channels = static_cast<size_t>(shape[axis].Constant());
  for (size_t d = 0; d < dims.size(); ++d) {
    const bool along = shape.size() - dims.size() + d == static_cast<size_t>(axis);
    if (!along && !(dims[d] == DimExpr(1))) return std::nullopt;
  }
  if (values->size() == 1) return std::vector<float>(channels, values->front());
  return values->size() == channels ? values : std::nullopt;
}

TensorId AddFloats(Graph& graph, const std::string& name, std::vector<int64_t> dims,
                   const std::vector<float>& values) {
  std::vector<uint8_t> bytes(values.size() * sizeof(float));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return graph.AddConstant(name, MakeConstant(DType::kF32, std::move(dims), std::move(bytes)));
}

TensorId SliceConstant(Graph& graph, TensorId id, const std::vector<int64_t>& begin,
                       const std::vector<int64_t>& end) {
  const auto dims = [](const std::vector<int64_t>& values) {
    return std::vector<DimExpr>(values.begin(), values.end());
  };
  const AttrMap attrs = {{"starts", dims(begin)},
                         {"ends", dims(end)},
                         {"steps", std::vector<DimExpr>(begin.size(), DimExpr(1))}};
  const HostTensor whole = HostTensorOf(*ConstantOf(graph, id));
  std::vector<HostTensor> part = EvaluateNode("slice", attrs, {&whole, 1}).value();
  return graph.AddConstant(graph.tensor(id).name, ConstantOf(std::move(part.front())));
}

int ConstantOperand(const Graph& graph, const Node& node) {
  if (node.inputs.size() != 2) return -1;
  const bool first = ConstantOf(graph, node.inputs[0]) != nullptr,
             second = ConstantOf(graph, node.inputs[1]) != nullptr;
  return first == second ? -1 : (second ? 1 : 0);
}

bool IsDenseConvolution(const Graph& graph, const Node& node) {
  return node.op->name == "conv2d" && graph.tensor(node.inputs[1]).constant != nullptr &&
         graph.tensor(node.inputs[1]).type.shape[1] == graph.tensor(node.inputs[0]).type.shape[1];
}

bool IsPointwise(const Graph& graph, const Node& node) {
  if (!IsDenseConvolution(graph, node)) return false;
  const std::vector<DimExpr>& kernel = graph.tensor(node.inputs[1]).type.shape;
  const std::vector<int64_t> pads = IntsAttr(node.attrs, "pads");
  return kernel[2] == DimExpr(1) && kernel[3] == DimExpr(1) &&
         std::all_of(pads.begin(), pads.end(), [](int64_t pad) { return pad == 0; });
}

std::vector<TensorId> PointByPoint(const Graph& graph, const Node& node) {
  std::vector<TensorId> tensors = {node.outputs[0]};
  for (const TensorId id : node.inputs) {
    if (graph.tensor(id).type.shape == graph.tensor(node.outputs[0]).type.shape) tensors.push_back(id);
  }
  return tensors;
}

void Spread(const Graph& graph, const std::function<bool(const Node&)>& visit) {
  for (bool changed = true; changed;) {
    changed = false;
    for (int i = 0; i < graph.node_count(); ++i) changed = visit(graph.node({i})) || changed;
    for (int i = graph.node_count() - 1; i >= 0; --i) changed = visit(graph.node({i})) || changed;
  }
}

std::optional<int> CutDimension(const Graph& graph, const Node& node) {
  const std::vector<DimExpr>& from = graph.tensor(node.inputs[0]).type.shape;
  const std::vector<DimExpr>& to = graph.tensor(node.outputs[0]).type.shape;
  const std::vector<int64_t> steps = IntsAttr(node.attrs, "steps");
  std::optional<int> cut;
  for (size_t d = 0; d < to.size(); ++d) {
    if (steps[d] != 1 || (cut && !(from[d] == to[d]))) return std::nullopt;
    if (!(from[d] == to[d])) cut = static_cast<int>(d);
  }
  return cut;
}

}  // namespace hone
