#include <algorithm>

#include "compiler/graph_passes/graph_matching.h"
#include "compiler/graph_passes/pass_table.h"
#include "compiler/ops/window_geometry.h"
#include "compiler/task/evaluate.h"

namespace hone {
namespace {

constexpr int kMaxRounds = 8;
constexpr size_t kMaxMergedBytes = size_t{1} << 20;

// Each rule looks at one node and may rewrite it; true if it did. Nodes are appended at the end of the graph:
// order is restored by Compact().
using Rule = bool (*)(Graph& graph, NodeId id);

bool ReplaceBy(Graph& graph, NodeId id, TensorId value) {
  const TensorId output = graph.node(id).outputs[0];
  if (IsGraphOutput(graph, output)) return false;  // outputs keep their names and nodes
  graph.ReplaceUses(output, value);
  return true;
}

// x + 0, x - 0, x * 1, x / 1, identity.
bool DropNeutral(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  const std::string_view op = node.op->name;
  if (op == "identity") return ReplaceBy(graph, id, node.inputs[0]);
  const bool sum = op == "add" || op == "sub", product = op == "mul" || op == "div";
  const int constant = ConstantOperand(graph, node);
  if ((!sum && !product) || constant < 0 || (constant == 0 && (op == "sub" || op == "div"))) return false;
  const TensorId value = node.inputs[static_cast<size_t>(1 - constant)];
  const std::optional<float> splat = SplatFloat(graph, node.inputs[static_cast<size_t>(constant)]);
  if (!splat || *splat != (sum ? 0.0f : 1.0f) ||
      !(graph.tensor(value).type == graph.tensor(node.outputs[0]).type))
    return false;
  return ReplaceBy(graph, id, value);
}

// (x * a) * b = x * (a * b) and the same for sums.
bool MergeConstants(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  const std::string_view op = node.op->name;
  const int outer = ConstantOperand(graph, node);
  if ((op != "add" && op != "mul") || outer < 0) return false;
  const TensorId between = node.inputs[static_cast<size_t>(1 - outer)];
  const Node* inner = ProducerIf(graph, between, op);
  const int constant = inner == nullptr ? -1 : ConstantOperand(graph, *inner);
  if (constant < 0 || !HasOneUse(graph, between)) return false;
  const TensorId a = inner->inputs[static_cast<size_t>(constant)],
                 b = node.inputs[static_cast<size_t>(outer)];
  const TensorId x = inner->inputs[static_cast<size_t>(1 - constant)];
  if (ConstantOf(graph, a)->size + ConstantOf(graph, b)->size > kMaxMergedBytes) return false;
  const HostTensor operands[] = {HostTensorOf(*ConstantOf(graph, a)), HostTensorOf(*ConstantOf(graph, b))};
  absl::StatusOr<std::vector<HostTensor>> merged = EvaluateNode(op, {}, operands);
  if (!merged.ok()) return false;
  const TensorId value = graph.AddConstant(node.name + ".c", ConstantOf(std::move(merged->front())));
  graph.node(id).inputs = {x, value};
  return true;
}

// A reshape of a reshape is one; a reshape to the same shape is none.
bool CancelReshape(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  if (node.op->name != "reshape") return false;
  if (graph.tensor(node.inputs[0]).type == graph.tensor(node.outputs[0]).type)
    return ReplaceBy(graph, id, node.inputs[0]);
  const Node* inner = ProducerIf(graph, node.inputs[0], "reshape");
  if (inner == nullptr) return false;
  const TensorId source = inner->inputs[0];
  graph.node(id).inputs[0] = source;
  return true;
}

bool BecomeReshape(Graph& graph, NodeId id) {
  const std::vector<DimExpr> shape = graph.tensor(graph.node(id).outputs[0]).type.shape;
  graph.node(id).op = FindOp("reshape");
  graph.node(id).attrs = {{"shape", shape}};
  return true;
}

// Two transposes are one; one that moves only dimensions of one is a reshape.
bool CancelTranspose(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  if (node.op->name != "transpose") return false;
  const std::vector<int64_t> perm = IntsAttr(node.attrs, "perm");
  const std::vector<DimExpr>& shape = graph.tensor(node.inputs[0]).type.shape;
  std::vector<int64_t> moving;
  for (const int64_t axis : perm) {
    if (!(shape[axis] == DimExpr(1))) moving.push_back(axis);
  }
  if (std::is_sorted(moving.begin(), moving.end())) return BecomeReshape(graph, id);
  const Node* inner = ProducerIf(graph, node.inputs[0], "transpose");
  if (inner == nullptr) return false;
  const std::vector<int64_t> first = IntsAttr(inner->attrs, "perm");
  const TensorId source = inner->inputs[0];
  std::vector<DimExpr> both;
  for (const int64_t axis : perm) both.emplace_back(first[axis]);
  graph.node(id).inputs[0] = source;
  graph.node(id).attrs["perm"] = both;
  return true;
}

// How consecutive dimensions of `from` join to those of `to` (a flattening reshape): groups of `from`'s
// dimensions.
std::optional<std::vector<std::vector<int64_t>>> JoinedDims(const std::vector<DimExpr>& from,
                                                            const std::vector<DimExpr>& to) {
  std::vector<std::vector<int64_t>> groups;
  size_t next = 0;
  for (const DimExpr& dim : to) {
    std::vector<int64_t> group;
    DimExpr product(1);
    do {
      if (next >= from.size()) return std::nullopt;
      group.push_back(static_cast<int64_t>(next));
      product = product * from[next++];
    } while (!(product == dim));
    groups.push_back(std::move(group));
  }
  for (; next < from.size(); ++next) {
    if (!(from[next] == DimExpr(1)) || groups.empty()) return std::nullopt;
    groups.back().push_back(static_cast<int64_t>(next));
  }
  return groups;
}

// transpose(flatten(image)) = flatten(transpose(image)): the transposition then reads the image in whatever
// layout it has.
bool TransposeBeforeFlatten(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  if (node.op->name != "transpose") return false;
  const Node* reshape = ProducerIf(graph, node.inputs[0], "reshape");
  if (reshape == nullptr || !HasOneUse(graph, node.inputs[0])) return false;
  const TensorId x = reshape->inputs[0];
  const std::vector<DimExpr> from = graph.tensor(x).type.shape;
  const auto groups = JoinedDims(from, graph.tensor(node.inputs[0]).type.shape);
  if (!groups || from.size() != 4 || groups->size() >= 4) return false;
  std::vector<DimExpr> perm;
  for (const int64_t axis : IntsAttr(node.attrs, "perm")) {
    for (const int64_t dim : (*groups)[axis]) perm.emplace_back(dim);
  }
  absl::StatusOr<std::vector<TensorId>> moved = graph.AddNode("transpose", {x}, {{"perm", perm}}, node.name);
  if (!moved.ok()) return false;
  graph.node(id).inputs = {moved->front()};
  return BecomeReshape(graph, id);
}

// matmul reads an operand whose last two dimensions are exchanged as it is: a transposition that ends by
// exchanging them loses that part, and all of it if nothing else moves.
bool TransposeInMatmul(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  if (node.op->name != "matmul") return false;
  for (const size_t side : {size_t{0}, size_t{1}}) {
    const Node* transpose = ProducerIf(graph, node.inputs[side], "transpose");
    if (transpose == nullptr) continue;
    std::vector<int64_t> perm = IntsAttr(transpose->attrs, "perm");
    const size_t last = perm.size() - 1;
    if (perm[last - 1] < perm[last]) continue;
    std::swap(perm[last - 1], perm[last]);
    TensorId operand = transpose->inputs[0];
    if (!std::is_sorted(perm.begin(), perm.end())) {
      const AttrMap attrs = {{"perm", std::vector<DimExpr>(perm.begin(), perm.end())}};
      absl::StatusOr<std::vector<TensorId>> moved =
          graph.AddNode("transpose", {operand}, attrs, transpose->name);
      if (!moved.ok()) return false;
      operand = moved->front();
    }
    const char* name = side == 0 ? "transpose_a" : "transpose_b";
    graph.node(id).inputs[side] = operand;
    graph.node(id).attrs[name] = int64_t{IntAttr(node.attrs, name) == 0};
    return true;
  }
  return false;
}

// A convolution pads by itself: zeros before it go into its attributes (exports of TensorFlow's "SAME").
bool PadInConvolution(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  if (node.op->name != "conv2d" && node.op->name != "depthwise_conv2d") return false;
  const Node* pad = ProducerIf(graph, node.inputs[0], "pad");
  if (pad == nullptr || StringAttr(pad->attrs, "mode", "constant") != "constant" ||
      FloatAttr(pad->attrs, "value", 0) != 0) {
    return false;
  }
  const std::vector<int64_t> outside = IntsAttr(pad->attrs, "pads");  // before, then after, of n, c, h, w
  if (outside[0] != 0 || outside[1] != 0 || outside[4] != 0 || outside[5] != 0) return false;
  const std::vector<int64_t> added = {outside[2], outside[3], outside[6], outside[7]};
  std::vector<int64_t> pads = IntsAttr(node.attrs, "pads");
  pads.resize(4, 0);
  for (size_t i = 0; i < pads.size(); ++i) pads[i] += added[i];
  if (*std::max_element(pads.begin(), pads.end()) > WindowGeometry::kMost) return false;
  const TensorId source = pad->inputs[0];
  graph.node(id).inputs[0] = source;
  graph.node(id).attrs["pads"] = std::vector<DimExpr>(pads.begin(), pads.end());
  return true;
}

constexpr Rule kRules[] = {DropNeutral,      MergeConstants,         CancelReshape,    CancelTranspose,
                           PadInConvolution, TransposeBeforeFlatten, TransposeInMatmul};

}  // namespace

absl::Status SimplifyGraph(Graph& graph, const PassOptions&) {
  for (int round = 0; round < kMaxRounds; ++round) {
    bool changed = false;
    for (int i = 0; i < graph.node_count(); ++i) {
      for (const Rule rule : kRules) changed = rule(graph, {i}) || changed;
    }
    graph.Compact();
    if (!changed) break;
  }
  return absl::OkStatus();
}

}  // namespace hone
