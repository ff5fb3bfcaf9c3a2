#include "compiler/graph_passes/fuse_into_tasks.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "compiler/graph_passes/graph_matching.h"
#include "compiler/graph_passes/join_strips.h"
#include "compiler/graph_passes/memory_views.h"
#include "compiler/graph_passes/rounding_policy.h"

namespace hone {
namespace {

constexpr size_t kMaxFused = 48;     // operators after an anchor
constexpr size_t kMaxStep = 12;      // operators between one single result and the next
constexpr size_t kMaxOperands = 12;  // tensors that a task reads
constexpr double kMaxTerms = 4096;   // of a task's expressions, written out without sharing: 30 times x = x * x are 2^30
constexpr size_t kMaxJoined = 4;     // parts of a concatenation that is made where it is read

class Fusion {
 public:
  Fusion(const Graph& graph, const std::vector<bool>& is_view)
      : graph_(graph), is_view_(is_view), group_(static_cast<size_t>(graph.node_count()), -1) {
    users_.resize(static_cast<size_t>(graph.tensor_count()));
    for (int i = 0; i < graph.node_count(); ++i) {
      for (const TensorId id : graph.node({i}).inputs) users_[id.index].push_back(i);
    }
  }

  // Groups of nodes, each in topological order.
  std::vector<std::vector<int>> Run() {
    // The last anchor before a join takes it: its result is still in the cache. What computes goes before
    // what moves data, for its results are in registers.
    for (const bool moves_data : {false, true}) {
      for (int i = graph_.node_count() - 1; i >= 0; --i) {
        const OpClass op_class = graph_.node({i}).op->op_class;
        if (op_class == OpClass::kElementwise || is_view_[i]) continue;
        if ((op_class == OpClass::kData) == moves_data) Grow(i);
      }
    }
    for (int i = 0; i < graph_.node_count(); ++i) {
      if (group_[i] < 0 && !is_view_[i]) Grow(i);
    }
    std::vector<std::vector<int>> groups;
    for (std::set<int>& members : members_) groups.emplace_back(members.begin(), members.end());
    std::sort(groups.begin(), groups.end(), [](const auto& a, const auto& b) { return a.back() < b.back(); });
    return groups;
  }

 private:
  // What rearranges one tensor, and may read what was rearranged before: nothing is computed twice.
  bool Rearranges(int index) const {
    const std::string_view op = graph_.node({index}).op->name;
    return (op == "slice" || op == "channel_shuffle") && !is_view_[index];
  }

  // Whether a node is made part of all its users, which rearrange its result. Slices end such chains: parts of parts would
  // be read from ever more tensors.
  bool MovesOn(int index) const {
    const Node& node = graph_.node({index});
    const std::vector<int>& users = users_[node.outputs[0].index];
    const bool moves = node.op->name == "concat" || node.op->name == "channel_shuffle";
    return moves && node.inputs.size() <= kMaxJoined && !is_view_[index] &&
           !IsGraphOutput(graph_, node.outputs[0]) && !users.empty() &&
           std::all_of(users.begin(), users.end(), [&](int user) { return Rearranges(user); });
  }

  void TakeMovers(int index, std::set<int>* members) const {
    for (const TensorId id : graph_.node({index}).inputs) {
      const int producer = graph_.tensor(id).producer.index;
      if (producer < 0 || !MovesOn(producer)) continue;
      members->insert(producer);
      TakeMovers(producer, members);
    }
  }

  void Grow(int root) {
    if (MovesOn(root)) return;
    std::set<int> members = {root};
    if (Rearranges(root)) TakeMovers(root, &members);
    const Node& node = graph_.node({root});
    const bool one_result = node.outputs.size() == 1;
    int dynamic_inputs = 0;
    for (const TensorId id : node.inputs) dynamic_inputs += graph_.tensor(id).constant == nullptr ? 1 : 0;
    const bool joins_data = node.op->op_class == OpClass::kData && dynamic_inputs > 1;
    // A conversion of layouts reads one and writes the other: it stays a copy.
    const bool converts = node.op->op_class == OpClass::kElementwise && node.inputs.size() == 1 &&
                          !(graph_.tensor(node.inputs[0]).layout == graph_.tensor(node.outputs[0]).layout);
    if (one_result && !joins_data && !converts) {
      TensorId result = node.outputs[0];
      while (members.size() < kMaxFused) {
        const std::set<int> step = NextStep(result);
        if (step.empty()) break;
        std::set<int> grown = members;
        grown.insert(step.begin(), step.end());
        if (OperandsOf(grown) > kMaxOperands || TermsOf(grown) > kMaxTerms) break;
        members = std::move(grown);
        result = graph_.node({*members.rbegin()}).outputs[0];
      }
    }
    for (const int member : members) group_[member] = static_cast<int>(members_.size());
    members_.push_back(std::move(members));
  }

  size_t OperandsOf(const std::set<int>& members) const {
    std::set<TensorId> operands;
    for (const int member : members) {
      for (const TensorId id : graph_.node({member}).inputs) {
        if (!members.contains(graph_.tensor(id).producer.index)) operands.insert(id);
      }
    }
    return operands.size();
  }

  double TermsOf(const std::set<int>& members) const {
    std::map<TensorId, double> terms;
    double most = 0;
    for (const int member : members) {  // in topological order
      double sum = 1;
      for (const TensorId id : graph_.node({member}).inputs) sum += terms.contains(id) ? terms[id] : 1;
      for (const TensorId id : graph_.node({member}).outputs) terms[id] = sum;
      most = std::max(most, sum);
    }
    return most;
  }

  // Whether an elementwise node works on the shape and layout of `result`, its other operands being of the
  // same layout or broadcast.
  bool Fuses(int index, TensorId result) const {
    const Node& node = graph_.node({index});
    if (group_[index] >= 0 || node.op->op_class != OpClass::kElementwise) return false;
    const Tensor& out = graph_.tensor(node.outputs[0]);
    const Tensor& in = graph_.tensor(result);
    if (!(out.type.shape == in.type.shape) || !(out.layout == in.layout)) return false;
    return std::all_of(node.inputs.begin(), node.inputs.end(), [&](TensorId id) {
      const Tensor& operand = graph_.tensor(id);
      return operand.constant != nullptr || !(operand.type.shape == in.type.shape) ||
             operand.layout == in.layout;
    });
  }

  // The smallest set of elementwise nodes behind `result` after which again a single tensor is open (used by
  // the rest). What else those nodes read cannot depend on `result`, as all its paths lead through the set's
  // last node.
  std::set<int> NextStep(TensorId result) const {
    std::set<int> step;
    std::set<TensorId> open = {result};
    while (step.size() < kMaxStep) {
      int next = -1;
      for (const TensorId id : open) {
        if (IsGraphOutput(graph_, id)) return {};
        for (const int user : users_[id.index]) {
          if (!step.contains(user) && (next < 0 || user < next)) next = user;
        }
      }
      if (next < 0 || !Fuses(next, result)) return {};
      step.insert(next);
      open.insert(graph_.node({next}).outputs[0]);
      for (auto it = open.begin(); it != open.end();) {
        const std::vector<int>& users = users_[it->index];
        const bool closed = !users.empty() &&
                            std::all_of(users.begin(), users.end(), [&](int u) { return step.contains(u); });
        it = closed && !IsGraphOutput(graph_, *it) ? open.erase(it) : std::next(it);
      }
      if (open.size() == 1 && *open.begin() == graph_.node({next}).outputs[0]) return step;
    }
    return {};
  }

  const Graph& graph_;
  const std::vector<bool>& is_view_;
  std::vector<std::vector<int>> users_;  // nodes by tensor
  std::vector<int> group_;               // by node; -1: none yet
  std::vector<std::set<int>> members_;   // by group
};

TensorId AddTaskConstant(Graph& graph, const Tensor& tensor) {
  if (IsWrittenByValue(*tensor.constant)) return graph.AddConstant(tensor.name, tensor.constant);
  auto shape_only = std::make_shared<ConstantData>();
  shape_only->dtype = tensor.constant->dtype;
  shape_only->dims = tensor.constant->dims;
  return graph.AddConstant(tensor.name, std::move(shape_only));
}

}  // namespace

std::vector<std::vector<int>> GroupIntoTasks(const Graph& graph, const std::vector<bool>& is_view) {
  return Fusion(graph, is_view).Run();
}

absl::StatusOr<ExtractedTask> ExtractTask(const Graph& graph, const std::vector<int>& nodes) {
  ExtractedTask task;
  std::map<TensorId, TensorId> mapped;
  const std::set<int> members(nodes.begin(), nodes.end());
  const auto for_operands = [&](const auto& visit) {
    for (const int index : nodes) {
      for (const TensorId id : graph.node({index}).inputs) {
        if (!members.contains(graph.tensor(id).producer.index) && !mapped.contains(id))
          visit(id, graph.tensor(id));
      }
    }
  };
  for_operands([&](TensorId id, const Tensor& tensor) {
    if (tensor.constant != nullptr) return;
    mapped[id] = task.graph.AddInput(tensor.name, tensor.type);
    task.graph.tensor(mapped[id]).layout = tensor.layout;
    task.call.inputs.push_back(id);
  });
  for_operands([&](TensorId id, const Tensor& tensor) {
    if (tensor.constant == nullptr) return;
    mapped[id] = AddTaskConstant(task.graph, tensor);
    if (!IsWrittenByValue(*tensor.constant)) task.call.constants.push_back(id);
  });
  for (const auto& [name, symbol] : graph.symbols()) task.graph.AddSymbol(symbol);
  for (const int index : nodes) {
    const Node& node = graph.node({index});
    std::vector<TensorId> inputs;
    for (const TensorId id : node.inputs) inputs.push_back(mapped.at(id));
    absl::StatusOr<std::vector<TensorId>> outputs =
        task.graph.AddNode(node.op->name, inputs, node.attrs, node.name);
    if (!outputs.ok()) return outputs.status();
    for (size_t i = 0; i < outputs->size(); ++i) {
      mapped[node.outputs[i]] = (*outputs)[i];
      task.graph.tensor((*outputs)[i]).layout = graph.tensor(node.outputs[i]).layout;
    }
  }
  task.call.outputs = graph.node({nodes.back()}).outputs;
  std::vector<TensorId> outputs;
  for (const TensorId id : task.call.outputs) outputs.push_back(mapped.at(id));
  task.graph.SetOutputs(std::move(outputs));
  task.call.name = graph.node({nodes.front()}).name;
  return task;
}

absl::StatusOr<CutGraph> FuseIntoTasks(Graph graph, const Target& target, int threads,
                                       AlgorithmPolicy policy, const TaskCosts* costs) {
  CutGraph cut;
  const MemoryViews views(graph);
  const RoundingPolicy rounding(graph, policy);
  std::vector<std::vector<int>> groups = GroupIntoTasks(graph, views.is_view());
  if (costs != nullptr) {
    const auto seconds = [&](const std::vector<int>& nodes) {
      absl::StatusOr<ExtractedTask> extracted = ExtractTask(graph, nodes);
      const double price =
          extracted.ok()
              ? costs->SecondsFor({std::move(extracted->graph), target, threads, rounding.For(nodes)})
              : HUGE_VAL;
      return std::isfinite(price) ? price : 0;
    };
    groups = JoinIntoStrips(graph, views, target, threads, std::move(groups), seconds);
  }
  std::map<std::string, int> known;
  for (const std::vector<int>& nodes : groups) {
    absl::StatusOr<ExtractedTask> extracted = ExtractTask(graph, nodes);
    if (!extracted.ok()) return extracted.status();
    Task task{std::move(extracted->graph), target, threads, rounding.For(nodes)};
    const auto [entry, fresh] = known.emplace(task.Key(), static_cast<int>(cut.tasks.size()));
    if (fresh) cut.tasks.push_back(std::move(task));
    extracted->call.task = entry->second;
    cut.calls.push_back(std::move(extracted->call));
  }
  cut.views = views.aliases();
  cut.graph = std::move(graph);
  return cut;
}

}  // namespace hone
