// A transposed convolution whose windows do not overlap computes each output pixel from one input pixel: a pointwise
// convolution to all pixels of a window as channels, then depth_to_space. Groups of channels are padded (by zero weights)
// to whole blocks of the layout, so that the copy moves whole vectors.
#include <algorithm>

#include "compiler/graph_passes/graph_matching.h"
#include "compiler/graph_passes/pass_table.h"

namespace hone {
namespace {

bool AllAre(const Node& node, std::string_view attr, int64_t wanted) {
  const std::vector<int64_t> values = IntsAttr(node.attrs, attr);
  return std::all_of(values.begin(), values.end(), [&](int64_t value) { return value == wanted; });
}

// The side of the windows that tile the output; 0: they do not.
int64_t TilingWindow(const Graph& graph, const Node& node) {
  const std::optional<std::vector<int64_t>> kernel = ConstantShape(graph.tensor(node.inputs[1]).type.shape);
  if (!kernel || (*kernel)[2] != (*kernel)[3] || IntsAttr(node.attrs, "strides").empty()) return 0;
  const bool plain = IntAttr(node.attrs, "group", 1) == 1 && AllAre(node, "strides", (*kernel)[2]) &&
                     AllAre(node, "pads", 0) && AllAre(node, "dilations", 1) && AllAre(node, "output_padding", 0);
  return plain ? (*kernel)[2] : 0;
}

// Channels of a group: those of the result as it will be stored.
int64_t PaddedChannels(int64_t channels, const Target& target) {
  const int64_t width = target.vector_width(), whole = (channels + width - 1) / width * width;
  return 4 * channels >= 3 * whole ? whole : channels;
}

// [in, out, window, window] as [window * window * group, in, 1, 1].
TensorId PointwiseWeights(Graph& graph, TensorId weights, const std::vector<float>& values, int64_t group) {
  const std::vector<int64_t> dims = *ConstantShape(graph.tensor(weights).type.shape);
  const int64_t in = dims[0], out = dims[1], places = dims[2] * dims[3];
  std::vector<float> result(static_cast<size_t>(places * group * in), 0.0f);
  for (int64_t i = 0; i < static_cast<int64_t>(values.size()); ++i) {
    const int64_t place = i % places, channel = i / places % out, source = i / places / out;
    result[static_cast<size_t>((place * group + channel) * in + source)] = values[static_cast<size_t>(i)];
  }
  return AddFloats(graph, graph.tensor(weights).name + ".pointwise", {places * group, in, 1, 1}, result);
}

}  // namespace

absl::Status SplitConvTranspose(Graph& graph, const PassOptions& options) {
  const int nodes = graph.node_count();
  for (int i = 0; i < nodes; ++i) {
    const Node node = graph.node({i});
    if (node.op->name != "conv_transpose2d" || IsGraphOutput(graph, node.outputs[0])) continue;
    const std::optional<std::vector<float>> weights = Floats(graph, node.inputs[1]);
    const int64_t window = TilingWindow(graph, node);
    if (!weights || window < 2) continue;
    const int64_t channels = graph.tensor(node.inputs[1]).type.shape[1].Constant();
    const TensorId pointwise =
        PointwiseWeights(graph, node.inputs[1], *weights, PaddedChannels(channels, options.target));
    const AttrMap ones = {{"strides", std::vector<DimExpr>{1, 1}}, {"pads", std::vector<DimExpr>{0, 0, 0, 0}}};
    absl::StatusOr<std::vector<TensorId>> deep =
        graph.AddNode("conv2d", {node.inputs[0], pointwise}, ones, node.name);
    if (!deep.ok()) return deep.status();
    absl::StatusOr<std::vector<TensorId>> spread = graph.AddNode(
        "depth_to_space", {deep->front()}, {{"block", window}, {"channels", channels}}, node.name + ".space");
    if (!spread.ok()) return spread.status();
    graph.ReplaceUses(node.outputs[0], spread->front());
  }
  return absl::OkStatus();
}

}  // namespace hone
