#pragma once

#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "compiler/graph/graph.h"

// What passes ask about the surroundings of a node.
namespace hone {

// The node that writes `id` if it is operator `op`; null otherwise.
const Node* ProducerIf(const Graph& graph, TensorId id, std::string_view op);
bool IsGraphOutput(const Graph& graph, TensorId id);
// Used once, by one node, and no output of the graph.
bool HasOneUse(const Graph& graph, TensorId id);

const ConstantData* ConstantOf(const Graph& graph, TensorId id);  // with bytes; null otherwise
// Elements of an f32 constant; nullopt otherwise.
std::optional<std::vector<float>> Floats(const Graph& graph, TensorId id);
std::optional<float> SplatFloat(const Graph& graph, TensorId id);  // all elements equal (at most 8)
// A constant as one value per channel of `shape`; nullopt if it varies along other dimensions than `axis`.
std::optional<std::vector<float>> PerChannel(const Graph& graph, TensorId id,
                                             const std::vector<DimExpr>& shape, int axis);
TensorId AddFloats(Graph& graph, const std::string& name, std::vector<int64_t> dims,
                   const std::vector<float>& values);
// The elements of a constant from `begin` to before `end`, in every dimension.
TensorId SliceConstant(Graph& graph, TensorId id, const std::vector<int64_t>& begin,
                       const std::vector<int64_t>& end);

// For a binary node: which operand is constant (0 or 1), if exactly one is; -1 otherwise.
int ConstantOperand(const Graph& graph, const Node& node);

// A convolution by constant weights, in one group.
bool IsDenseConvolution(const Graph& graph, const Node& node);
// ... of one tap and without padding.
bool IsPointwise(const Graph& graph, const Node& node);

// What an elementwise node works on point by point: its result, and the operands of the same shape.
std::vector<TensorId> PointByPoint(const Graph& graph, const Node& node);

// Visits the nodes forwards and backwards until nothing changes.
void Spread(const Graph& graph, const std::function<bool(const Node&)>& visit);

// The one dimension that a slice with steps of one cuts (nullopt for others, and if it takes all).
std::optional<int> CutDimension(const Graph& graph, const Node& slice);

}  // namespace hone
