// Images [n, c, h, w] around convolutions and pooling are stored in blocks of channels of a vector's width (the last one
// may be padded); all else stays plain. A tensor's layout follows from its shape and company
// alone, so operands of elementwise operators agree. Conversions are `identity` nodes between tensors of
// different layouts, inserted where a blocked tensor meets what reads row-major bytes: views, rows, the
// model's interface.
#include <algorithm>

#include "compiler/graph_passes/graph_matching.h"
#include "compiler/graph_passes/pass_table.h"

namespace hone {
namespace {

constexpr int kChannelDim = 1;

class LayoutAssignment {
 public:
  LayoutAssignment(Graph& graph, const Target& target) : graph_(graph), target_(target) {}

  absl::Status Run() {
    FindImages();
    const int count = graph_.tensor_count();
    for (int i = 0; i < count; ++i) {
      if (images_[i]) {
        if (absl::Status status = Assign({i}); !status.ok()) return status;
      }
    }
    return absl::OkStatus();
  }

 private:
  const Tensor& tensor(TensorId id) const { return graph_.tensor(id); }

  // Operators that slide over or resample an image.
  static bool IsImageOp(const Node& node) {
    return node.attrs.contains("strides") || node.attrs.contains("coordinates");
  }
  bool CanBeImage(TensorId id) const {
    return tensor(id).type.rank() == 4 && tensor(id).type.dtype == DType::kF32 &&
           tensor(id).constant == nullptr;
  }
  bool IsChannelConcat(const Node& node) const {
    return node.op->op_class == OpClass::kData && node.inputs.size() > 1 &&
           IntAttr(node.attrs, "axis", -1) == kChannelDim &&
           tensor(node.inputs[0]).type.dtype == tensor(node.inputs[1]).type.dtype;
  }
  // Padding, slices and the like: results of the same rank.
  static bool MovesWithinImage(const Node& node) {
    return node.op->op_class == OpClass::kData &&
           (node.attrs.contains("pads") || node.attrs.contains("starts") || node.attrs.contains("groups") ||
            node.attrs.contains("block"));
  }
  static bool ReducesImage(const Node& node) {
    const std::vector<int64_t> axes = IntsAttr(node.attrs, "axes");
    return node.op->op_class == OpClass::kRow && axes == std::vector<int64_t>{2, 3};
  }

  bool Mark(TensorId id) {
    if (images_[id.index] || !CanBeImage(id)) return false;
    images_[id.index] = true;
    return true;
  }

  // Images spread through elementwise operators, concatenation of channels and what moves pixels or channels.
  bool Spread(const Node& node) {
    std::vector<TensorId> linked;
    if (node.op->op_class == OpClass::kElementwise) {
      for (const TensorId id : node.inputs) {
        if (tensor(id).type.shape == tensor(node.outputs[0]).type.shape) linked.push_back(id);
      }
    } else if (IsChannelConcat(node) || MovesWithinImage(node)) {
      linked = node.inputs;
    } else {
      return false;
    }
    linked.push_back(node.outputs[0]);
    const bool any =
        std::any_of(linked.begin(), linked.end(), [&](TensorId id) { return images_[id.index]; });
    bool changed = false;
    for (const TensorId id : linked) changed = (any && Mark(id)) || changed;
    return changed;
  }

  void FindImages() {
    images_.assign(static_cast<size_t>(graph_.tensor_count()), false);
    for (int i = 0; i < graph_.node_count(); ++i) {
      const Node& node = graph_.node({i});
      if (!IsImageOp(node)) continue;
      Mark(node.inputs[0]);
      Mark(node.outputs[0]);
    }
    for (bool changed = true; changed;) {
      changed = false;
      for (int i = 0; i < graph_.node_count(); ++i) changed = Spread(graph_.node({i})) || changed;
      for (int i = graph_.node_count() - 1; i >= 0; --i) changed = Spread(graph_.node({i})) || changed;
    }
  }

  // The widest vector whose blocks the channels fill by three quarters, else a narrower one that divides them. One pixel has
  // the same bytes in either layout: it stays plain.
  int64_t BlockOf(TensorId id) const {
    const std::vector<DimExpr>& shape = tensor(id).type.shape;
    if (!shape[kChannelDim].IsConstant() || (shape[2] == DimExpr(1) && shape[3] == DimExpr(1))) return 0;
    const int64_t channels = shape[kChannelDim].Constant(), widest = target_.vector_width();
    if (4 * channels >= 3 * ((channels + widest - 1) / widest * widest)) return widest;
    for (const int width : target_.row->vector_widths) {
      if (channels % width == 0) return width;
    }
    return 0;
  }

  bool ReadsBlocked(const Node& node) const {
    switch (node.op->op_class) {
      case OpClass::kElementwise:
      case OpClass::kWindow:
      case OpClass::kData:
        return true;
      case OpClass::kContraction:
        return IsImageOp(node);
      case OpClass::kRow:
        return ReducesImage(node);
      case OpClass::kView:
        return false;
    }
    return false;
  }

  absl::StatusOr<TensorId> Convert(TensorId from, const Layout& layout) {
    absl::StatusOr<std::vector<TensorId>> copy =
        graph_.AddNode("identity", {from}, {}, tensor(from).name + ".layout");
    if (!copy.ok()) return copy.status();
    graph_.tensor(copy->front()).layout = layout;
    return copy->front();
  }

  // Redirects the uses of `id` by nodes that read blocked tensors (or by the others, and outputs of the
  // graph).
  void Redirect(TensorId id, TensorId to, bool blocked, int nodes) {
    for (int i = 0; i < nodes; ++i) {
      if (ReadsBlocked(graph_.node({i})) == blocked) {
        std::replace(graph_.node({i}).inputs.begin(), graph_.node({i}).inputs.end(), id, to);
      }
    }
    if (blocked) return;
    std::vector<TensorId> outputs = graph_.outputs();
    std::replace(outputs.begin(), outputs.end(), id, to);
    graph_.SetOutputs(std::move(outputs));
  }

  absl::Status Assign(TensorId id) {
    const int64_t block = BlockOf(id);
    if (block == 0) return absl::OkStatus();
    const Layout blocked = Layout::Blocked(4, kChannelDim, block);
    const int nodes = graph_.node_count();
    bool wanted = false, plain_wanted = IsGraphOutput(graph_, id);
    for (const NodeId user : graph_.UsersOf(id))
      (ReadsBlocked(graph_.node(user)) ? wanted : plain_wanted) = true;
    const NodeId producer = tensor(id).producer;
    if (producer.index < 0 || graph_.node(producer).op->op_class == OpClass::kView) {
      if (!wanted) return absl::OkStatus();
      absl::StatusOr<TensorId> copy = Convert(id, blocked);
      if (!copy.ok()) return copy.status();
      Redirect(id, *copy, true, nodes);
      return absl::OkStatus();
    }
    graph_.tensor(id).layout = blocked;
    if (!plain_wanted) return absl::OkStatus();
    absl::StatusOr<TensorId> copy = Convert(id, Layout::Plain(4));
    if (!copy.ok()) return copy.status();
    Redirect(id, *copy, false, nodes);
    if (IsGraphOutput(graph_, *copy)) std::swap(graph_.tensor(id).name, graph_.tensor(*copy).name);
    return absl::OkStatus();
  }

  Graph& graph_;
  const Target& target_;
  std::vector<bool> images_;  // by tensor
};

}  // namespace

absl::Status AssignLayouts(Graph& graph, const Target& target) {
  return LayoutAssignment(graph, target).Run();
}

}  // namespace hone
