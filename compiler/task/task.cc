#include "compiler/task/task.h"

#include "absl/strings/str_cat.h"

namespace hone {
namespace {

std::string DimsText(const std::vector<DimExpr>& shape, size_t from) {
  std::string text;
  for (size_t d = from; d < shape.size(); ++d)
    absl::StrAppend(&text, text.empty() ? "" : "x", shape[d].ToString());
  return text.empty() ? "1" : text;
}

// The batch of one is not worth reading.
std::string DimsText(const TensorType& type) {
  const bool batch_of_one = type.rank() > 1 && type.shape[0] == DimExpr(1);
  return DimsText(type.shape, batch_of_one ? 1 : 0);
}

bool Fuses(const Node& node) {
  return node.op->op_class == OpClass::kElementwise || node.op->op_class == OpClass::kView;
}

int AnchorNode(const Graph& graph) {
  for (int i = 0; i < graph.node_count(); ++i) {
    if (!Fuses(graph.node({i}))) return i;
  }
  return 0;
}

// "3x3" of a convolution's or pooling's window, or nothing.
std::string WindowText(const Graph& graph, const Node& node) {
  if (node.attrs.contains("kernel")) return " " + DimsText(DimsAttr(node.attrs, "kernel"), 0);
  const bool slides = node.op->op_class == OpClass::kWindow || node.op->op_class == OpClass::kContraction;
  if (!slides || node.op->name == "matmul" || node.inputs.size() < 2) return "";
  return " " + DimsText(graph.tensor(node.inputs[1]).type.shape, 2);
}

// What generated values keep functions of a limited domain (roots, logarithms, quotients) finite.
constexpr std::string_view kPositiveDomain[] = {"sqrt", "rsqrt", "log", "pow", "reciprocal", "div"};
constexpr double kPositiveLow = 0.25, kPositiveHigh = 1.25;

TensorSpec SpecOf(const Graph& graph, TensorId id) {
  const Tensor& tensor = graph.tensor(id);
  TensorSpec spec;
  spec.dtype = tensor.type.dtype;
  for (const DimExpr& dim : tensor.type.shape) spec.dims.push_back(dim.IsConstant() ? dim.Constant() : 0);
  if (tensor.type.dtype == DType::kBool) {
    spec.low = 0;
    spec.high = 2;
  } else if (!IsFloat(tensor.type.dtype)) {
    // Integers mostly index; the first dimension of what they index bounds them.
    spec.low = 0;
    spec.high = 4;
    for (const NodeId user : graph.UsersOf(id)) {
      const Node& node = graph.node(user);
      if (node.op->op_class != OpClass::kData || node.inputs[0] == id) continue;
      const int64_t axis = IntAttr(node.attrs, "axis", 0);
      const std::vector<DimExpr>& indexed = graph.tensor(node.inputs[0]).type.shape;
      if (axis >= 0 && axis < static_cast<int64_t>(indexed.size()) && indexed[axis].IsConstant()) {
        spec.high = static_cast<double>(indexed[axis].Constant());
      }
    }
  } else {
    for (int i = 0; i < graph.node_count(); ++i) {
      for (const std::string_view name : kPositiveDomain) {
        if (graph.node({i}).op->name != name) continue;
        spec.low = kPositiveLow;
        spec.high = kPositiveHigh;
      }
    }
  }
  return spec;
}

std::vector<TensorSpec> SpecsOf(const Graph& graph, const std::vector<TensorId>& ids) {
  std::vector<TensorSpec> specs;
  for (const TensorId id : ids) specs.push_back(SpecOf(graph, id));
  return specs;
}

}  // namespace

std::string Task::Label() const {
  if (graph.node_count() == 0) return "nothing";
  const int anchor = AnchorNode(graph);
  const Node& node = graph.node({anchor});
  std::string text = absl::StrCat(std::string(node.op->name), " ");
  if (!node.inputs.empty()) absl::StrAppend(&text, DimsText(graph.tensor(node.inputs[0]).type), " -> ");
  absl::StrAppend(&text, DimsText(graph.tensor(node.outputs[0]).type), WindowText(graph, node));
  for (int i = 0; i < graph.node_count(); ++i) {
    if (i != anchor) absl::StrAppend(&text, " + ", std::string(graph.node({i}).op->name));
  }
  return text;
}

DimExpr Task::Flops() const {
  DimExpr flops(0);
  for (int i = 0; i < graph.node_count(); ++i) {
    const Node& node = graph.node({i});
    std::vector<TensorType> inputs, outputs;
    for (const TensorId id : node.inputs) inputs.push_back(graph.tensor(id).type);
    for (const TensorId id : node.outputs) outputs.push_back(graph.tensor(id).type);
    flops = flops + node.op->flops(node.attrs, inputs, outputs);
  }
  return flops;
}

std::vector<TensorId> Task::Constants() const {
  std::vector<TensorId> constants;
  for (int i = 0; i < graph.tensor_count(); ++i) {
    const ConstantRef& constant = graph.tensor({i}).constant;
    if (constant != nullptr && !IsWrittenByValue(*constant)) constants.push_back({i});
  }
  return constants;
}

std::vector<TensorSpec> Task::InputSpecs() const { return SpecsOf(graph, graph.inputs()); }
std::vector<TensorSpec> Task::ConstantSpecs() const { return SpecsOf(graph, Constants()); }
std::vector<TensorSpec> Task::OutputSpecs() const { return SpecsOf(graph, graph.outputs()); }

}  // namespace hone
