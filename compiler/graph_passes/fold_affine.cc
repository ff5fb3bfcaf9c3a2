// Constant factors per output channel go into the weights of the convolution or matmul before them, past
// constant terms:
//   (conv(x, w) + b) * f = conv(x, w * f) + b * f
#include <algorithm>

#include "compiler/graph_passes/graph_matching.h"
#include "compiler/graph_passes/pass_table.h"
#include "compiler/task/evaluate.h"

namespace hone {
namespace {

// Where the output channel is in the result and in the weights.
struct ChannelOf {
  int result_axis = 0, weight_axis = 0;
  int64_t groups = 1;  // > 1: conv_transpose2d, whose weights' first axis selects the group
};

std::optional<ChannelOf> Channels(const Graph& graph, const Node& node) {
  if (node.op->name == "conv2d" || node.op->name == "depthwise_conv2d") return ChannelOf{1, 0, 1};
  if (node.op->name == "conv_transpose2d") return ChannelOf{1, 1, IntAttr(node.attrs, "group", 1)};
  if (node.op->name != "matmul" || graph.tensor(node.inputs[1]).type.rank() != 2) return std::nullopt;
  const int rank = graph.tensor(node.outputs[0]).type.rank();
  return ChannelOf{rank - 1, IntAttr(node.attrs, "transpose_b") != 0 ? 0 : 1, 1};
}

TensorId ScaledWeights(Graph& graph, const Node& node, const ChannelOf& channel,
                       const std::vector<float>& factors) {
  const TensorId weights = node.inputs[1];
  const ConstantData& constant = *ConstantOf(graph, weights);
  std::vector<float> values = *Floats(graph, weights);
  int64_t inner = 1;
  for (size_t d = static_cast<size_t>(channel.weight_axis) + 1; d < constant.dims.size(); ++d)
    inner *= constant.dims[d];
  const int64_t extent = constant.dims[channel.weight_axis];
  const int64_t rows_per_group = constant.dims[0] / channel.groups;
  for (int64_t i = 0; i < static_cast<int64_t>(values.size()); ++i) {
    int64_t index = i / inner % extent;
    if (channel.groups > 1) index += i / inner / extent / rows_per_group * extent;
    values[i] *= factors[index];
  }
  return AddFloats(graph, graph.tensor(weights).name, constant.dims, values);
}

// The factor's way to the weights: mul directly after the operator, or after one constant term.
bool FoldFactor(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  const int constant = ConstantOperand(graph, node);
  if (node.op->name != "mul" || constant < 0) return false;
  const TensorId factor = node.inputs[static_cast<size_t>(constant)],
                 before = node.inputs[static_cast<size_t>(1 - constant)];
  if (!(graph.tensor(before).type == graph.tensor(node.outputs[0]).type) || !HasOneUse(graph, before))
    return false;
  TensorId product = before, term;
  const Node* add = ProducerIf(graph, before, "add");
  if (add != nullptr && ConstantOperand(graph, *add) >= 0) {
    const size_t which = static_cast<size_t>(ConstantOperand(graph, *add));
    term = add->inputs[which];
    product = add->inputs[1 - which];
    if (!HasOneUse(graph, product) || !(graph.tensor(product).type == graph.tensor(before).type))
      return false;
  }
  const NodeId producer = graph.tensor(product).producer;
  if (producer.index < 0) return false;
  const std::optional<ChannelOf> channel = Channels(graph, graph.node(producer));
  if (!channel || ConstantOf(graph, graph.node(producer).inputs[1]) == nullptr) return false;
  const auto factors = PerChannel(graph, factor, graph.tensor(product).type.shape, channel->result_axis);
  if (!factors || !Floats(graph, graph.node(producer).inputs[1])) return false;
  if (term.index >= 0) {
    const HostTensor operands[] = {HostTensorOf(*ConstantOf(graph, term)),
                                   HostTensorOf(*ConstantOf(graph, factor))};
    absl::StatusOr<std::vector<HostTensor>> scaled = EvaluateNode("mul", {}, operands);
    if (!scaled.ok()) return false;
    term = graph.AddConstant(graph.tensor(term).name, ConstantOf(std::move(scaled->front())));
  }
  const TensorId weights = ScaledWeights(graph, graph.node(producer), *channel, *factors);
  graph.node(producer).inputs[1] = weights;
  if (term.index >= 0) {  // this node becomes the addition; its name and output stay
    graph.node(id).op = FindOp("add");
    graph.node(id).inputs = {product, term};
  } else if (!IsGraphOutput(graph, node.outputs[0])) {
    graph.ReplaceUses(node.outputs[0], product);
  } else {
    graph.node(id).op = FindOp("identity");
    graph.node(id).inputs = {product};
  }
  return true;
}

}  // namespace

absl::Status FoldAffine(Graph& graph, const PassOptions& options) {
  bool changed = true;
  while (changed) {  // ends: each folding removes a multiplication
    changed = false;
    for (int i = 0; i < graph.node_count(); ++i) changed = FoldFactor(graph, {i}) || changed;
    if (absl::Status status = SimplifyGraph(graph, options); !status.ok())
      return status;  // joins the constant terms
  }
  return absl::OkStatus();
}

}  // namespace hone
