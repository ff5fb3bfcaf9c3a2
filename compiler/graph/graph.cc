#include "compiler/graph/graph.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace hone {

ConstantRef MakeConstant(DType dtype, std::vector<int64_t> dims, std::vector<uint8_t> bytes) {
  auto storage = std::make_shared<const std::vector<uint8_t>>(std::move(bytes));
  auto constant = std::make_shared<ConstantData>();
  constant->dtype = dtype;
  constant->dims = std::move(dims);
  constant->data = storage->data();
  constant->size = storage->size();
  constant->owner = std::move(storage);
  return constant;
}

bool IsWrittenByValue(const ConstantData& constant) {
  int64_t elements = 1;
  for (const int64_t dim : constant.dims) elements *= dim;
  if (constant.data == nullptr || elements < 1 || elements > kMaxElementsByValue) return false;
  const size_t size = static_cast<size_t>(DTypeBytes(constant.dtype));
  for (int64_t i = 1; i < elements; ++i) {
    if (std::memcmp(constant.data, constant.data + static_cast<size_t>(i) * size, size) != 0) return false;
  }
  return true;
}

TensorId Graph::AddInput(std::string name, TensorType type) {
  const TensorId id{tensor_count()};
  Layout layout = Layout::Plain(type.rank());
  tensors_.push_back({std::move(name), std::move(type), std::move(layout), nullptr, NodeId{}});
  inputs_.push_back(id);
  return id;
}

TensorId Graph::AddConstant(std::string name, ConstantRef constant) {
  const TensorId id{tensor_count()};
  TensorType type{constant->dtype, {constant->dims.begin(), constant->dims.end()}};
  Layout layout = Layout::Plain(type.rank());
  tensors_.push_back({std::move(name), std::move(type), std::move(layout), std::move(constant), NodeId{}});
  return id;
}

absl::StatusOr<std::vector<TensorId>> Graph::AddNode(std::string_view op, std::vector<TensorId> inputs,
                                                     AttrMap attrs, std::string name) {
  const OpRow* row = FindOp(op);
  const auto fault = [&](const std::string& what) {
    return absl::InvalidArgumentError(absl::StrCat("node '", name, "' (", std::string(op), "): ", what));
  };
  if (row == nullptr) return absl::InternalError(absl::StrCat("no operator '", std::string(op), "'"));
  const int count = static_cast<int>(inputs.size());
  if (count < row->min_inputs || count > row->max_inputs)
    return fault(absl::StrCat("has ", count, " inputs"));
  std::vector<TensorType> types;
  for (const TensorId input : inputs) {
    if (input.index < 0 || input.index >= tensor_count())
      return fault("reads a tensor that is not in the graph");
    types.push_back(tensors_[input.index].type);
  }
  absl::StatusOr<std::vector<TensorType>> result = row->infer(attrs, types);
  if (!result.ok())
    return absl::Status(result.status().code(), fault(std::string(result.status().message())).message());
  const NodeId id{node_count()};
  Node node{row, std::move(attrs), std::move(inputs), {}, name};
  for (size_t i = 0; i < result->size(); ++i) {
    node.outputs.push_back({tensor_count()});
    Layout layout = Layout::Plain((*result)[i].rank());
    tensors_.push_back({i == 0 ? name : absl::StrCat(name, ".", i), std::move((*result)[i]),
                        std::move(layout), nullptr, id});
  }
  nodes_.push_back(std::move(node));
  return nodes_.back().outputs;
}

SymbolRef Graph::AddSymbol(SymbolRef symbol) { return symbols_.emplace(symbol->name, symbol).first->second; }

std::vector<NodeId> Graph::UsersOf(TensorId id) const {
  std::vector<NodeId> users;
  for (int i = 0; i < node_count(); ++i) {
    const std::vector<TensorId>& inputs = nodes_[i].inputs;
    if (std::find(inputs.begin(), inputs.end(), id) != inputs.end()) users.push_back({i});
  }
  return users;
}

void Graph::ReplaceUses(TensorId from, TensorId to) {
  for (Node& node : nodes_) std::replace(node.inputs.begin(), node.inputs.end(), from, to);
  std::replace(outputs_.begin(), outputs_.end(), from, to);
}

namespace {

// Depth-first over producers without recursion (models may be deep). Ready nodes keep their old relative
// order as far as dependences allow. Nodes on a cycle are left out.
std::vector<int> LiveOrder(const Graph& graph) {
  enum : uint8_t { kNew, kOpen, kDone };
  std::vector<uint8_t> state(static_cast<size_t>(graph.node_count()), kNew);
  std::vector<bool> live(state.size(), false);
  std::vector<int> stack, order;
  const auto push = [&](TensorId id) {
    const int node = graph.tensor(id).producer.index;
    if (node >= 0 && !live[node]) {
      live[node] = true;
      stack.push_back(node);
    }
  };
  for (const TensorId output : graph.outputs()) push(output);
  while (!stack.empty()) {
    const int node = stack.back();
    stack.pop_back();
    for (const TensorId input : graph.node({node}).inputs) push(input);
  }
  for (int root = 0; root < graph.node_count(); ++root) {
    if (!live[root] || state[root] != kNew) continue;
    stack = {root};
    while (!stack.empty()) {
      const int node = stack.back();
      if (state[node] == kDone) {
        stack.pop_back();
        continue;
      }
      if (state[node] == kOpen) {
        state[node] = kDone;
        order.push_back(node);
        stack.pop_back();
        continue;
      }
      state[node] = kOpen;
      for (const TensorId input : graph.node({node}).inputs) {
        const int producer = graph.tensor(input).producer.index;
        if (producer >= 0 && state[producer] == kNew) stack.push_back(producer);
      }
    }
  }
  return order;
}

}  // namespace

void Graph::Compact() {
  const std::vector<int> order = LiveOrder(*this);
  std::vector<bool> used(tensors_.size(), false);
  for (const TensorId id : inputs_) used[id.index] = true;
  for (const TensorId id : outputs_) used[id.index] = true;
  for (const int node : order) {
    for (const TensorId id : nodes_[node].inputs) used[id.index] = true;
    for (const TensorId id : nodes_[node].outputs) used[id.index] = true;
  }
  // Ids of tensors follow their old order, so constants keep theirs.
  std::vector<int> renumbered(tensors_.size(), -1);
  std::vector<Tensor> tensors;
  for (size_t i = 0; i < tensors_.size(); ++i) {
    if (!used[i]) continue;
    renumbered[i] = static_cast<int>(tensors.size());
    tensors.push_back(std::move(tensors_[i]));
    tensors.back().producer = NodeId{};
  }
  const auto rename = [&](std::vector<TensorId>& ids) {
    for (TensorId& id : ids) id.index = renumbered[id.index];
  };
  std::vector<Node> nodes;
  for (const int index : order) {
    Node& node = nodes.emplace_back(std::move(nodes_[index]));
    rename(node.inputs);
    rename(node.outputs);
    for (const TensorId id : node.outputs) tensors[id.index].producer = {static_cast<int>(nodes.size()) - 1};
  }
  rename(inputs_);
  rename(outputs_);
  tensors_ = std::move(tensors);
  nodes_ = std::move(nodes);
}

absl::Status Graph::Verify() const {
  std::vector<bool> written(tensors_.size(), false);
  for (size_t i = 0; i < tensors_.size(); ++i) {
    written[i] = tensors_[i].producer.index < 0;
    if (tensors_[i].layout.rank() != tensors_[i].type.rank()) {
      return absl::InternalError(absl::StrCat("tensor '", tensors_[i].name, "': layout of another rank"));
    }
  }
  for (int i = 0; i < node_count(); ++i) {
    const Node& node = nodes_[i];
    const auto fault = [&](const std::string& what) {
      return absl::InternalError(
          absl::StrCat("node '", node.name, "' (", std::string(node.op->name), "): ", what));
    };
    std::vector<TensorType> types;
    for (const TensorId id : node.inputs) {
      if (!written[id.index])
        return fault(absl::StrCat("reads '", tensors_[id.index].name, "' before it is written"));
      types.push_back(tensors_[id.index].type);
    }
    const absl::StatusOr<std::vector<TensorType>> inferred = node.op->infer(node.attrs, types);
    if (!inferred.ok()) return fault(std::string(inferred.status().message()));
    if (inferred->size() != node.outputs.size()) return fault("number of outputs");
    for (size_t k = 0; k < node.outputs.size(); ++k) {
      const TensorId id = node.outputs[k];
      if (written[id.index]) return fault(absl::StrCat("writes '", tensors_[id.index].name, "' again"));
      if (tensors_[id.index].producer != NodeId{i}) return fault("is not the producer of its output");
      if (!(tensors_[id.index].type == (*inferred)[k])) return fault("type of the output");
      written[id.index] = true;
    }
  }
  for (const TensorId id : outputs_) {
    if (!written[id.index])
      return absl::InternalError(absl::StrCat("output '", tensors_[id.index].name, "' is not written"));
  }
  return absl::OkStatus();
}

}  // namespace hone
