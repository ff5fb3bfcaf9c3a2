// Operators that work element by element change places with the concatenation before them,
//   f(concat(a, b)) = concat(f(a), f(b)),
// where windows and contractions make all its parts for it alone: factors per channel then go into their
// weights, terms and activations into their epilogues (convolutions of mixed sizes, whose normalisation
// follows their concatenation).
#include <algorithm>
#include <map>
#include <set>

#include "compiler/graph_passes/graph_matching.h"
#include "compiler/graph_passes/pass_table.h"

namespace hone {
namespace {

class MapMover {
 public:
  MapMover(Graph& graph, NodeId concat)
      : graph_(graph),
        concat_(graph.node(concat)),
        whole_(concat_.outputs[0]),
        shape_(graph.tensor(whole_).type.shape) {
    const int64_t axis = IntAttr(concat_.attrs, "axis", 0), rank = static_cast<int64_t>(shape_.size());
    axis_ = static_cast<size_t>(axis < 0 ? axis + rank : axis);
  }

  void Run() {
    if (!std::all_of(concat_.inputs.begin(), concat_.inputs.end(),
                     [&](TensorId part) { return HasEpilogue(part); }))
      return;
    CollectMaps();
    if (maps_.empty() || LeavesOthers()) return;
    std::map<TensorId, std::vector<TensorId>> parts = {{whole_, concat_.inputs}};
    for (const NodeId id : maps_) parts[ResultOf(id)] = Move(graph_.node(id), parts);
    const TensorId result = ResultOf(maps_.back());
    const std::string name = concat_.name + ".maps";
    graph_.ReplaceUses(result, graph_.AddNode("concat", parts[result], concat_.attrs, name).value().front());
  }

 private:
  bool HasEpilogue(TensorId part) const {
    const NodeId producer = graph_.tensor(part).producer;
    if (producer.index < 0 || !HasOneUse(graph_, part) || !Extent(part)) return false;
    const OpClass op_class = graph_.node(producer).op->op_class;
    return op_class == OpClass::kContraction || op_class == OpClass::kWindow;
  }
  std::optional<int64_t> Extent(TensorId part) const {
    return graph_.tensor(part).type.shape[axis_].AsConstant();
  }

  // The nodes that need nothing but the concatenation, constants and each other, up to the first that others
  // read.
  void CollectMaps() {
    std::set<TensorId> known = {whole_};
    for (int i = 0; i < graph_.node_count(); ++i) {
      const Node& node = graph_.node({i});
      if (node.op->op_class != OpClass::kElementwise || node.outputs.size() != 1) continue;
      if (!(graph_.tensor(node.outputs[0]).type.shape == shape_) || IsGraphOutput(graph_, node.outputs[0]))
        continue;
      const auto is_known = [&](TensorId input) { return known.contains(input); };
      const auto movable = [&](TensorId input) {
        return is_known(input) || ConstantOf(graph_, input) != nullptr;
      };
      if (!std::any_of(node.inputs.begin(), node.inputs.end(), is_known) ||
          !std::all_of(node.inputs.begin(), node.inputs.end(), movable)) {
        continue;
      }
      known.insert(node.outputs[0]);
      maps_.push_back({i});
    }
    const auto first =
        std::find_if(maps_.begin(), maps_.end(), [&](NodeId id) { return ReadByOthers(ResultOf(id)); });
    if (first != maps_.end()) maps_.erase(first + 1, maps_.end());
  }
  TensorId ResultOf(NodeId map) const { return graph_.node(map).outputs[0]; }
  bool ReadByOthers(TensorId id) const {
    const std::vector<NodeId> users = graph_.UsersOf(id);
    return std::any_of(users.begin(), users.end(), [&](NodeId user) {
      return std::find(maps_.begin(), maps_.end(), user) == maps_.end();
    });
  }
  // Whether anything but the last one's result would still be read.
  bool LeavesOthers() const {
    return IsGraphOutput(graph_, whole_) || ReadByOthers(whole_) ||
           std::any_of(maps_.begin(), maps_.end() - 1, [&](NodeId id) { return ReadByOthers(ResultOf(id)); });
  }

  std::vector<TensorId> Move(Node node, const std::map<TensorId, std::vector<TensorId>>& parts) {
    std::vector<TensorId> moved;
    int64_t begin = 0;
    for (size_t p = 0; p < concat_.inputs.size(); ++p) {
      const int64_t end = begin + *Extent(concat_.inputs[p]);
      std::vector<TensorId> inputs;
      for (const TensorId input : node.inputs) {
        const auto found = parts.find(input);
        inputs.push_back(found != parts.end() ? found->second[p] : CutConstant(input, begin, end));
      }
      moved.push_back(
          graph_.AddNode(node.op->name, std::move(inputs), node.attrs, node.name).value().front());
      begin = end;
    }
    return moved;
  }

  // What a part reads of a constant that is broadcast to the whole.
  TensorId CutConstant(TensorId id, int64_t begin, int64_t end) {
    const std::vector<int64_t> dims = ConstantOf(graph_, id)->dims;
    const size_t missing = shape_.size() - dims.size();
    if (axis_ < missing || dims[axis_ - missing] == 1) return id;
    std::vector<int64_t> first(dims.size(), 0), last = dims;
    first[axis_ - missing] = begin;
    last[axis_ - missing] = end;
    return SliceConstant(graph_, id, first, last);
  }

  Graph& graph_;
  const Node concat_;
  const TensorId whole_;
  const std::vector<DimExpr> shape_;
  size_t axis_ = 0;
  std::vector<NodeId> maps_;
};

}  // namespace

absl::Status MoveMaps(Graph& graph, const PassOptions&) {
  const int nodes = graph.node_count();
  for (int i = 0; i < nodes; ++i) {
    if (graph.node({i}).op->name == "concat") MapMover(graph, {i}).Run();
  }
  return absl::OkStatus();
}

}  // namespace hone
