#include "compiler/graph_passes/rounding_policy.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "compiler/graph_passes/graph_matching.h"

namespace hone {
namespace {

constexpr int kMostSteps = 1 << 22;  // through the graph, for all quotients; beyond, nothing is known
// What keeps a divisor away from zero: of results of about one, errors are 1e-6, and squares of them 1e-12.
constexpr double kLeastDivisor = 1e-3, kLeastSquare = 1e-7;

class SelfDivisions {
 public:
  explicit SelfDivisions(const Graph& graph)
      : graph_(graph), exact_(static_cast<size_t>(graph.node_count())) {}

  std::vector<bool> Find() {
    for (int i = 0; i < graph_.node_count(); ++i) {
      const Node& node = graph_.node({i});
      if (node.op->name == "div") Mark(node.inputs[0], node.inputs[1], false);
      if (node.op->name != "mul") continue;
      for (const int operand : {0, 1}) {
        const Node* inverse = InverseAt(node.inputs[operand]);
        if (inverse != nullptr)
          Mark(node.inputs[1 - operand], inverse->inputs[0], inverse->op->name == "rsqrt");
      }
    }
    if (steps_ > kMostSteps) exact_.assign(exact_.size(), true);
    return std::move(exact_);
  }

 private:
  // 1 / x or 1 / sqrt(x), perhaps moved.
  const Node* InverseAt(TensorId id) {
    while (++steps_ <= kMostSteps) {
      const NodeId producer = graph_.tensor(id).producer;
      if (producer.index < 0) return nullptr;
      const Node& node = graph_.node(producer);
      if (node.op->name == "reciprocal" || node.op->name == "rsqrt") return &node;
      if (node.op->op_class != OpClass::kData && node.op->op_class != OpClass::kView) return nullptr;
      id = node.inputs[0];
    }
    return nullptr;
  }

  void Mark(TensorId dividend, TensorId divisor, bool squared) {
    const std::set<int> tiny = ContractionsBehind(divisor, squared, true);
    if (tiny.empty()) return;
    for (const int contraction : ContractionsBehind(dividend, false, false))
      if (tiny.contains(contraction)) exact_[contraction] = true;
  }

  // Contractions that `id` is made of, without those behind what keeps a divisor away from zero. `squared`:
  // it is the square of a divisor.
  std::set<int> ContractionsBehind(TensorId id, bool squared, bool divisor) {
    std::set<int> found, seen;
    std::vector<std::pair<TensorId, bool>> open = {{id, squared}};
    while (!open.empty() && ++steps_ <= kMostSteps) {
      const auto [at, is_square] = open.back();
      open.pop_back();
      const NodeId producer = graph_.tensor(at).producer;
      if (producer.index < 0 || !seen.insert(producer.index).second) continue;
      const Node& node = graph_.node(producer);
      if (node.op->op_class == OpClass::kContraction) found.insert(producer.index);
      if (!Passes(node) || (divisor && IsKeptFromZero(node, is_square ? kLeastSquare : kLeastDivisor)))
        continue;
      const bool root = node.op->name == "sqrt" || node.op->name == "pow";
      for (const TensorId input : node.inputs) open.emplace_back(input, is_square || root);
    }
    return found;
  }

  // Whether a tiny result comes of tiny operands.
  static bool Passes(const Node& node) {
    const OpClass kind = node.op->op_class;
    return kind == OpClass::kElementwise || kind == OpClass::kWindow || kind == OpClass::kData ||
           kind == OpClass::kView || node.op->name.starts_with("reduce_");
  }

  bool IsKeptFromZero(const Node& node, double least) const {
    if (node.op->name == "clip") return FloatAttr(node.attrs, "low", -HUGE_VAL) >= least;
    if (node.op->name != "add" && node.op->name != "max") return false;
    const int constant = ConstantOperand(graph_, node);
    const auto values =
        constant < 0 ? std::nullopt : Floats(graph_, node.inputs[static_cast<size_t>(constant)]);
    return values && !values->empty() && *std::min_element(values->begin(), values->end()) >= least;
  }

  const Graph& graph_;
  std::vector<bool> exact_;
  int steps_ = 0;
};

}  // namespace

RoundingPolicy::RoundingPolicy(const Graph& graph, AlgorithmPolicy asked)
    : asked_(asked), exact_(SelfDivisions(graph).Find()) {}

AlgorithmPolicy RoundingPolicy::For(const std::vector<int>& nodes) const {
  const bool exact = std::any_of(nodes.begin(), nodes.end(), [this](int node) { return exact_[node]; });
  return exact ? AlgorithmPolicy::kExact : asked_;
}

}  // namespace hone
