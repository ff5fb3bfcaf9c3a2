// reshape, transpose, reshape that take groups of channels in turn become one operator, which layouts spread through and
// which fuses with concatenations before and slices behind it.
#include "compiler/graph_passes/graph_matching.h"
#include "compiler/graph_passes/pass_table.h"

namespace hone {
namespace {

// The tensor whose channels `last`, a reshape, takes in turn, and the number of groups.
std::optional<std::pair<TensorId, int64_t>> Shuffled(const Graph& graph, const Node& last) {
  const Node* transpose = ProducerIf(graph, last.inputs[0], "transpose");
  const Node* first = transpose == nullptr ? nullptr : ProducerIf(graph, transpose->inputs[0], "reshape");
  if (first == nullptr) return std::nullopt;
  const std::vector<DimExpr>& shape = graph.tensor(last.outputs[0]).type.shape;
  const std::vector<DimExpr>& groups = graph.tensor(first->outputs[0]).type.shape;
  if (shape.size() != 4 || groups.size() < 4 || !(graph.tensor(first->inputs[0]).type.shape == shape)) return std::nullopt;
  const std::vector<int64_t> perm = IntsAttr(transpose->attrs, "perm");
  for (size_t d = 0; d < perm.size(); ++d) {
    const size_t expected = d == 1 ? 2 : d == 2 ? 1 : d;
    if (perm[d] != static_cast<int64_t>(expected)) return std::nullopt;
  }
  if (!(groups[0] == shape[0]) || !(groups[1] * groups[2] == shape[1]) || !groups[1].IsConstant()) return std::nullopt;
  return std::pair(first->inputs[0], groups[1].Constant());
}

}  // namespace

absl::Status RecogniseChannelShuffle(Graph& graph, const PassOptions&) {
  for (int i = 0; i < graph.node_count(); ++i) {
    if (graph.node({i}).op->name != "reshape") continue;
    const auto shuffled = Shuffled(graph, graph.node({i}));
    if (!shuffled) continue;
    graph.node({i}).op = FindOp("channel_shuffle");
    graph.node({i}).attrs = {{"groups", shuffled->second}};
    graph.node({i}).inputs = {shuffled->first};
  }
  return absl::OkStatus();
}

}  // namespace hone
