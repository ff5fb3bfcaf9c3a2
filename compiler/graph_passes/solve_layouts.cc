#include "compiler/graph_passes/solve_layouts.h"

#include <algorithm>
#include <cmath>

#include "compiler/graph_passes/fuse_into_tasks.h"
#include "compiler/graph_passes/graph_matching.h"
#include "compiler/graph_passes/memory_views.h"
#include "compiler/graph_passes/pbqp.h"
#include "compiler/graph_passes/rounding_policy.h"

namespace hone {
namespace {

constexpr double kForbidden = HUGE_VAL;
constexpr size_t kMostPriced = 2048;  // tasks, a millisecond or two each

// What is at hand of a tensor, in channels of a block.
struct AtHand {
  int64_t written = 0, copied = 0;  // the same: no copy
  bool As(int64_t block) const { return written == block || copied == block; }
};

using Prices = std::map<std::vector<int64_t>, double>;  // by blocks of a task's inputs and its result

// Nodes that become one task, and the images among what it reads.
struct Group {
  std::vector<int> nodes;        // in topological order
  Task task;                     // in row-major layouts
  std::vector<TensorId> inputs;  // of the task
  TensorId result;
  std::vector<TensorId> tied;  // read as the result is written
  std::vector<TensorId> free;  // read as is cheapest
  Prices* prices = nullptr;    // shared by all groups of one task
};

bool IsView(const Node& node) { return node.op->op_class == OpClass::kView; }

class LayoutProblem {
 public:
  LayoutProblem(const Graph& graph, const PassOptions& options)
      : graph_(graph),
        options_(options),
        rounding_(graph, options.policy),
        blocks_(BlockAlternatives(graph, options.target)),
        variables_(blocks_.size(), -1) {}

  absl::StatusOr<LayoutSolution> Run() {
    if (absl::Status status = FindGroups(); !status.ok()) return status;
    for (const TensorId id : graph_.inputs()) AddVariable(id, true);
    for (const Group& group : groups_) AddVariable(group.result, IsView(graph_.node({group.nodes.back()})));
    if (problem_.nodes() == 0) return absl::NotFoundError("no tensor has a choice of layouts");
    size_t priced = 0;
    for (Group& group : groups_) priced += SortOperands(&group);
    if (priced > kMostPriced) return absl::NotFoundError("too many tasks to price");
    for (Group& group : groups_) AddCosts(&group);
    const Pbqp::Solution solution = problem_.Solve();
    if (!std::isfinite(solution.cost)) return absl::NotFoundError("no layouts suit all tasks");
    return LayoutSolution{ChoiceOf(solution), problem_.nodes(), solution.optimal};
  }

 private:
  bool MayBe(TensorId id, int64_t block) const {
    const std::vector<int64_t>& blocks = blocks_[id.index];
    return std::find(blocks.begin(), blocks.end(), block) != blocks.end();
  }
  int64_t NearestTo(TensorId id, int64_t block) const {
    return block == 0 || MayBe(id, block) ? block : blocks_[id.index].front();
  }
  // Row-major only where nothing else may be.
  int64_t FirstOf(TensorId id) const {
    const std::vector<int64_t>& blocks = blocks_[id.index];
    return blocks[blocks.size() > 1 && blocks[0] == 0 ? 1 : 0];
  }
  bool HasChoice(TensorId id) const { return variables_[id.index] >= 0; }
  const std::vector<AtHand>& AlternativesOf(TensorId id) const { return alternatives_[variables_[id.index]]; }

  // What needs no task where images are in the blocks that `block_of` gives them. Around reshapes all is
  // row-major.
  template <typename BlockOf>
  std::vector<bool> Views(Graph* graph, const BlockOf& block_of) const {
    for (int i = 0; i < graph->tensor_count(); ++i) {
      graph->tensor({i}).layout = LayoutOf(graph->tensor({i}), block_of(TensorId{i}));
    }
    std::vector<bool> views = MemoryViews(*graph).is_view();
    for (int i = 0; i < graph->node_count(); ++i) views[i] = views[i] || IsView(graph->node({i}));
    return views;
  }

  absl::Status FindGroups() {
    Graph graph = graph_;
    for (const std::vector<int64_t>& blocks : blocks_) {
      for (const int64_t block : blocks) {
        if (!views_.contains(block))
          views_[block] = Views(&graph, [&](TensorId id) { return NearestTo(id, block); });
      }
    }
    const std::vector<bool> views = Views(&graph, [&](TensorId id) { return FirstOf(id); });
    std::vector<std::vector<int>> groups = GroupIntoTasks(graph, views);
    for (int i = 0; i < graph_.node_count(); ++i) {
      if (views[i]) groups.push_back({i});
    }
    for (std::vector<int>& nodes : groups) {
      absl::StatusOr<ExtractedTask> extracted = ExtractTask(graph_, nodes);
      if (!extracted.ok()) return extracted.status();
      for (const TensorId id : extracted->call.outputs) {
        if (extracted->call.outputs.size() > 1) blocks_[id.index] = {0};
      }
      const AlgorithmPolicy policy = rounding_.For(nodes);
      Group group{.nodes = std::move(nodes),
                  .task = {std::move(extracted->graph), options_.target, options_.threads, policy},
                  .inputs = std::move(extracted->call.inputs),
                  .result = extracted->call.outputs.front()};
      groups_.push_back(std::move(group));
    }
    return absl::OkStatus();
  }

  // Alternatives: every layout it may be written in, alone and beside a copy in another. Copies cost a task.
  void AddVariable(TensorId id, bool written_row_major) {
    const std::vector<int64_t>& blocks = blocks_[id.index];
    if (blocks == std::vector<int64_t>{0}) return;
    std::vector<AtHand> alternatives;
    std::vector<double> costs;
    for (const int64_t written : blocks) {
      if (written_row_major && written != 0) continue;
      for (const int64_t copied : blocks) {
        const AtHand at_hand{written, copied};
        alternatives.push_back(at_hand);
        costs.push_back(IsGraphOutput(graph_, id) && !at_hand.As(0) ? kForbidden
                        : written == copied                         ? 0
                                                                    : SecondsToConvert(id, at_hand));
      }
    }
    variables_[id.index] = problem_.AddNode(std::move(costs));
    alternatives_.push_back(std::move(alternatives));
  }

  double SecondsToConvert(TensorId id, const AtHand& at_hand) {
    Task task{{}, options_.target, options_.threads, options_.policy};
    const TensorId from = task.graph.AddInput("x", graph_.tensor(id).type);
    const absl::StatusOr<std::vector<TensorId>> to = task.graph.AddNode("identity", {from}, {}, "convert");
    if (!to.ok()) return kForbidden;
    task.graph.tensor(from).layout = LayoutOf(task.graph.tensor(from), at_hand.written);
    task.graph.tensor(to->front()).layout = LayoutOf(task.graph.tensor(from), at_hand.copied);
    task.graph.SetOutputs(*to);
    return options_.costs->SecondsFor(task);
  }

  // Returns how many tasks it adds to what is priced.
  size_t SortOperands(Group* group) {
    const auto add = [](TensorId id, std::vector<TensorId>* list) {
      if (std::find(list->begin(), list->end(), id) == list->end()) list->push_back(id);
    };
    for (const int index : group->nodes) {
      const Node& node = graph_.node({index});
      for (const TensorId id : node.inputs) {
        const bool read = std::find(group->inputs.begin(), group->inputs.end(), id) != group->inputs.end();
        if (read && HasChoice(id)) add(id, IsTied(node, id) ? &group->tied : &group->free);
      }
    }
    const auto [prices, added] = priced_.try_emplace(group->task.Key());
    group->prices = &prices->second;
    if (!added) return 0;
    size_t read = 1;
    for (const TensorId id : group->free) read = std::max(read, blocks_[id.index].size());
    return read * blocks_[group->result.index].size();
  }
  bool IsTied(const Node& node, TensorId operand) const {
    return node.op->op_class == OpClass::kElementwise &&
           graph_.tensor(operand).type.shape == graph_.tensor(node.outputs[0]).type.shape;
  }

  // One free operand in blocks of `in`, the others as near to it as may be.
  double SecondsOf(Group* group, TensorId operand, int64_t in, int64_t out) {
    if (group->nodes.size() == 1) {
      const auto views = views_.find(out);
      if (IsView(graph_.node({group->nodes[0]})) || (in == out && views->second[group->nodes[0]])) return 0;
    }
    std::vector<int64_t> blocks;
    for (const TensorId id : group->inputs) {
      const bool tied = std::find(group->free.begin(), group->free.end(), id) == group->free.end();
      blocks.push_back(!HasChoice(id) ? 0 : id == operand ? in : NearestTo(id, tied ? out : in));
    }
    blocks.push_back(out);
    const auto [known, added] = group->prices->try_emplace(blocks, 0);
    if (!added) return known->second;
    Graph& graph = group->task.graph;
    for (size_t i = 0; i < group->inputs.size(); ++i) {
      Tensor& tensor = graph.tensor(graph.inputs()[i]);
      tensor.layout = LayoutOf(tensor, blocks[i]);
    }
    for (size_t i = 0; i < group->nodes.size(); ++i) {
      const std::vector<TensorId>& outputs = graph_.node({group->nodes[i]}).outputs;
      for (size_t j = 0; j < outputs.size(); ++j) {
        Tensor& tensor = graph.tensor(graph.node({static_cast<int>(i)}).outputs[j]);
        tensor.layout = LayoutOf(tensor, NearestTo(outputs[j], out));
      }
    }
    return known->second = options_.costs->SecondsFor(group->task);
  }

  bool ReadsBlocked(const Group& group, TensorId operand) const {
    return std::all_of(group.nodes.begin(), group.nodes.end(), [&](int index) {
      const Node& node = graph_.node({index});
      return ReadsBlocks(node) ||
             std::find(node.inputs.begin(), node.inputs.end(), operand) == node.inputs.end();
    });
  }

  // As what a free operand is read, of what is at hand, and the seconds then.
  std::pair<int64_t, double> BestRead(Group* group, TensorId operand, const AtHand& at_hand, int64_t out) {
    std::pair<int64_t, double> best{at_hand.written, kForbidden};
    for (const int64_t in : {at_hand.written, at_hand.copied}) {
      if (in != 0 && !ReadsBlocked(*group, operand)) continue;
      const double seconds = SecondsOf(group, operand, in, out);
      if (seconds < best.second) best = {in, seconds};
    }
    return best;
  }

  void AddCosts(Group* group) {
    const std::vector<AtHand> fixed = {{}};
    const bool has_choice = HasChoice(group->result);
    const std::vector<AtHand>& results = has_choice ? AlternativesOf(group->result) : fixed;
    // A cost of an operand's alternatives and the result's.
    const auto add = [&](TensorId operand, const auto& cost) {
      Pbqp::Matrix costs;
      for (const AtHand& at_hand : AlternativesOf(operand)) {
        costs.emplace_back();
        for (const AtHand& result : results) costs.back().push_back(cost(at_hand, result.written));
      }
      if (has_choice)
        return problem_.AddEdge(variables_[operand.index], variables_[group->result.index], costs);
      std::vector<double> alone;
      for (const std::vector<double>& row : costs) alone.push_back(row[0]);
      problem_.AddCosts(variables_[operand.index], alone);
    };
    for (const TensorId operand : group->tied) {
      add(operand, [](const AtHand& at_hand, int64_t out) { return at_hand.As(out) ? 0 : kForbidden; });
    }
    for (const TensorId operand : group->free) {
      add(operand, [&](const AtHand& at_hand, int64_t out) {
        return BestRead(group, operand, at_hand, out).second / static_cast<double>(group->free.size());
      });
    }
    if (!group->free.empty() || !has_choice) return;
    std::vector<double> costs;
    for (const AtHand& result : results) costs.push_back(SecondsOf(group, {}, 0, result.written));
    problem_.AddCosts(variables_[group->result.index], costs);
  }

  LayoutChoice ChoiceOf(const Pbqp::Solution& solution) {
    const auto at_hand = [&](TensorId id) {
      return HasChoice(id) ? AlternativesOf(id)[solution.choices[variables_[id.index]]] : AtHand{};
    };
    LayoutChoice choice;
    choice.written.assign(blocks_.size(), 0);
    choice.read.resize(static_cast<size_t>(graph_.node_count()));
    for (Group& group : groups_) {
      const int64_t out = at_hand(group.result).written;
      for (const int index : group.nodes) {
        for (const TensorId id : graph_.node({index}).outputs) choice.written[id.index] = NearestTo(id, out);
      }
    }
    for (Group& group : groups_) {
      const int64_t out = at_hand(group.result).written;
      for (const int index : group.nodes) {
        const Node& node = graph_.node({index});
        choice.read[index]
            .clear();  // what several tasks compute each for itself is as the last of them has it
        for (const TensorId id : node.inputs) {
          const bool inside = std::find(group.inputs.begin(), group.inputs.end(), id) == group.inputs.end();
          choice.read[index].push_back(inside             ? choice.written[id.index]
                                       : !HasChoice(id)   ? 0
                                       : IsTied(node, id) ? out
                                                          : BestRead(&group, id, at_hand(id), out).first);
        }
      }
    }
    return choice;
  }

  const Graph& graph_;
  const PassOptions& options_;
  const RoundingPolicy rounding_;
  std::vector<std::vector<int64_t>> blocks_;    // by tensor: what it may be stored in
  std::map<int64_t, std::vector<bool>> views_;  // by block of all images, node
  std::vector<Group> groups_;
  std::map<std::string, Prices> priced_;  // by key of the task in row-major layouts
  Pbqp problem_;
  std::vector<int> variables_;                     // by tensor; -1: row-major, or inside of a task
  std::vector<std::vector<AtHand>> alternatives_;  // by variable
};

}  // namespace

absl::StatusOr<LayoutSolution> SolveLayouts(const Graph& graph, const PassOptions& options) {
  return LayoutProblem(graph, options).Run();
}

}  // namespace hone
