// Factors per channel that are only known at run time, such as squeeze-and-excite's (Hu et al., 2018), go
// into the weights of the convolution that reads their product, where these are much fewer numbers than the
// image:
//   conv(x * s, w) = conv(x, w * s), s being of shape [1, c, 1, 1]
#include <algorithm>

#include "compiler/graph_passes/graph_matching.h"
#include "compiler/graph_passes/pass_table.h"

namespace hone {
namespace {

constexpr int64_t kWeightCost = 4;  // of a weight scaled, then packed at each run, in pixels scaled

int64_t Count(const Graph& graph, TensorId id) {
  return Product(graph.tensor(id).type.shape).AsConstant().value_or(0);
}

bool IsPerChannel(const Graph& graph, TensorId factor, TensorId image) {
  const std::vector<DimExpr>&dims = graph.tensor(factor).type.shape, &of = graph.tensor(image).type.shape;
  return graph.tensor(factor).constant == nullptr && dims.size() == 4 && dims[0] == DimExpr(1) &&
         dims[1] == of[1] && dims[2] == DimExpr(1) && dims[3] == DimExpr(1);
}

void ScaleWeightsOf(Graph& graph, NodeId id) {
  const Node convolution = graph.node(id);
  const TensorId scaled = convolution.inputs[0], weights = convolution.inputs[1];
  const Node* product = ProducerIf(graph, scaled, "mul");
  if (product == nullptr || !HasOneUse(graph, scaled) || graph.tensor(weights).constant == nullptr ||
      !(graph.tensor(weights).type.shape[1] == graph.tensor(scaled).type.shape[1])) {  // in groups
    return;
  }
  for (const size_t which : {0, 1}) {
    const TensorId factor = product->inputs[which], image = product->inputs[1 - which];
    if (!IsPerChannel(graph, factor, scaled) || !(graph.tensor(image).type == graph.tensor(scaled).type) ||
        Count(graph, image) <= kWeightCost * Count(graph, weights)) {
      continue;
    }
    const std::string name = product->name;  // adding nodes moves them
    const TensorId own = graph.AddNode("mul", {weights, factor}, {}, name + ".weights").value().front();
    const TensorId result =
        graph.AddNode(convolution.op->name, {image, own}, convolution.attrs, convolution.name)
            .value()
            .front();
    graph.ReplaceUses(convolution.outputs[0], result);
    return;
  }
}

}  // namespace

absl::Status ScaleWeights(Graph& graph, const PassOptions&) {
  const int nodes = graph.node_count();
  for (int i = 0; i < nodes; ++i) {
    const Node& node = graph.node({i});
    if (node.op->name == "conv2d" && !IsGraphOutput(graph, node.outputs[0])) ScaleWeightsOf(graph, {i});
  }
  return absl::OkStatus();
}

}  // namespace hone
