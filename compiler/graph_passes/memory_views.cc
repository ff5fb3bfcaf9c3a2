#include "compiler/graph_passes/memory_views.h"

#include <algorithm>
#include <optional>

#include "compiler/graph_passes/graph_matching.h"

namespace hone {
namespace {

constexpr int64_t kAlignment = 64;   // of every buffer

// The bytes at which [begin, begin + extent of the part) of `dim` lies in `whole`, if it lies there as `part` would.
std::optional<int64_t> ByteOffset(const Tensor& whole, const Tensor& part, int dim, int64_t begin) {
  const DimExpr& extent = part.type.shape[dim];
  if (!(whole.layout == part.layout) || whole.type.dtype != part.type.dtype || !extent.IsConstant()) return std::nullopt;
  const std::optional<int64_t> offset = whole.layout.OffsetOfPart(whole.type.shape, dim, begin, extent.Constant());
  if (!offset || *offset * DTypeBytes(whole.type.dtype) % kAlignment != 0) return std::nullopt;
  return *offset * DTypeBytes(whole.type.dtype);
}

}  // namespace

MemoryViews::MemoryViews(const Graph& graph)
    : graph_(graph),
      is_view_(static_cast<size_t>(graph.node_count())),
      placed_(static_cast<size_t>(graph.tensor_count())),
      copies_(static_cast<size_t>(graph.node_count())) {
  FindReshapes();
  for (int i = 0; i < graph.node_count(); ++i) {
    if (graph.node({i}).op->name == "slice") FindSlice(i);
  }
  for (int i = 0; i < graph.node_count(); ++i) {
    if (graph.node({i}).op->name == "concat") FindConcat(i);
  }
}

void MemoryViews::FindReshapes() {
  for (int i = 0; i < graph_.tensor_count(); ++i) root_.push_back({i});
  for (int i = 0; i < graph_.node_count(); ++i) {
    const Node& node = graph_.node({i});
    if (node.op->op_class != OpClass::kView || !graph_.tensor(node.inputs[0]).layout.IsPlain() ||
        !graph_.tensor(node.outputs[0]).layout.IsPlain()) {
      continue;
    }
    is_view_[i] = true;
    aliases_.push_back({node.outputs[0], node.inputs[0]});
    root_[node.outputs[0].index] = Root(node.inputs[0]);
  }
  interface_.assign(root_.size(), false);
  const auto mark = [&](TensorId id) { interface_[Root(id).index] = true; };
  for (const auto* ids : {&graph_.inputs(), &graph_.outputs()}) std::for_each(ids->begin(), ids->end(), mark);
  for (int i = 0; i < graph_.tensor_count(); ++i) {
    if (graph_.tensor({i}).constant != nullptr) mark({i});
  }
}

TensorId MemoryViews::Root(TensorId id) const { return root_[id.index]; }
bool MemoryViews::IsShared(TensorId id) const { return interface_[Root(id).index]; }

void MemoryViews::FindSlice(int node) {
  const TensorId from = graph_.node({node}).inputs[0], to = graph_.node({node}).outputs[0];
  const std::optional<int> dim = CutDimension(graph_, graph_.node({node}));
  if (!dim || IsShared(from) || IsShared(to)) return;
  const DimExpr begin = DimsAttr(graph_.node({node}).attrs, "starts")[*dim];
  if (!begin.IsConstant()) return;
  const auto offset = ByteOffset(graph_.tensor(from), graph_.tensor(to), *dim, begin.Constant());
  if (!offset) return;
  is_view_[node] = true;
  aliases_.push_back({to, from, *offset});
}

void MemoryViews::FindConcat(int node) {
  const Node& concat = graph_.node({node});
  const Tensor& result = graph_.tensor(concat.outputs[0]);
  const int64_t axis = IntAttr(concat.attrs, "axis", 0), rank = result.type.rank();
  const int dim = static_cast<int>(axis < 0 ? axis + rank : axis);
  if (IsShared(concat.outputs[0])) return;
  std::vector<ViewAlias> parts;
  std::vector<size_t> copies;
  int64_t begin = 0;
  for (const TensorId part : concat.inputs) {
    const auto offset = ByteOffset(result, graph_.tensor(part), dim, begin);
    const int producer = graph_.tensor(part).producer.index;
    if (!offset || graph_.tensor(part).constant != nullptr) return;
    const bool repeated = std::any_of(parts.begin(), parts.end(), [&](const ViewAlias& p) { return p.view == part; });
    if (producer < 0 || IsShared(part) || placed_[part.index] || repeated ||
        (is_view_[producer] && graph_.node({producer}).op->name != "concat")) {
      copies.push_back(parts.size());
    }
    parts.push_back({part, concat.outputs[0], *offset});
    begin += graph_.tensor(part).type.shape[dim].Constant();
  }
  if (copies.size() == parts.size()) return;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (std::find(copies.begin(), copies.end(), i) == copies.end()) placed_[parts[i].view.index] = true;
  }
  copies_[node] = std::move(copies);
  if (!copies_[node].empty()) return;
  is_view_[node] = true;
  aliases_.insert(aliases_.end(), parts.begin(), parts.end());
}

}  // namespace hone
