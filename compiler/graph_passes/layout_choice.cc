#include "compiler/graph_passes/layout_choice.h"

#include <algorithm>
#include <map>

#include "compiler/graph_passes/graph_matching.h"

namespace hone {
namespace {

constexpr int kChannelDim = 1;

// Operators that slide over or resample an image.
bool IsImageOp(const Node& node) {
  return node.attrs.contains("strides") || node.attrs.contains("coordinates");
}

bool IsChannelConcat(const Graph& graph, const Node& node) {
  return node.op->op_class == OpClass::kData && node.inputs.size() > 1 &&
         IntAttr(node.attrs, "axis", -1) == kChannelDim &&
         graph.tensor(node.inputs[0]).type.dtype == graph.tensor(node.inputs[1]).type.dtype;
}

// Padding, slices and the like: results of the same rank.
bool MovesWithinImage(const Node& node) {
  return node.op->op_class == OpClass::kData &&
         (node.attrs.contains("pads") || node.attrs.contains("starts") || node.attrs.contains("groups") ||
          node.attrs.contains("block"));
}

// What is an image if one of them is: through elementwise operators, concatenation of channels and what moves
// pixels or channels.
std::vector<TensorId> Companions(const Graph& graph, const Node& node) {
  if (node.op->op_class == OpClass::kElementwise) return PointByPoint(graph, node);
  std::vector<TensorId> linked = {node.outputs[0]};
  if (IsChannelConcat(graph, node) || MovesWithinImage(node)) {
    linked.insert(linked.end(), node.inputs.begin(), node.inputs.end());
  }
  return linked;
}

// One pixel has the same bytes in either layout.
bool MayBeImage(const Tensor& tensor) {
  const std::vector<DimExpr>& shape = tensor.type.shape;
  return shape.size() == 4 && tensor.type.dtype == DType::kF32 && tensor.constant == nullptr &&
         shape[kChannelDim].IsConstant() && !(shape[2] == DimExpr(1) && shape[3] == DimExpr(1));
}

std::vector<bool> FindImages(const Graph& graph) {
  std::vector<bool> images(static_cast<size_t>(graph.tensor_count()));
  const auto mark = [&](TensorId id) {
    const bool changed = !images[id.index] && MayBeImage(graph.tensor(id));
    if (changed) images[id.index] = true;
    return changed;
  };
  for (int i = 0; i < graph.node_count(); ++i) {
    const Node& node = graph.node({i});
    if (!IsImageOp(node)) continue;
    mark(node.inputs[0]);
    mark(node.outputs[0]);
  }
  Spread(graph, [&](const Node& node) {
    const std::vector<TensorId> linked = Companions(graph, node);
    if (std::none_of(linked.begin(), linked.end(), [&](TensorId id) { return images[id.index]; }))
      return false;
    bool changed = false;
    for (const TensorId id : linked) changed = mark(id) || changed;
    return changed;
  });
  return images;
}

int64_t Channels(const Graph& graph, int tensor) {
  return graph.tensor({tensor}).type.shape[kChannelDim].Constant();
}

// Channels that are stored for so many.
int64_t Stored(int64_t channels, int64_t block) { return (channels + block - 1) / block * block; }

// What the interface or a node has in row-major order.
std::vector<bool> FindRowMajor(const Graph& graph) {
  std::vector<bool> row_major(static_cast<size_t>(graph.tensor_count()));
  for (const auto* ids : {&graph.inputs(), &graph.outputs()}) {
    for (const TensorId id : *ids) row_major[id.index] = true;
  }
  for (int i = 0; i < graph.node_count(); ++i) {
    const Node& node = graph.node({i});
    if (!ReadsBlocks(node)) {
      for (const TensorId id : node.inputs) row_major[id.index] = true;
    }
    if (node.op->op_class != OpClass::kView) continue;
    for (const TensorId id : node.outputs) row_major[id.index] = true;
  }
  return row_major;
}

bool FillsWidest(int64_t channels, const Target& target) {
  return 4 * channels >= 3 * Stored(channels, target.vector_width());
}

int64_t RuledBlock(int64_t channels, const Target& target) {
  if (FillsWidest(channels, target)) return target.vector_width();
  for (const int width : target.row->vector_widths) {
    if (channels % width == 0) return width;
  }
  return 0;
}

}  // namespace

std::vector<std::vector<int64_t>> BlockAlternatives(const Graph& graph, const Target& target) {
  const std::vector<bool> images = FindImages(graph);
  std::vector<std::vector<int64_t>> blocks(images.size(), {0});
  for (size_t i = 0; i < images.size(); ++i) {
    if (!images[i]) continue;
    const int64_t channels = Channels(graph, static_cast<int>(i));
    for (const int width : target.row->vector_widths) {
      const int64_t stored = Stored(channels, width),
                    least = blocks[i].back() == 0 ? 2 * channels + 1 : Stored(channels, blocks[i].back());
      if (stored < least) blocks[i].push_back(width);
    }
  }
  Spread(graph, [&](const Node& node) {
    bool changed = false;
    const std::vector<TensorId> linked = Companions(graph, node);
    for (const TensorId to : linked) {
      for (const TensorId from : linked) {
        for (const int64_t block : std::vector(blocks[from.index])) {
          std::vector<int64_t>& known = blocks[to.index];
          if (!images[to.index] || std::find(known.begin(), known.end(), block) != known.end()) continue;
          if (const int64_t channels = Channels(graph, to.index); Stored(channels, block) > 2 * channels)
            continue;
          known.push_back(block);
          changed = true;
        }
      }
    }
    return changed;
  });
  const std::vector<bool> row_major = FindRowMajor(graph);
  for (size_t i = 0; i < images.size(); ++i) {
    if (images[i] && !row_major[i] && FillsWidest(Channels(graph, static_cast<int>(i)), target))
      blocks[i].erase(blocks[i].begin());
  }
  return blocks;
}

bool ReadsBlocks(const Node& node) {
  switch (node.op->op_class) {
    case OpClass::kElementwise:
    case OpClass::kWindow:
    case OpClass::kData:
      return true;
    case OpClass::kContraction:
      return IsImageOp(node);
    case OpClass::kRow:
      return IntsAttr(node.attrs, "axes") == std::vector<int64_t>{2, 3};
    case OpClass::kView:
      return false;
  }
  return false;
}

LayoutChoice LayoutsByRule(const Graph& graph, const Target& target) {
  const std::vector<bool> images = FindImages(graph);
  std::vector<int64_t> blocks(images.size(), 0);
  for (size_t i = 0; i < images.size(); ++i) {
    if (images[i]) blocks[i] = RuledBlock(Channels(graph, static_cast<int>(i)), target);
  }
  LayoutChoice choice;
  for (int i = 0; i < graph.tensor_count(); ++i) {
    const NodeId producer = graph.tensor({i}).producer;
    const bool fixed = producer.index < 0 || graph.node(producer).op->op_class == OpClass::kView;
    choice.written.push_back(fixed ? 0 : blocks[i]);
  }
  for (int i = 0; i < graph.node_count(); ++i) {
    choice.read.emplace_back();
    for (const TensorId id : graph.node({i}).inputs) {
      choice.read.back().push_back(ReadsBlocks(graph.node({i})) ? blocks[id.index] : 0);
    }
  }
  return choice;
}

absl::Status ApplyLayouts(const LayoutChoice& choice, Graph* graph) {
  const int tensors = graph->tensor_count(), nodes = graph->node_count();
  for (int i = 0; i < tensors; ++i)
    graph->tensor({i}).layout = LayoutOf(graph->tensor({i}), choice.written[i]);
  std::map<std::pair<TensorId, int64_t>, TensorId> converted;
  const auto read_as = [&](TensorId id, int64_t block) -> absl::StatusOr<TensorId> {
    if (block == choice.written[id.index]) return id;
    if (const auto known = converted.find({id, block}); known != converted.end()) return known->second;
    absl::StatusOr<std::vector<TensorId>> copy =
        graph->AddNode("identity", {id}, {}, graph->tensor(id).name + ".layout");
    if (!copy.ok()) return copy.status();
    graph->tensor(copy->front()).layout = LayoutOf(graph->tensor(id), block);
    return converted[{id, block}] = copy->front();
  };
  for (int i = 0; i < nodes; ++i) {
    for (size_t operand = 0; operand < choice.read[i].size(); ++operand) {
      absl::StatusOr<TensorId> read = read_as(graph->node({i}).inputs[operand], choice.read[i][operand]);
      if (!read.ok()) return read.status();
      graph->node({i}).inputs[operand] = *read;
    }
  }
  std::vector<TensorId> outputs = graph->outputs();
  for (size_t i = 0; i < outputs.size(); ++i) {
    const TensorId output = outputs[i];
    const absl::StatusOr<TensorId> read = read_as(output, 0);
    if (!read.ok()) return read.status();
    if (*read == output) continue;
    std::replace(outputs.begin(), outputs.end(), output, *read);
    std::swap(graph->tensor(output).name, graph->tensor(*read).name);
  }
  graph->SetOutputs(std::move(outputs));
  return absl::OkStatus();
}

Layout LayoutOf(const Tensor& tensor, int64_t block) {
  return block == 0 ? Layout::Plain(tensor.type.rank())
                    : Layout::Blocked(tensor.type.rank(), kChannelDim, block);
}

}  // namespace hone
