// A sum of convolutions of one image is one convolution, by the sum of their kernels; the image itself, or
// its product with a factor per channel, counts as one of a single tap. Networks that are trained with
// branches side by side and exported with them (RepVGG, Ding et al. 2021; MobileOne) so compute one branch
// only.
#include <algorithm>
#include <set>

#include "compiler/graph_passes/graph_matching.h"
#include "compiler/graph_passes/pass_table.h"

namespace hone {
namespace {

constexpr size_t kMostTerms = 64;  // each is compared with each

struct Branch {
  TensorId image, result;
  std::string_view op;  // of its convolution; empty: a factor per channel
  int64_t strides[2] = {1, 1}, dilations[2] = {1, 1}, before[2] = {0, 0};
  std::vector<int64_t> dims = {0, 0, 1, 1};  // of the weights
  std::vector<float> weights;                // or factors

  int64_t Taps() const { return dims[2] * dims[3]; }
};

std::optional<Branch> ConvolutionOf(const Graph& graph, TensorId id) {
  const NodeId producer = graph.tensor(id).producer;
  if (producer.index < 0 || !HasOneUse(graph, id)) return std::nullopt;
  const Node& node = graph.node(producer);
  if (node.op->name != "conv2d" && node.op->name != "depthwise_conv2d") return std::nullopt;
  const std::optional<std::vector<float>> weights = Floats(graph, node.inputs[1]);
  if (!weights || IntAttr(node.attrs, "group", 1) != 1) return std::nullopt;
  Branch branch{.image = node.inputs[0], .result = id, .op = node.op->name, .weights = *weights};
  branch.dims = *ConstantShape(graph.tensor(node.inputs[1]).type.shape);
  const auto read = [&](const char* attr, int64_t* values) {
    const std::vector<int64_t> given = IntsAttr(node.attrs, attr);
    if (!given.empty()) std::copy_n(given.begin(), 2, values);
  };
  read("strides", branch.strides);
  read("dilations", branch.dilations);
  read("pads", branch.before);
  return branch;
}

// `id` as a multiple of `image`.
std::optional<Branch> FactorOf(const Graph& graph, TensorId id, TensorId image) {
  const std::vector<DimExpr>& shape = graph.tensor(image).type.shape;
  const std::optional<int64_t> channels = shape[1].AsConstant();
  Branch branch{.image = image, .result = id};
  if (id == image && channels) {
    branch.weights.assign(static_cast<size_t>(*channels), 1.0f);
    return branch;
  }
  const Node* product = ProducerIf(graph, id, "mul");
  const int constant = product == nullptr ? -1 : ConstantOperand(graph, *product);
  if (constant < 0 || !HasOneUse(graph, id) || product->inputs[static_cast<size_t>(1 - constant)] != image)
    return std::nullopt;
  const auto factors = PerChannel(graph, product->inputs[static_cast<size_t>(constant)], shape, 1);
  if (!factors) return std::nullopt;
  branch.weights = *factors;
  return branch;
}

// Adds `other`'s kernel to a convolution's, which is nowhere smaller; false: it cannot.
bool Join(Branch* sum, const Branch& other) {
  int64_t first[2];
  for (size_t d = 0; d < 2; ++d) {
    const int64_t shift = sum->before[d] - other.before[d], step = sum->dilations[d];
    first[d] = shift / step;
    const bool on_grid =
        shift >= 0 && shift % step == 0 && (other.dims[2 + d] == 1 || other.dilations[d] == step);
    if (!on_grid || other.strides[d] != sum->strides[d] || first[d] + other.dims[2 + d] > sum->dims[2 + d])
      return false;
  }
  const int64_t across = sum->dims[3], place = first[0] * across + first[1];
  if (other.op.empty()) {
    const int64_t channels = static_cast<int64_t>(other.weights.size()), inner = sum->dims[1];
    if (sum->dims[0] != channels || (inner != 1 && inner != channels)) return false;
    for (int64_t c = 0; c < channels; ++c) {
      sum->weights[(c * inner + (inner == 1 ? 0 : c)) * sum->Taps() + place] += other.weights[c];
    }
    return true;
  }
  if (other.op != sum->op || other.dims[0] != sum->dims[0] || other.dims[1] != sum->dims[1]) return false;
  for (int64_t i = 0; i < static_cast<int64_t>(other.weights.size()); ++i) {
    const int64_t kernel = i / other.Taps(), row = i % other.Taps() / other.dims[3],
                  column = i % other.dims[3];
    sum->weights[kernel * sum->Taps() + place + row * across + column] += other.weights[i];
  }
  return true;
}

class Sum {
 public:
  Sum(Graph& graph, NodeId root, std::set<int>* seen) : graph_(graph), root_(root), seen_(*seen) {}

  void Run() {
    const TensorId result = graph_.node(root_).outputs[0];
    Collect(result);
    if (IsGraphOutput(graph_, result) || graph_.tensor(result).type.rank() != 4 ||
        terms_.size() > kMostTerms || !MergeTerms()) {
      return;
    }
    // Constants stay next to the convolutions, whose epilogue adds them.
    std::stable_sort(terms_.begin(), terms_.end(), [&](TensorId a, TensorId b) { return Rank(a) < Rank(b); });
    TensorId sum = terms_[0];
    for (size_t i = 1; i < terms_.size(); ++i) {
      sum = graph_.AddNode("add", {sum, terms_[i]}, {}, graph_.node(root_).name).value().front();
    }
    graph_.ReplaceUses(result, sum);
  }

 private:
  int Rank(TensorId term) const {
    if (ConstantOf(graph_, term) != nullptr) return 1;
    return std::find(merged_.begin(), merged_.end(), term) != merged_.end() ? 0 : 2;
  }

  // What is broadcast to the result is no branch: its pixels are others than the result's.
  bool IsWhole(TensorId id) const {
    return graph_.tensor(id).type == graph_.tensor(graph_.node(root_).outputs[0]).type;
  }

  // The terms from left to right.
  void Collect(TensorId result) {
    std::vector<TensorId> open = {result};
    while (!open.empty()) {
      const TensorId id = open.back();
      open.pop_back();
      const Node* add = ProducerIf(graph_, id, "add");
      if (add == nullptr || (id != result && !HasOneUse(graph_, id)) || !IsWhole(id)) {
        terms_.push_back(id);
        continue;
      }
      seen_.insert(graph_.tensor(id).producer.index);
      open.insert(open.end(), add->inputs.rbegin(), add->inputs.rend());
    }
  }

  // Largest kernels first; what joined one is no term any more.
  bool MergeTerms() {
    std::vector<Branch> sums;
    for (const TensorId term : terms_) {
      if (!IsWhole(term)) continue;
      if (std::optional<Branch> branch = ConvolutionOf(graph_, term)) sums.push_back(*std::move(branch));
    }
    std::stable_sort(sums.begin(), sums.end(),
                     [](const Branch& a, const Branch& b) { return a.Taps() > b.Taps(); });
    for (size_t i = 0; i < sums.size(); ++i) {
      bool joined = false;
      for (size_t j = i + 1; j < sums.size();) {
        if (sums[j].image == sums[i].image && Join(&sums[i], sums[j])) {
          joined = true;
          std::erase(terms_, sums[j].result);
          sums.erase(sums.begin() + static_cast<ptrdiff_t>(j));
        } else {
          ++j;
        }
      }
      for (size_t t = 0; t < terms_.size();) {
        const std::optional<Branch> factor = FactorOf(graph_, terms_[t], sums[i].image);
        if (factor && IsWhole(terms_[t]) && Join(&sums[i], *factor)) {
          joined = true;
          terms_.erase(terms_.begin() + static_cast<ptrdiff_t>(t));
        } else {
          ++t;
        }
      }
      if (joined) Replace(sums[i]);
    }
    return !merged_.empty();
  }

  void Replace(const Branch& sum) {
    const NodeId producer = graph_.tensor(sum.result).producer;
    const std::string name = graph_.tensor(graph_.node(producer).inputs[1]).name + ".sum";
    const TensorId weights = AddFloats(graph_, name, sum.dims, sum.weights);
    graph_.node(producer).inputs[1] = weights;
    merged_.push_back(sum.result);
  }

  Graph& graph_;
  const NodeId root_;
  std::set<int>& seen_;  // additions that are part of a sum
  std::vector<TensorId> terms_, merged_;
};

}  // namespace

absl::Status MergeConvolutions(Graph& graph, const PassOptions& options) {
  std::set<int> seen;
  for (int i = graph.node_count() - 1; i >= 0; --i) {
    if (graph.node({i}).op->name == "add" && !seen.contains(i)) Sum(graph, {i}, &seen).Run();
  }
  return SimplifyGraph(graph, options);  // joins the constant terms
}

}  // namespace hone
