// Taps of a convolution that read nothing but padding add nothing: their weights go. So a window that is
// dilated beyond its image shrinks to the taps that reach it (DeepLab's pyramids on small images), and one on
// a single pixel to its centre (the last heads of detectors).
#include <algorithm>

#include "compiler/graph_passes/graph_matching.h"
#include "compiler/graph_passes/pass_table.h"
#include "compiler/ops/window_geometry.h"

namespace hone {
namespace {

// One spatial dimension of a window.
struct Side {
  int64_t input, output, taps, stride, dilation, before, after;

  // Whether some output reads the image by this tap.
  bool Reaches(int64_t tap) const {
    const int64_t shift = tap * dilation - before;
    const int64_t first = shift >= 0 ? 0 : (-shift + stride - 1) / stride;
    return first < output && first * stride + shift < input;
  }
};

// Without the taps at either end that reach nothing; what is left of padding is never negative.
Side WithoutPaddedTaps(const Side& side, int64_t* first) {
  int64_t begin = 0, end = side.taps;
  while (begin + 1 < end && !side.Reaches(begin) && (begin + 1) * side.dilation <= side.before) ++begin;
  while (end - 1 > begin && !side.Reaches(end - 1)) --end;
  Side less = side;
  less.taps = end - begin;
  less.before -= begin * side.dilation;
  const int64_t read = (side.output - 1) * side.stride + (less.taps - 1) * side.dilation + 1;
  less.after = std::max<int64_t>(0, read - side.input - less.before);
  const bool same = (side.input + less.before + less.after - read) / side.stride == 0;
  *first = same ? begin : 0;
  return same ? less : side;
}

void DropPaddedTapsOf(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  const auto input = ConstantShape(graph.tensor(node.inputs[0]).type.shape);
  const auto output = ConstantShape(graph.tensor(node.outputs[0]).type.shape);
  const ConstantData* weights = ConstantOf(graph, node.inputs[1]);
  if (!input || !output || weights == nullptr) return;
  const std::vector<int64_t> dims = weights->dims;
  const WindowGeometry window = *WindowGeometry::Of(node.attrs, {dims[2], dims[3]});
  std::vector<int64_t> begin(4, 0), end = dims;
  std::vector<DimExpr> pads(4);
  for (size_t d = 0; d < 2; ++d) {
    const Side less = WithoutPaddedTaps({(*input)[2 + d], (*output)[2 + d], dims[2 + d], window.strides[d],
                                         window.dilations[d], window.before[d], window.after[d]},
                                        &begin[2 + d]);
    end[2 + d] = begin[2 + d] + less.taps;
    pads[d] = less.before;
    pads[2 + d] = less.after;
  }
  if (begin == std::vector<int64_t>(4, 0) && end == dims) return;
  const TensorId taps = SliceConstant(graph, node.inputs[1], begin, end);
  graph.node(id).inputs[1] = taps;
  graph.node(id).attrs["pads"] = pads;
}

}  // namespace

absl::Status DropPaddedTaps(Graph& graph, const PassOptions&) {
  for (int i = 0; i < graph.node_count(); ++i) {
    const std::string_view op = graph.node({i}).op->name;
    if (op == "conv2d" || op == "depthwise_conv2d") DropPaddedTapsOf(graph, {i});
  }
  return absl::OkStatus();
}

}  // namespace hone
