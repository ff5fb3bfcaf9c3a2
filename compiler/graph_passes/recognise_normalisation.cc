// Layer normalisation as exporters write it out:
//   d = x - mean(x); y = d / sqrt(mean(d * d) + epsilon) * scale + bias
#include "compiler/graph_passes/graph_matching.h"
#include "compiler/graph_passes/pass_table.h"

namespace hone {
namespace {

// The axis from which `mean` averages to the end, if it is a mean that keeps its dimensions.
std::optional<int64_t> MeanAxis(const Graph& graph, const Node& mean) {
  const std::vector<int64_t> axes = IntsAttr(mean.attrs, "axes");
  const int64_t rank = graph.tensor(mean.inputs[0]).type.rank();
  if (axes.empty() || IntAttr(mean.attrs, "keepdims", 1) == 0) return std::nullopt;
  for (size_t i = 0; i < axes.size(); ++i) {
    if (axes[i] != rank - static_cast<int64_t>(axes.size() - i)) return std::nullopt;
  }
  return axes[0];
}

// `id` is x - mean(x): returns x.
std::optional<TensorId> CentredOf(const Graph& graph, TensorId id, int64_t axis) {
  const Node* sub = ProducerIf(graph, id, "sub");
  if (sub == nullptr) return std::nullopt;
  const Node* mean = ProducerIf(graph, sub->inputs[1], "reduce_mean");
  if (mean == nullptr || mean->inputs[0] != sub->inputs[0] || MeanAxis(graph, *mean) != axis)
    return std::nullopt;
  return sub->inputs[0];
}

struct Normalisation {
  TensorId x;
  int64_t axis = 0;
  double epsilon = 0;
};

// The standard deviation: sqrt(mean(d * d) + epsilon) of d = x - mean(x).
std::optional<Normalisation> DeviationOf(const Graph& graph, TensorId id) {
  const Node* root = ProducerIf(graph, id, "sqrt");
  const Node* sum = root == nullptr ? nullptr : ProducerIf(graph, root->inputs[0], "add");
  const int constant = sum == nullptr ? -1 : ConstantOperand(graph, *sum);
  if (constant < 0) return std::nullopt;
  const std::optional<float> epsilon = SplatFloat(graph, sum->inputs[static_cast<size_t>(constant)]);
  const Node* mean = ProducerIf(graph, sum->inputs[static_cast<size_t>(1 - constant)], "reduce_mean");
  if (!epsilon || mean == nullptr) return std::nullopt;
  const std::optional<int64_t> axis = MeanAxis(graph, *mean);
  const Node* square = ProducerIf(graph, mean->inputs[0], "mul");
  if (!axis || square == nullptr || square->inputs[0] != square->inputs[1]) return std::nullopt;
  const std::optional<TensorId> x = CentredOf(graph, square->inputs[0], *axis);
  if (!x) return std::nullopt;
  return Normalisation{*x, *axis, static_cast<double>(*epsilon)};
}

void MatchDivision(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  if (node.op->name != "div" || graph.tensor(node.outputs[0]).type.dtype != DType::kF32) return;
  const std::optional<Normalisation> found = DeviationOf(graph, node.inputs[1]);
  if (!found || CentredOf(graph, node.inputs[0], found->axis) != found->x) return;
  graph.node(id).op = FindOp("layer_norm");
  graph.node(id).inputs = {found->x};
  graph.node(id).attrs = {{"axis", found->axis}, {"epsilon", found->epsilon}};
}

// layer_norm(x) * scale and + bias, both constants of the row's shape, become its operands.
void MatchScaleAndBias(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  const bool scales = node.op->name == "mul";
  const int constant = ConstantOperand(graph, node);
  if ((!scales && node.op->name != "add") || constant < 0) return;
  const TensorId inner = node.inputs[static_cast<size_t>(1 - constant)];
  const Node* norm = ProducerIf(graph, inner, "layer_norm");
  if (norm == nullptr || !HasOneUse(graph, inner) || norm->inputs.size() != (scales ? 1 : 2)) return;
  const TensorId value = node.inputs[static_cast<size_t>(constant)];
  const std::vector<DimExpr>& shape = graph.tensor(inner).type.shape;
  if (graph.tensor(value).type.shape !=
      std::vector<DimExpr>(shape.begin() + IntAttr(norm->attrs, "axis"), shape.end()))
    return;
  std::vector<TensorId> inputs = norm->inputs;
  const AttrMap attrs = norm->attrs;
  inputs.push_back(value);
  graph.node(id).op = FindOp("layer_norm");
  graph.node(id).inputs = std::move(inputs);
  graph.node(id).attrs = attrs;
}

}  // namespace

absl::Status RecogniseNormalisation(Graph& graph, const PassOptions&) {
  for (int i = 0; i < graph.node_count(); ++i) {
    MatchDivision(graph, {i});
    MatchScaleAndBias(graph, {i});
  }
  return absl::OkStatus();
}

}  // namespace hone
