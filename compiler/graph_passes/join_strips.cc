#include "compiler/graph_passes/join_strips.h"

#include <algorithm>
#include <limits>
#include <set>

#include "compiler/graph_passes/graph_matching.h"

namespace hone {
namespace {

constexpr size_t kMostJoined = 4;     // groups: more share little, and their schedules are many
constexpr double kDoubt = 1.03;       // chains priced nearer to their tasks' sum than this won and lost when measured
constexpr double kLevelShare = 0.75;  // of the second-level cache: smaller images stay in one thread's anyway

class StripJoiner {
 public:
  StripJoiner(const Graph& graph, const MemoryViews& views, const Target& target, int threads,
              std::vector<std::vector<int>> groups, const PriceOfNodes& seconds)
      : graph_(graph),
        target_(target),
        threads_(threads),
        groups_(std::move(groups)),
        seconds_(seconds),
        group_of_(static_cast<size_t>(graph.node_count()), -1),
        users_(static_cast<size_t>(graph.tensor_count())) {
    for (size_t g = 0; g < groups_.size(); ++g) {
      for (const int node : groups_[g]) group_of_[node] = static_cast<int>(g);
    }
    for (int i = 0; i < graph.node_count(); ++i) {
      for (const TensorId id : graph.node({i}).inputs) users_[id.index].push_back(i);
    }
    for (const ViewAlias& alias : views.aliases()) shared_.insert({alias.view, alias.of});
  }

  std::vector<std::vector<int>> Run() {
    const int count = static_cast<int>(groups_.size());
    std::vector<int> next(groups_.size(), -1);
    std::vector<bool> has_previous(groups_.size(), false);
    for (int g = 0; g < count; ++g) {
      const int reader = ReaderOf(g);
      if (reader < 0 || has_previous[reader]) continue;
      next[g] = reader;
      has_previous[reader] = true;
    }
    std::vector<std::vector<int>> joined;
    for (int g = 0; g < count; ++g) {
      if (has_previous[g]) continue;
      std::vector<int> chain;
      for (int link = g; link >= 0; link = next[link]) chain.push_back(link);
      Cut(chain, &joined);
    }
    std::sort(joined.begin(), joined.end(), [](const auto& a, const auto& b) { return a.back() < b.back(); });
    return joined;
  }

 private:
  const Node& AnchorOf(int group) const { return graph_.node({groups_[group].front()}); }
  TensorId ResultOf(int group) const { return graph_.node({groups_[group].back()}).outputs[0]; }

  // Rows of the result come from rows of what is read.
  bool WorksByRows(int group) const {
    const Node& anchor = AnchorOf(group);
    const Tensor& result = graph_.tensor(ResultOf(group));
    if (anchor.outputs.size() != 1 || result.type.rank() != 4 || result.layout.IsPlain()) return false;
    if (anchor.op->op_class == OpClass::kElementwise) {
      return graph_.tensor(anchor.inputs[0]).layout.BlockOf(1) == result.layout.BlockOf(1);
    }
    if (anchor.op->op_class == OpClass::kWindow) {
      return anchor.inputs.size() == 1 || graph_.tensor(anchor.inputs[1]).constant != nullptr;
    }
    return IsDenseConvolution(graph_, anchor);
  }

  // A window of several rows over an image that is not copied, with its padding, for every strip.
  bool NeedsWholeImage(const Node& node) const {
    const std::vector<int64_t> pads = IntsAttr(node.attrs, "pads");
    return IsDenseConvolution(graph_, node) && !IsPointwise(graph_, node) &&
           std::all_of(pads.begin(), pads.end(), [](int64_t pad) { return pad == 0; });
  }

  // The one group that reads a group's result, if both work by rows on it; -1: there is none.
  int ReaderOf(int group) const {
    if (!WorksByRows(group)) return -1;
    const TensorId result = ResultOf(group);
    const std::vector<int>& users = users_[result.index];
    if (users.empty() || IsGraphOutput(graph_, result) || shared_.contains(result)) return -1;
    const int reader = group_of_[users[0]];
    const bool alone = std::all_of(users.begin(), users.end(), [&](int user) { return group_of_[user] == reader; });
    if (!alone || reader < 0 || reader == group || !WorksByRows(reader) || NeedsWholeImage(AnchorOf(reader)))
      return -1;
    const Tensor& tensor = graph_.tensor(result);
    const bool point_by_point = AnchorOf(reader).op->op_class == OpClass::kElementwise &&
                                tensor.type.shape == graph_.tensor(ResultOf(reader)).type.shape;
    if (AnchorOf(reader).inputs[0] != result && !point_by_point) return -1;
    const std::optional<std::vector<int64_t>> shape = ConstantShape(tensor.layout.PhysicalShape(tensor.type.shape));
    if (!shape || tensor.layout.BlockOf(1) != graph_.tensor(ResultOf(reader)).layout.BlockOf(1)) return -1;
    int64_t bytes = DTypeBytes(tensor.type.dtype);
    for (const int64_t extent : *shape) bytes *= extent;
    const double near = kLevelShare * static_cast<double>(target_.row->l2_bytes);
    return threads_ > 1 || static_cast<double>(bytes) > near ? reader : -1;
  }

  std::vector<int> NodesOf(const std::vector<int>& chain, size_t begin, size_t end) const {
    std::vector<int> nodes;
    for (size_t i = begin; i < end; ++i) nodes.insert(nodes.end(), groups_[chain[i]].begin(), groups_[chain[i]].end());
    std::sort(nodes.begin(), nodes.end());
    return nodes;
  }

  // The cheapest cut of a chain, by dynamic programming over where its last part begins.
  void Cut(const std::vector<int>& chain, std::vector<std::vector<int>>* joined) const {
    std::vector<double> least(chain.size() + 1, std::numeric_limits<double>::infinity());
    std::vector<size_t> begin_of(chain.size() + 1, 0);
    least[0] = 0;
    for (size_t end = 1; end <= chain.size() && chain.size() > 1; ++end) {
      for (size_t links = 1; links <= std::min(end, kMostJoined); ++links) {
        const size_t begin = end - links;
        const double price = seconds_(NodesOf(chain, begin, end));
        const double total = least[begin] + price * (links > 1 ? kDoubt : 1);
        if ((links > 1 && price <= 0) || total >= least[end]) continue;
        least[end] = total;
        begin_of[end] = begin;
      }
    }
    for (size_t end = chain.size(); end > 0; end = begin_of[end]) joined->push_back(NodesOf(chain, begin_of[end], end));
  }

  const Graph& graph_;
  const Target& target_;
  const int threads_;
  const std::vector<std::vector<int>> groups_;
  const PriceOfNodes& seconds_;
  std::vector<int> group_of_;              // by node; -1: a view
  std::vector<std::vector<int>> users_;    // nodes by tensor
  std::set<TensorId> shared_;              // tensors whose bytes are another's too
};

}  // namespace

std::vector<std::vector<int>> JoinIntoStrips(const Graph& graph, const MemoryViews& views,
                                             const Target& target, int threads,
                                             std::vector<std::vector<int>> groups,
                                             const PriceOfNodes& seconds) {
  return StripJoiner(graph, views, target, threads, std::move(groups), seconds).Run();
}

}  // namespace hone
