#include "compiler/tensor_program/scalar_evaluator.h"

#include <algorithm>

namespace hone {

IndexExpr::IndexExpr(const DimExpr& expr, std::span<const SymbolRef> axes, const std::map<SymbolRef, int64_t>& symbols) {
  for (const DimExpr::Term& term : expr.terms()) {
    uint64_t coefficient = static_cast<uint64_t>(term.coefficient);
    std::vector<Factor> factors;
    for (const DimExpr::AtomRef& atom : term.factors) {
      if (atom->kind != DimExpr::Atom::Kind::kSymbol) {
        parts_.emplace_back(atom->a, axes, symbols);
        parts_.emplace_back(atom->b, axes, symbols);
        const int last = static_cast<int>(parts_.size()) - 1;
        factors.push_back({atom->kind, -1, last - 1, last});
        continue;
      }
      const auto axis = std::find(axes.begin(), axes.end(), atom->symbol);
      const auto bound = symbols.find(atom->symbol);
      if (axis != axes.end()) {
        factors.push_back({atom->kind, static_cast<int>(axis - axes.begin())});
      } else if (bound != symbols.end()) {
        coefficient *= static_cast<uint64_t>(bound->second);
      } else {
        coefficient = 0;
      }
    }
    const int64_t scale = static_cast<int64_t>(coefficient);
    if (factors.empty()) {
      constant_ = static_cast<int64_t>(static_cast<uint64_t>(constant_) + coefficient);
    } else if (factors.size() == 1 && factors[0].axis >= 0) {
      strides_.emplace_back(factors[0].axis, scale);
    } else {
      products_.push_back({scale, std::move(factors)});
    }
  }
}

uint64_t IndexExpr::Products(std::span<const int64_t> axes) const {
  const auto value = [&](const Factor& factor) -> int64_t {
    if (factor.kind == DimExpr::Atom::Kind::kSymbol) return axes[factor.axis];
    const int64_t a = parts_[factor.a].At(axes), b = parts_[factor.b].At(axes);
    if (factor.kind == DimExpr::Atom::Kind::kMin) return std::min(a, b);
    if (factor.kind == DimExpr::Atom::Kind::kMax) return std::max(a, b);
    if (b <= 0) return 0;
    const int64_t remainder = a % b + (a % b < 0 ? b : 0);
    return factor.kind == DimExpr::Atom::Kind::kMod ? remainder : a / b - (a % b < 0 ? 1 : 0);
  };
  uint64_t sum = 0;
  for (const Product& product : products_) {
    uint64_t term = static_cast<uint64_t>(product.coefficient);
    for (const Factor& factor : product.factors) term *= static_cast<uint64_t>(value(factor));
    sum += term;
  }
  return sum;
}

bool IndexExpr::Within(int64_t size, std::span<const int64_t> extents) const {
  if (!affine()) return false;
  int64_t least = constant_, most = constant_;
  for (const auto& [axis, stride] : strides_) {
    int64_t reach = 0;
    if (__builtin_mul_overflow(stride, std::max<int64_t>(0, extents[axis] - 1), &reach)) return false;
    if (__builtin_add_overflow(reach < 0 ? least : most, reach, reach < 0 ? &least : &most)) return false;
  }
  return least >= 0 && most < size;
}

void IndexExpr::AddScaled(const IndexExpr& other, int64_t scale) {
  constant_ += other.constant_ * scale;
  for (const auto& [axis, stride] : other.strides_) {
    const auto same = std::find_if(strides_.begin(), strides_.end(), [a = axis](const auto& s) { return s.first == a; });
    if (same == strides_.end()) {
      strides_.emplace_back(axis, stride * scale);
    } else {
      same->second += stride * scale;
    }
  }
}

ScalarEvaluator::ScalarEvaluator(const ScalarRef& scalar, const Scope& scope, const Fetch& fetch) : fetch_(fetch) {
  root_ = Add(scalar, scope);
  known_.clear();
}

void ScalarEvaluator::AddLoad(const Scalar& load, const Scope& scope, Node* node) {
  node->tensor = load.tensor;
  const std::vector<int64_t>& shape = scope.shapes[load.tensor];
  node->empty = std::find(shape.begin(), shape.end(), 0) != shape.end();
  if (node->empty) return;
  int64_t stride = 1;
  for (size_t d = shape.size(); d-- > 0; stride *= shape[d]) {
    if (const ScalarRef* computed = std::get_if<ScalarRef>(&load.indices[d])) {
      const int index = Add(*computed, scope);
      node->computed.push_back({index, shape[d], stride});
      continue;
    }
    IndexExpr index(std::get<DimExpr>(load.indices[d]), scope.axes, scope.symbols);
    if (index.Within(shape[d], scope.extents)) {
      node->index.AddScaled(index, stride);
    } else {
      node->checked.push_back({std::move(index), shape[d], stride});
    }
  }
}

int ScalarEvaluator::Add(const ScalarRef& scalar, const Scope& scope) {
  const auto known = known_.find(scalar.get());
  if (known != known_.end()) return known->second;
  Node node{.kind = scalar->kind, .dtype = scalar->dtype, .operand_dtype = scalar->dtype};
  node.unary = scalar->unary;
  node.binary = scalar->binary;
  node.parameter = scalar->parameter;
  if (scalar->kind == Scalar::Kind::kReal) node.value = {scalar->real, 0};
  if (scalar->kind == Scalar::Kind::kInteger) node.value = {0, scalar->integer};
  if (scalar->kind == Scalar::Kind::kIndex) node.index = IndexExpr(scalar->index, scope.axes, scope.symbols);
  if (scalar->kind == Scalar::Kind::kLoad) AddLoad(*scalar, scope, &node);
  for (const ScalarRef& operand : scalar->operands) node.operands.push_back(Add(operand, scope));
  if (!scalar->operands.empty()) node.operand_dtype = scalar->operands[0]->dtype;
  nodes_.push_back(std::move(node));
  const int id = static_cast<int>(nodes_.size()) - 1;
  known_.emplace(scalar.get(), id);
  return id;
}

Number ScalarEvaluator::LoadAt(const Node& node, std::span<const int64_t> axes, std::span<const Number> parameters) const {
  if (node.empty) return fetch_(node.tensor, -1);
  int64_t element = node.index.At(axes);
  for (const Checked& checked : node.checked) {
    const int64_t index = checked.index.At(axes);
    if (index < 0 || index >= checked.extent) return fetch_(node.tensor, -1);
    element += index * checked.stride;
  }
  for (const Computed& computed : node.computed) {
    const int64_t index = At(computed.node, axes, parameters).integer;
    const bool huge = index < 0 && nodes_[computed.node].dtype == DType::kU64;
    element += (huge ? computed.extent - 1 : std::clamp<int64_t>(index, 0, computed.extent - 1)) * computed.stride;
  }
  return fetch_(node.tensor, element);
}

Number ScalarEvaluator::At(int n, std::span<const int64_t> axes, std::span<const Number> parameters) const {
  const Node& node = nodes_[n];
  switch (node.kind) {
    case Scalar::Kind::kReal:
    case Scalar::Kind::kInteger: return node.value;
    case Scalar::Kind::kIndex: return {0, node.index.At(axes)};
    case Scalar::Kind::kParameter: return parameters[node.parameter];
    case Scalar::Kind::kLoad: return LoadAt(node, axes, parameters);
    case Scalar::Kind::kSelect:
      return At(node.operands[At(node.operands[0], axes, parameters).integer != 0 ? 1 : 2], axes, parameters);
    case Scalar::Kind::kCast: return CastNumber(At(node.operands[0], axes, parameters), node.operand_dtype, node.dtype);
    case Scalar::Kind::kUnary: return ApplyUnary(node.unary, At(node.operands[0], axes, parameters), node.operand_dtype);
    case Scalar::Kind::kBinary: break;
  }
  const Number a = At(node.operands[0], axes, parameters);
  // The second operand of a decided condition may be an index outside its tensor.
  if (node.binary == BinaryOp::kAnd && a.integer == 0) return {};
  const Number b = At(node.operands[1], axes, parameters);
  if (IsFloat(node.operand_dtype)) {
    if (node.binary == BinaryOp::kMul) return {a.real * b.real, 0};
    if (node.binary == BinaryOp::kAdd) return {a.real + b.real, 0};
  }
  return ApplyBinary(node.binary, a, b, node.operand_dtype);
}

}  // namespace hone
