// A sum of convolutions of one image is one convolution, by the sum of their kernels; the image itself, or
// its product with a factor per channel, counts as one of a single tap. Networks that are trained with
// branches side by side and exported with them (RepVGG, Ding et al. 2021; MobileOne) so compute one branch
// only.
#include <algorithm>
#include <array>
#include <set>

#include "compiler/graph_passes/graph_matching.h"
#include "compiler/graph_passes/pass_table.h"
#include "compiler/ops/window_geometry.h"

namespace hone {
namespace {

constexpr size_t kMostTerms = 64;  // each is compared with each

// A term that is linear in an image.
struct Branch {
  TensorId image, constant;                  // weights; factors per channel, or none: all 1
  std::string_view op;                       // of its convolution; empty: a factor per channel
  std::vector<int64_t> dims = {0, 0, 1, 1};  // of the weights
  std::vector<int64_t> strides = {1, 1}, dilations = {1, 1}, before = {0, 0};

  int64_t Taps() const { return dims[2] * dims[3]; }
};

std::optional<Branch> ConvolutionOf(const Graph& graph, TensorId id) {
  const NodeId producer = graph.tensor(id).producer;
  if (producer.index < 0 || !HasOneUse(graph, id)) return std::nullopt;
  const Node& node = graph.node(producer);
  if (node.op->name != "conv2d" && node.op->name != "depthwise_conv2d") return std::nullopt;
  const ConstantData* weights = ConstantOf(graph, node.inputs[1]);
  if (weights == nullptr || weights->dtype != DType::kF32 || IntAttr(node.attrs, "group", 1) != 1)
    return std::nullopt;
  const std::vector<int64_t>& dims = weights->dims;
  const WindowGeometry window = *WindowGeometry::Of(node.attrs, {dims[2], dims[3]});
  return Branch{node.inputs[0], node.inputs[1],   node.op->name, dims,
                window.strides, window.dilations, window.before};
}

// `id` as a multiple of `image`.
std::optional<Branch> FactorOf(const Graph& graph, TensorId id, TensorId image) {
  if (id == image) return Branch{.image = image};
  const Node* product = ProducerIf(graph, id, "mul");
  const int constant = product == nullptr ? -1 : ConstantOperand(graph, *product);
  if (constant < 0 || !HasOneUse(graph, id) || product->inputs[static_cast<size_t>(1 - constant)] != image)
    return std::nullopt;
  return Branch{.image = image, .constant = product->inputs[static_cast<size_t>(constant)]};
}

// The first of a convolution's taps that another branch's taps are added to; nullopt: it has no room for
// them.
std::optional<std::array<int64_t, 2>> PlaceOf(const Branch& other, const Branch& sum) {
  std::array<int64_t, 2> first;
  for (size_t d = 0; d < 2; ++d) {
    const int64_t shift = sum.before[d] - other.before[d], step = sum.dilations[d];
    first[d] = shift / step;
    const bool on_grid =
        shift >= 0 && shift % step == 0 && (other.dims[2 + d] == 1 || other.dilations[d] == step);
    if (!on_grid || other.strides[d] != sum.strides[d] || first[d] + other.dims[2 + d] > sum.dims[2 + d])
      return std::nullopt;
  }
  return first;
}

// Adds the kernel of `other` to the `weights` of a convolution of the same image and result; false: it
// cannot.
bool AddKernel(const Graph& graph, const Branch& other, const Branch& sum, std::vector<float>* weights) {
  const std::optional<std::array<int64_t, 2>> first = PlaceOf(other, sum);
  if (!first) return false;
  const int64_t across = sum.dims[3], place = (*first)[0] * across + (*first)[1];
  if (other.op.empty()) {
    const std::vector<DimExpr>& shape = graph.tensor(other.image).type.shape;
    const int64_t channels = sum.dims[0], inner = sum.dims[1];
    if (!(shape[1] == DimExpr(channels)) || (inner != 1 && inner != channels)) return false;
    const bool plain = other.constant.index < 0;
    const auto factors = plain ? std::vector<float>(static_cast<size_t>(channels), 1.0f)
                               : PerChannel(graph, other.constant, shape, 1);
    if (!factors) return false;
    for (int64_t c = 0; c < channels; ++c) {
      (*weights)[(c * inner + (inner == 1 ? 0 : c)) * sum.Taps() + place] += (*factors)[c];
    }
    return true;
  }
  if (other.op != sum.op || other.dims[0] != sum.dims[0] || other.dims[1] != sum.dims[1]) return false;
  const std::vector<float> added = *Floats(graph, other.constant);
  for (int64_t i = 0; i < static_cast<int64_t>(added.size()); ++i) {
    const int64_t kernel = i / other.Taps(), row = i % other.Taps() / other.dims[3],
                  column = i % other.dims[3];
    (*weights)[kernel * sum.Taps() + place + row * across + column] += added[i];
  }
  return true;
}

class Sum {
 public:
  Sum(Graph& graph, NodeId root, std::set<int>* seen)
      : graph_(graph), root_(root), result_(graph.node(root).outputs[0]), seen_(*seen) {}

  // True: some of the terms have become one.
  bool Run() {
    Collect();
    if (IsGraphOutput(graph_, result_) || graph_.tensor(result_).type.rank() != 4 ||
        terms_.size() > kMostTerms) {
      return false;
    }
    for (const TensorId term : ConvolutionsBySize()) MergeInto(term);
    if (merged_.empty()) return false;
    // Constants stay next to the convolutions, whose epilogue adds them.
    std::stable_sort(terms_.begin(), terms_.end(), [&](TensorId a, TensorId b) { return Rank(a) < Rank(b); });
    TensorId sum = terms_[0];
    for (size_t i = 1; i < terms_.size(); ++i) {
      sum = graph_.AddNode("add", {sum, terms_[i]}, {}, graph_.node(root_).name).value().front();
    }
    graph_.ReplaceUses(result_, sum);
    return true;
  }

 private:
  int Rank(TensorId term) const {
    if (ConstantOf(graph_, term) != nullptr) return 1;
    return merged_.contains(term) ? 0 : 2;
  }
  bool IsWhole(TensorId id) const { return graph_.tensor(id).type == graph_.tensor(result_).type; }

  // The terms from left to right.
  void Collect() {
    std::vector<TensorId> open = {result_};
    while (!open.empty()) {
      const TensorId id = open.back();
      open.pop_back();
      const Node* add = ProducerIf(graph_, id, "add");
      if (add == nullptr || (id != result_ && !HasOneUse(graph_, id)) || !IsWhole(id)) {
        terms_.push_back(id);
        continue;
      }
      seen_.insert(graph_.tensor(id).producer.index);
      open.insert(open.end(), add->inputs.rbegin(), add->inputs.rend());
    }
  }

  // What is broadcast to the result is no branch: its pixels are others than the result's.
  std::optional<Branch> ConvolutionIn(TensorId term) const {
    return IsWhole(term) ? ConvolutionOf(graph_, term) : std::nullopt;
  }

  std::vector<TensorId> ConvolutionsBySize() const {
    std::vector<std::pair<int64_t, TensorId>> found;
    for (const TensorId term : terms_) {
      if (const std::optional<Branch> branch = ConvolutionIn(term)) found.emplace_back(-branch->Taps(), term);
    }
    std::stable_sort(found.begin(), found.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    std::vector<TensorId> terms;
    for (const auto& [size, term] : found) terms.push_back(term);
    return terms;
  }

  // What joins a convolution is no term any more.
  void MergeInto(TensorId convolution) {
    if (std::find(terms_.begin(), terms_.end(), convolution) == terms_.end()) return;
    const Branch sum = *ConvolutionIn(convolution);
    std::vector<float> weights;
    const auto joins = [&](TensorId term) {
      if (term == convolution || !IsWhole(term)) return false;
      std::optional<Branch> other = ConvolutionOf(graph_, term);
      if (!other || other->image != sum.image) other = FactorOf(graph_, term, sum.image);
      if (!other) return false;
      if (weights.empty()) weights = *Floats(graph_, sum.constant);
      return AddKernel(graph_, *other, sum, &weights);
    };
    if (std::erase_if(terms_, joins) == 0) return;
    const std::string name = graph_.tensor(sum.constant).name + ".sum";
    const TensorId constant = AddFloats(graph_, name, sum.dims, weights);
    graph_.node(graph_.tensor(convolution).producer).inputs[1] = constant;
    merged_.insert(convolution);
  }

  Graph& graph_;
  const NodeId root_;
  const TensorId result_;
  std::set<int>& seen_;  // additions that are part of a sum
  std::vector<TensorId> terms_;
  std::set<TensorId> merged_;
};

}  // namespace

absl::Status MergeConvolutions(Graph& graph, const PassOptions& options) {
  std::set<int> seen;
  bool merged = false;
  for (int i = graph.node_count() - 1; i >= 0; --i) {
    if (graph.node({i}).op->name == "add" && !seen.contains(i))
      merged = Sum(graph, {i}, &seen).Run() || merged;
  }
  return merged ? SimplifyGraph(graph, options) : absl::OkStatus();  // joins the constant terms
}

}  // namespace hone
