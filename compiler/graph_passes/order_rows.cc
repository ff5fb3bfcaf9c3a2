// Threads share out the rows of an image. With blocks of channels outermost, one thread's rows of a block lie
// between another's, and what the hardware fetches ahead of a small piece is the other's: it is taken from
// that core's cache and has to go back. Two threads copy 384x14x14 in blocks of 16 channels no faster than
// one, 960x7x7 at 0.4 of its speed, but at 1.8 and 1.6 times with rows outermost, where each thread's part is
// one piece.
#include <algorithm>

#include "compiler/graph_passes/graph_matching.h"
#include "compiler/graph_passes/memory_views.h"
#include "compiler/graph_passes/pass_table.h"

namespace hone {
namespace {

constexpr int kChannels = 1, kRows = 2, kColumns = 3;
constexpr int64_t kMostBlockBytes = 32 << 10;  // of an image: parts of larger ones are long pieces anyhow
constexpr int64_t kLeastRows = 2;              // of a thread

bool IsSmallImage(const Tensor& tensor, int threads) {
  const std::vector<DimExpr>& shape = tensor.type.shape;
  if (tensor.type.rank() != 4 || tensor.layout.IsPlain() || tensor.constant != nullptr) return false;
  if (!(shape[0] == DimExpr(1)) || !shape[kRows].IsConstant() || !shape[kColumns].IsConstant()) return false;
  const int64_t pixel = tensor.layout.BlockOf(kChannels) * DTypeBytes(tensor.type.dtype),
                rows = shape[kRows].Constant();
  return rows >= kLeastRows * threads && rows * shape[kColumns].Constant() <= kMostBlockBytes / pixel;
}

// Parts of concatenations and slices lie in a whole as blocks of channels do; what works element by element
// on them, and may be one task with its neighbours, has their layout.
std::vector<bool> FindViewed(const Graph& graph) {
  std::vector<bool> viewed(static_cast<size_t>(graph.tensor_count()));
  const MemoryViews views(graph);
  for (const ViewAlias& alias : views.aliases()) viewed[alias.view.index] = viewed[alias.of.index] = true;
  Spread(graph, [&](const Node& node) {
    if (node.op->op_class != OpClass::kElementwise) return false;
    const std::vector<TensorId> together = PointByPoint(graph, node);
    const auto is_viewed = [&](TensorId id) { return static_cast<bool>(viewed[id.index]); };
    const auto count = std::count_if(together.begin(), together.end(), is_viewed);
    if (count == 0 || count == std::ssize(together)) return false;
    for (const TensorId id : together) viewed[id.index] = true;
    return true;
  });
  return viewed;
}

}  // namespace

absl::Status OrderRows(Graph& graph, const PassOptions& options) {
  if (options.threads == 1) return absl::OkStatus();
  const std::vector<bool> viewed = FindViewed(graph);
  for (int i = 0; i < graph.tensor_count(); ++i) {
    Tensor& tensor = graph.tensor({i});
    if (viewed[i] || !IsSmallImage(tensor, options.threads)) continue;
    tensor.layout = Layout::BlockedRows(tensor.layout.BlockOf(kChannels));
  }
  return absl::OkStatus();
}

}  // namespace hone
