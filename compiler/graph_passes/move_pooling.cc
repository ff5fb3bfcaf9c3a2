// Averages over windows and pointwise convolutions are both linear, one over pixels, the other over channels: they change
// places where that takes fewer operations. Before a convolution, pooling leaves it fewer pixels (transitions of dense
// networks); behind one, it has fewer channels to sum (pooled branches of Inception).
#include <algorithm>

#include "compiler/graph_passes/graph_matching.h"
#include "compiler/graph_passes/pass_table.h"

namespace hone {
namespace {

constexpr double kTapCost = 8;   // of a pooling's tap in operations of a convolution: it has no operand in registers

double Count(const Graph& graph, TensorId id) {
  const std::optional<std::vector<int64_t>> dims = ConstantShape(graph.tensor(id).type.shape);
  double count = dims ? 1 : 0;
  for (const int64_t dim : dims.value_or(std::vector<int64_t>())) count *= static_cast<double>(dim);
  return count;
}

// Each output is a sum over the channels of the pixel at its own place.
bool IsPixelwise(const Graph& graph, const Node& node) {
  const std::vector<int64_t> strides = IntsAttr(node.attrs, "strides");
  return IsPointwise(graph, node) &&
         std::all_of(strides.begin(), strides.end(), [](int64_t stride) { return stride == 1; });
}

bool IsPerChannel(const Graph& graph, TensorId term) {
  const std::vector<DimExpr>& dims = graph.tensor(term).type.shape;
  return dims.size() <= 4 && std::all_of(dims.begin(), dims.end(), [&](const DimExpr& dim) {
           return dim == DimExpr(1) || (dims.size() >= 3 && &dim == &dims[dims.size() - 3]);
         });
}

// Operations of a pointwise convolution whose result has `pixels` times its channels.
double ConvolutionCost(const Graph& graph, const Node& convolution, double pixels) {
  return 2 * pixels * Count(graph, convolution.inputs[1]);
}
double PoolingCost(const Graph& graph, const Node& pooling, double outputs) {
  return kTapCost * outputs * static_cast<double>(Product(DimsAttr(pooling.attrs, "kernel")).AsConstant().value_or(0));
}
double Pixels(const Graph& graph, TensorId id) {
  return Count(graph, id) / static_cast<double>(graph.tensor(id).type.shape[1].AsConstant().value_or(1));
}

// Whether pooling first takes fewer operations than pooling what the convolution makes of it.
bool PoolsFirst(const Graph& graph, const Node& convolution, const Node& pooling, TensorId source) {
  const double before = Pixels(graph, source), after = Pixels(graph, pooling.outputs[0]);
  const double in = Count(graph, source) / before, out = Count(graph, convolution.outputs[0]) / Pixels(graph, convolution.outputs[0]);
  return ConvolutionCost(graph, convolution, after) + PoolingCost(graph, pooling, in * after) <
         ConvolutionCost(graph, convolution, before) + PoolingCost(graph, pooling, out * after);
}

// Zeros that count as taps would share in a constant term.
bool TermsPass(const Node& pooling) {
  const std::vector<int64_t> pads = IntsAttr(pooling.attrs, "pads");
  return IntAttr(pooling.attrs, "count_include_pad", 0) == 0 ||
         std::all_of(pads.begin(), pads.end(), [](int64_t pad) { return pad == 0; });
}

TensorId Append(Graph& graph, const Node& like, std::vector<TensorId> inputs) {
  return graph.AddNode(like.op->name, std::move(inputs), like.attrs, like.name).value().front();   // types as before
}

// pool(conv(x) + term) = conv(pool(x)) + term.
void PoolBefore(Graph& graph, NodeId id) {
  const Node pooling = graph.node(id);
  TensorId pooled = pooling.inputs[0];
  const Node* sum = ProducerIf(graph, pooled, "add");
  TensorId term;
  if (sum != nullptr && HasOneUse(graph, pooled) && TermsPass(pooling)) {
    const int constant = ConstantOperand(graph, *sum);
    if (constant < 0 || !IsPerChannel(graph, sum->inputs[static_cast<size_t>(constant)])) return;
    term = sum->inputs[static_cast<size_t>(constant)];
    pooled = sum->inputs[static_cast<size_t>(1 - constant)];
  }
  const Node* producer = ProducerIf(graph, pooled, "conv2d");
  if (producer == nullptr || !HasOneUse(graph, pooled) || !IsPixelwise(graph, *producer)) return;
  const Node convolution = *producer;
  if (!PoolsFirst(graph, convolution, pooling, convolution.inputs[0])) return;
  const TensorId small = Append(graph, pooling, {convolution.inputs[0]});
  TensorId result = Append(graph, convolution, {small, convolution.inputs[1]});
  if (term.index >= 0) result = graph.AddNode("add", {result, term}, {}, pooling.name + ".term").value().front();
  graph.ReplaceUses(pooling.outputs[0], result);
}

// conv(pool(x)) = pool(conv(x)).
void PoolBehind(Graph& graph, NodeId id) {
  const Node convolution = graph.node(id);
  const Node* producer = ProducerIf(graph, convolution.inputs[0], "average_pool2d");
  if (producer == nullptr || !HasOneUse(graph, convolution.inputs[0]) || !IsPixelwise(graph, convolution))
    return;
  const Node pooling = *producer;
  if (PoolsFirst(graph, convolution, pooling, pooling.inputs[0])) return;
  const TensorId large = Append(graph, convolution, {pooling.inputs[0], convolution.inputs[1]});
  graph.ReplaceUses(convolution.outputs[0], Append(graph, pooling, {large}));
}

}  // namespace

absl::Status MovePooling(Graph& graph, const PassOptions&) {
  const int nodes = graph.node_count();
  for (int i = 0; i < nodes; ++i) {
    const std::string_view op = graph.node({i}).op->name;
    if ((op != "average_pool2d" && op != "conv2d") || IsGraphOutput(graph, graph.node({i}).outputs[0]) ||
        Count(graph, graph.node({i}).outputs[0]) == 0) {
      continue;
    }
    if (op == "conv2d") {
      PoolBehind(graph, {i});
    } else {
      PoolBefore(graph, {i});
    }
  }
  return absl::OkStatus();
}

}  // namespace hone
