// Concatenations become views of memory (memory_views.h) wherever layouts allow. First, neighbouring slices that make up a
// tensor are replaced by it, and parts that another concatenation joins already by its result: networks that concatenate
// everything so far, again and again, then keep it in one growing tensor. Then parts that cannot lie in the result (of the model's interface, or in another result) are
// copied there, so that the others can.
#include <algorithm>

#include "compiler/graph_passes/graph_matching.h"
#include "compiler/graph_passes/memory_views.h"
#include "compiler/graph_passes/pass_table.h"

namespace hone {
namespace {

// The number of parts from `first` on that are neighbouring slices along `axis` and make up `whole`; 0: they do not.
size_t SlicesOf(const Graph& graph, TensorId whole, const std::vector<TensorId>& parts, size_t first, size_t axis) {
  DimExpr end(0);
  for (size_t i = first; i < parts.size(); ++i) {
    const Node* slice = ProducerIf(graph, parts[i], "slice");
    if (slice == nullptr || slice->inputs[0] != whole || CutDimension(graph, *slice) != static_cast<int>(axis) ||
        !(DimsAttr(slice->attrs, "starts")[axis] == end)) {
      return 0;
    }
    end = end + graph.tensor(parts[i]).type.shape[axis];
    if (end == graph.tensor(whole).type.shape[axis]) return i + 1 - first;
  }
  return 0;
}

void JoinSlices(Graph& graph, NodeId concat) {
  std::vector<TensorId>& parts = graph.node(concat).inputs;
  const Tensor& result = graph.tensor(graph.node(concat).outputs[0]);
  const int64_t axis = IntAttr(graph.node(concat).attrs, "axis", 0), rank = result.type.rank();
  for (size_t i = 0; i < parts.size(); ++i) {
    const Node* slice = ProducerIf(graph, parts[i], "slice");
    if (slice == nullptr || !(graph.tensor(slice->inputs[0]).layout == result.layout)) continue;
    const TensorId whole = slice->inputs[0];
    const size_t slices = SlicesOf(graph, whole, parts, i, static_cast<size_t>(axis < 0 ? axis + rank : axis));
    if (slices == 0) continue;
    parts.erase(parts.begin() + static_cast<ptrdiff_t>(i) + 1, parts.begin() + static_cast<ptrdiff_t>(i + slices));
    parts[i] = whole;
  }
}

// Replaces a run of `concat`'s parts that are those of `earlier`.
bool ReadResultOf(Graph& graph, const Node& earlier, NodeId concat) {
  std::vector<TensorId>& parts = graph.node(concat).inputs;
  const auto run = std::search(parts.begin(), parts.end(), earlier.inputs.begin(), earlier.inputs.end());
  const bool same_axis = IntAttr(earlier.attrs, "axis", 0) == IntAttr(graph.node(concat).attrs, "axis", 0);
  if (run == parts.end() || !same_axis || earlier.inputs.size() < 2 || earlier.inputs.size() == parts.size()) return false;
  const Tensor& joined = graph.tensor(earlier.outputs[0]);
  if (!(joined.layout == graph.tensor(graph.node(concat).outputs[0]).layout)) return false;
  const auto rest = parts.erase(run + 1, run + static_cast<ptrdiff_t>(earlier.inputs.size()));
  *(rest - 1) = earlier.outputs[0];
  return true;
}

void Nest(Graph& graph) {
  std::vector<int> concats;
  for (int i = 0; i < graph.node_count(); ++i) {
    if (graph.node({i}).op->name != "concat") continue;
    JoinSlices(graph, {i});
    // The earliest first: later ones read their results by now.
    for (const int earlier : concats) ReadResultOf(graph, graph.node({earlier}), {i});
    concats.push_back(i);
  }
}

}  // namespace

absl::Status PlaceConcats(Graph& graph, const PassOptions&) {
  Nest(graph);
  const MemoryViews views(graph);
  const int nodes = graph.node_count();
  for (int i = 0; i < nodes; ++i) {
    for (const size_t position : views.PartsToCopy(i)) {
      const TensorId part = graph.node({i}).inputs[position];
      absl::StatusOr<std::vector<TensorId>> copy =
          graph.AddNode("identity", {part}, {}, graph.tensor(part).name + ".part");
      if (!copy.ok()) return copy.status();
      graph.tensor(copy->front()).layout = graph.tensor(part).layout;
      graph.node({i}).inputs[position] = copy->front();
    }
  }
  return absl::OkStatus();
}

}  // namespace hone
