// Taps of a convolution that read nothing but padding add nothing: their weights go. So a window that is
// dilated beyond its image shrinks to the taps that reach it (DeepLab's pyramids on small images), and one on
// a single pixel to its centre (the last heads of detectors).
#include <algorithm>

#include "compiler/graph_passes/graph_matching.h"
#include "compiler/graph_passes/pass_table.h"

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

std::vector<float> Cut(const std::vector<float>& weights, const Side (&from)[2], const Side (&to)[2],
                       const int64_t (&first)[2]) {
  std::vector<float> cut;
  const int64_t kernel = from[0].taps * from[1].taps;
  for (int64_t at = 0; at < static_cast<int64_t>(weights.size()); at += kernel) {
    for (int64_t row = first[0]; row < first[0] + to[0].taps; ++row) {
      const auto begin = weights.begin() + at + row * from[1].taps + first[1];
      cut.insert(cut.end(), begin, begin + to[1].taps);
    }
  }
  return cut;
}

void DropPaddedTapsOf(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  const auto input = ConstantShape(graph.tensor(node.inputs[0]).type.shape);
  const auto output = ConstantShape(graph.tensor(node.outputs[0]).type.shape);
  const std::optional<std::vector<float>> weights = Floats(graph, node.inputs[1]);
  const std::vector<int64_t> pads = IntsAttr(node.attrs, "pads");
  if (!input || !output || !weights || pads.empty()) return;
  std::vector<int64_t> dims = *ConstantShape(graph.tensor(node.inputs[1]).type.shape);
  const auto either = [&](const char* attr, size_t d) {
    const std::vector<int64_t> values = IntsAttr(node.attrs, attr);
    return values.empty() ? 1 : values[d];
  };
  Side from[2], to[2];
  int64_t first[2];
  for (size_t d = 0; d < 2; ++d) {
    from[d] = {(*input)[2 + d],        (*output)[2 + d], dims[2 + d], either("strides", d),
               either("dilations", d), pads[d],          pads[2 + d]};
    to[d] = WithoutPaddedTaps(from[d], &first[d]);
    dims[2 + d] = to[d].taps;
  }
  if (to[0].taps == from[0].taps && to[1].taps == from[1].taps) return;
  graph.node(id).attrs["pads"] = std::vector<DimExpr>{to[0].before, to[1].before, to[0].after, to[1].after};
  const std::string name = graph.tensor(node.inputs[1]).name + ".taps";
  const TensorId less = AddFloats(graph, name, std::move(dims), Cut(*weights, from, to, first));
  graph.node(id).inputs[1] = less;
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
