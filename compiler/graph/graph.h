#pragma once

#include <compare>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "compiler/dim_expr/dim_expr.h"
#include "compiler/layout/layout.h"
#include "compiler/ops/op.h"

namespace hone {

struct TensorId {
  int index = -1;
  auto operator<=>(const TensorId&) const = default;
};
struct NodeId {
  int index = -1;
  auto operator<=>(const NodeId&) const = default;
};

// Bytes of a constant, dense row-major; shared, possibly a view into a mapped file that `owner` keeps alive.
struct ConstantData {
  DType dtype = DType::kF32;
  std::vector<int64_t> dims;
  std::shared_ptr<const void> owner;
  const uint8_t* data = nullptr;  // null: known by dtype and shape only
  size_t size = 0;
};
using ConstantRef = std::shared_ptr<const ConstantData>;
ConstantRef MakeConstant(DType dtype, std::vector<int64_t> dims, std::vector<uint8_t> bytes);

// Up to 8 equal elements: such constants are part of a program's text (bounds of a clip, an epsilon, a
// scale). Others are known by dtype and shape: a bias of 8 channels is an operand, not code.
constexpr int64_t kMaxElementsByValue = 8;
bool IsWrittenByValue(const ConstantData& constant);

// SSA: written by one node, or an input, or a constant.
struct Tensor {
  std::string name;
  TensorType type;
  Layout layout;         // plain until layouts are assigned
  ConstantRef constant;  // null unless constant
  NodeId producer;       // invalid for inputs and constants
};

struct Node {
  const OpRow* op = nullptr;
  AttrMap attrs;
  std::vector<TensorId> inputs;
  std::vector<TensorId> outputs;
  std::string name;  // of the source node, for messages
};

// A model as an SSA graph of the normalised operator set. Nodes are kept in topological order. Ids stay valid
// until Compact(). Not thread-safe while changed.
class Graph {
 public:
  TensorId AddInput(std::string name, TensorType type);
  TensorId AddConstant(std::string name, ConstantRef constant);
  // Infers the output types from the operator's row; the error names the node. Output names derive from
  // `name`.
  absl::StatusOr<std::vector<TensorId>> AddNode(std::string_view op, std::vector<TensorId> inputs,
                                                AttrMap attrs, std::string name);
  SymbolRef AddSymbol(SymbolRef symbol);  // unique by name: returns the one already there
  void ClearSymbols() { symbols_.clear(); }
  void SetOutputs(std::vector<TensorId> outputs) { outputs_ = std::move(outputs); }

  const Tensor& tensor(TensorId id) const { return tensors_[id.index]; }
  Tensor& tensor(TensorId id) { return tensors_[id.index]; }
  const Node& node(NodeId id) const { return nodes_[id.index]; }
  Node& node(NodeId id) { return nodes_[id.index]; }
  int tensor_count() const { return static_cast<int>(tensors_.size()); }
  int node_count() const { return static_cast<int>(nodes_.size()); }
  const std::vector<TensorId>& inputs() const { return inputs_; }
  const std::vector<TensorId>& outputs() const { return outputs_; }
  const std::map<std::string, SymbolRef>& symbols() const { return symbols_; }

  std::vector<NodeId> UsersOf(TensorId id) const;
  void ReplaceUses(TensorId from, TensorId to);  // graph outputs too
  void Compact();               // drops unreachable nodes and tensors, renumbers, keeps order topological
  absl::Status Verify() const;  // Internal, naming the node
  std::string ToString() const;
  // Constants come back without bytes (data is null) unless written by value.
  static absl::StatusOr<Graph> Parse(std::string_view text);

 private:
  std::vector<Tensor> tensors_;
  std::vector<Node> nodes_;
  std::vector<TensorId> inputs_, outputs_;
  std::map<std::string, SymbolRef> symbols_;
};

}  // namespace hone
