#include "compiler/tensor_program/scalar_evaluator.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace hone {
namespace {

bool IsUnsigned(DType dtype) {
  return dtype == DType::kU8 || dtype == DType::kU16 || dtype == DType::kU32 || dtype == DType::kU64;
}

Number RealNumber(double value) { return {value, 0}; }
Number IntegerNumber(int64_t value) { return {0, value}; }

double RealUnary(UnaryOp op, double x) {
  switch (op) {
    case UnaryOp::kNeg: return -x;
    case UnaryOp::kAbs: return std::fabs(x);
    case UnaryOp::kExp: return std::exp(x);
    case UnaryOp::kLog: return std::log(x);
    case UnaryOp::kSqrt: return std::sqrt(x);
    case UnaryOp::kRsqrt: return 1 / std::sqrt(x);
    case UnaryOp::kReciprocal: return 1 / x;
    case UnaryOp::kTanh: return std::tanh(x);
    case UnaryOp::kErf: return std::erf(x);
    case UnaryOp::kSigmoid: return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x));
    case UnaryOp::kSin: return std::sin(x);
    case UnaryOp::kCos: return std::cos(x);
    case UnaryOp::kTan: return std::tan(x);
    case UnaryOp::kAsin: return std::asin(x);
    case UnaryOp::kAcos: return std::acos(x);
    case UnaryOp::kAtan: return std::atan(x);
    case UnaryOp::kSinh: return std::sinh(x);
    case UnaryOp::kCosh: return std::cosh(x);
    case UnaryOp::kAsinh: return std::asinh(x);
    case UnaryOp::kAcosh: return std::acosh(x);
    case UnaryOp::kAtanh: return std::atanh(x);
    case UnaryOp::kFloor: return std::floor(x);
    case UnaryOp::kCeil: return std::ceil(x);
    case UnaryOp::kRound: return std::nearbyint(x);
    case UnaryOp::kSign: return std::isnan(x) ? x : static_cast<double>((x > 0) - (x < 0));
    default: return std::numeric_limits<double>::quiet_NaN();
  }
}

int64_t IntegerUnary(UnaryOp op, int64_t x, DType dtype) {
  switch (op) {
    case UnaryOp::kNeg: return Wrap(static_cast<int64_t>(0 - static_cast<uint64_t>(x)), dtype);
    case UnaryOp::kAbs: return x < 0 && !IsUnsigned(dtype) ? Wrap(static_cast<int64_t>(0 - static_cast<uint64_t>(x)), dtype) : x;
    case UnaryOp::kSign: return (x > 0) - (x < 0);
    case UnaryOp::kNot: return x == 0;
    case UnaryOp::kBitNot: return Wrap(~x, dtype);
    default: return x;
  }
}

double RealBinary(BinaryOp op, double a, double b) {
  switch (op) {
    case BinaryOp::kAdd: return a + b;
    case BinaryOp::kSub: return a - b;
    case BinaryOp::kMul: return a * b;
    case BinaryOp::kDiv: return a / b;
    case BinaryOp::kMod: return a - std::floor(a / b) * b;
    case BinaryOp::kFmod: return std::fmod(a, b);
    case BinaryOp::kPow: return std::pow(a, b);
    case BinaryOp::kMin: return std::isnan(a) || std::isnan(b) ? a + b : std::min(a, b);
    case BinaryOp::kMax: return std::isnan(a) || std::isnan(b) ? a + b : std::max(a, b);
    default: return std::numeric_limits<double>::quiet_NaN();
  }
}

bool Compares(BinaryOp op, double a, double b) {
  return op == BinaryOp::kLess ? a < b : op == BinaryOp::kLessEqual ? a <= b : a == b;
}

bool ComparesIntegers(BinaryOp op, int64_t a, int64_t b, DType dtype) {
  if (op == BinaryOp::kEqual) return a == b;
  const bool less = IsUnsigned(dtype) ? static_cast<uint64_t>(a) < static_cast<uint64_t>(b) : a < b;
  return op == BinaryOp::kLess ? less : less || a == b;
}

int64_t Divide(int64_t a, int64_t b, DType dtype, bool remainder) {
  if (b == 0) return 0;
  if (IsUnsigned(dtype)) {
    const uint64_t x = static_cast<uint64_t>(a), y = static_cast<uint64_t>(b);
    return static_cast<int64_t>(remainder ? x % y : x / y);
  }
  if (b == -1) return remainder ? 0 : Wrap(static_cast<int64_t>(0 - static_cast<uint64_t>(a)), dtype);
  return remainder ? a % b : a / b;
}

int64_t IntegerBinary(BinaryOp op, int64_t a, int64_t b, DType dtype) {
  const uint64_t x = static_cast<uint64_t>(a), y = static_cast<uint64_t>(b);
  const auto wrap = [&](uint64_t value) { return Wrap(static_cast<int64_t>(value), dtype); };
  const bool less = ComparesIntegers(BinaryOp::kLess, a, b, dtype);
  switch (op) {
    case BinaryOp::kAdd: return wrap(x + y);
    case BinaryOp::kSub: return wrap(x - y);
    case BinaryOp::kMul: return wrap(x * y);
    case BinaryOp::kDiv: return Divide(a, b, dtype, false);
    case BinaryOp::kFmod: return Divide(a, b, dtype, true);
    case BinaryOp::kMod: {
      const int64_t remainder = Divide(a, b, dtype, true);
      return !IsUnsigned(dtype) && remainder != 0 && (remainder < 0) != (b < 0) ? remainder + b : remainder;
    }
    case BinaryOp::kPow: return wrap(static_cast<uint64_t>(static_cast<int64_t>(std::pow(static_cast<double>(a), static_cast<double>(b)))));
    case BinaryOp::kMin: return less ? a : b;
    case BinaryOp::kMax: return less ? b : a;
    case BinaryOp::kAnd:
    case BinaryOp::kBitAnd: return a & b;
    case BinaryOp::kOr:
    case BinaryOp::kBitOr: return a | b;
    case BinaryOp::kXor:
    case BinaryOp::kBitXor: return a ^ b;
    case BinaryOp::kShiftLeft: return y < 64 ? wrap(x << y) : 0;
    case BinaryOp::kShiftRight: return y < 64 ? (IsUnsigned(dtype) ? wrap(x >> y) : a >> y) : 0;
    default: return 0;
  }
}

// Float to integer truncates and saturates.
int64_t Saturate(double value, DType dtype) {
  if (std::isnan(value)) return 0;
  const int bits = static_cast<int>(8 * DTypeBytes(dtype));
  const double top = std::ldexp(1.0, IsUnsigned(dtype) ? bits : bits - 1);
  const double low = IsUnsigned(dtype) ? 0 : -top;
  if (value <= low) return IsUnsigned(dtype) ? 0 : bits == 64 ? std::numeric_limits<int64_t>::min() : -(int64_t{1} << (bits - 1));
  if (value >= top) {
    if (IsUnsigned(dtype)) return bits == 64 ? -1 : static_cast<int64_t>((uint64_t{1} << bits) - 1);
    return bits == 64 ? std::numeric_limits<int64_t>::max() : (int64_t{1} << (bits - 1)) - 1;
  }
  return IsUnsigned(dtype) ? static_cast<int64_t>(static_cast<uint64_t>(value)) : static_cast<int64_t>(value);
}

Number CastNumber(const Number& x, DType from, DType to) {
  if (IsFloat(from)) {
    if (IsFloat(to)) return x;
    return IntegerNumber(to == DType::kBool ? x.real != 0 : Saturate(x.real, to));
  }
  if (IsFloat(to)) {
    return RealNumber(from == DType::kU64 ? static_cast<double>(static_cast<uint64_t>(x.integer)) : static_cast<double>(x.integer));
  }
  return IntegerNumber(to == DType::kBool ? x.integer != 0 : Wrap(x.integer, to));
}

}  // namespace

Number NumberOf(DType dtype, double value) {
  return IsFloat(dtype) ? RealNumber(value) : IntegerNumber(Saturate(value, dtype));
}

int64_t Wrap(int64_t value, DType dtype) {
  switch (dtype) {
    case DType::kI8: return static_cast<int8_t>(value);
    case DType::kI16: return static_cast<int16_t>(value);
    case DType::kI32: return static_cast<int32_t>(value);
    case DType::kU8: return static_cast<uint8_t>(value);
    case DType::kU16: return static_cast<uint16_t>(value);
    case DType::kU32: return static_cast<uint32_t>(value);
    default: return value;
  }
}

ScalarEvaluator::ScalarEvaluator(const ScalarRef& scalar, std::span<const SymbolRef> axes,
                                 const std::map<SymbolRef, int64_t>& symbols,
                                 const std::vector<std::vector<int64_t>>& shapes, const Fetch& fetch)
    : axes_(axes.begin(), axes.end()), symbols_(symbols), shapes_(shapes), fetch_(fetch) {
  root_ = Add(scalar);
}

ScalarEvaluator::Affine ScalarEvaluator::Flatten(const DimExpr& expr) const {
  std::map<SymbolRef, DimExpr> bound;
  for (const auto& [symbol, value] : symbols_) bound.emplace(symbol, DimExpr(value));
  DimExpr rest = bound.empty() ? expr : expr.Substitute(bound);
  Affine affine{.expr = rest};
  for (size_t a = 0; a < axes_.size(); ++a) {
    DimExpr without;
    const std::optional<int64_t> stride = rest.AffineCoefficient(axes_[a], &without);
    if (!stride) {
      affine.exact = false;
      return affine;
    }
    if (*stride != 0) affine.strides.emplace_back(static_cast<int>(a), *stride);
    rest = without;
  }
  affine.exact = rest.IsConstant();
  if (affine.exact) affine.constant = rest.Constant();
  return affine;
}

void ScalarEvaluator::AddLoad(const Scalar& load, Node* node) {
  node->tensor = load.tensor;
  const std::vector<int64_t>& shape = shapes_[load.tensor];
  int64_t stride = 1;
  DimExpr flat(0);
  for (size_t d = shape.size(); d-- > 0;) {
    if (const DimExpr* index = std::get_if<DimExpr>(&load.indices[d])) {
      const Affine affine = Flatten(*index);
      if (affine.exact) {
        flat = flat + affine.expr * DimExpr(stride);
      } else {
        node->parts.emplace_back(affine, stride);
      }
    } else {
      const int computed = Add(std::get<ScalarRef>(load.indices[d]));
      node->computed.push_back({computed, shape[d], stride});
    }
    stride *= shape[d];
  }
  node->index = Flatten(flat);
}

int ScalarEvaluator::Add(const ScalarRef& scalar) {
  Node node{.kind = scalar->kind, .dtype = scalar->dtype, .operand_dtype = scalar->dtype};
  node.unary = scalar->unary;
  node.binary = scalar->binary;
  node.parameter = scalar->parameter;
  if (scalar->kind == Scalar::Kind::kReal) node.value = RealNumber(scalar->real);
  if (scalar->kind == Scalar::Kind::kInteger) node.value = IntegerNumber(scalar->integer);
  if (scalar->kind == Scalar::Kind::kIndex) node.index = Flatten(scalar->index);
  if (scalar->kind == Scalar::Kind::kLoad) AddLoad(*scalar, &node);
  for (const ScalarRef& operand : scalar->operands) node.operands.push_back(Add(operand));
  if (!scalar->operands.empty()) node.operand_dtype = scalar->operands[0]->dtype;
  nodes_.push_back(std::move(node));
  return static_cast<int>(nodes_.size()) - 1;
}

int64_t ScalarEvaluator::IndexAt(const Affine& index, std::span<const int64_t> axes) const {
  if (index.exact) {
    int64_t value = index.constant;
    for (const auto& [axis, stride] : index.strides) value += axes[axis] * stride;
    return value;
  }
  std::map<SymbolRef, int64_t> values = symbols_;
  for (size_t a = 0; a < axes_.size(); ++a) values[axes_[a]] = axes[a];
  return index.expr.Evaluate(values).value_or(0);
}

Number ScalarEvaluator::Evaluate(std::span<const int64_t> axes, std::span<const Number> parameters) const {
  return At(root_, axes, parameters);
}

Number ScalarEvaluator::At(int n, std::span<const int64_t> axes, std::span<const Number> parameters) const {
  const Node& node = nodes_[n];
  switch (node.kind) {
    case Scalar::Kind::kReal:
    case Scalar::Kind::kInteger: return node.value;
    case Scalar::Kind::kIndex: return IntegerNumber(IndexAt(node.index, axes));
    case Scalar::Kind::kParameter: return parameters[node.parameter];
    case Scalar::Kind::kLoad: {
      int64_t element = IndexAt(node.index, axes);
      for (const auto& [index, stride] : node.parts) element += IndexAt(index, axes) * stride;
      for (const Node::Computed& computed : node.computed) {
        const int64_t index = At(computed.node, axes, parameters).integer;
        element += std::clamp<int64_t>(index, 0, std::max<int64_t>(0, computed.extent - 1)) * computed.stride;
      }
      return fetch_(node.tensor, element);
    }
    case Scalar::Kind::kSelect:
      return At(node.operands[At(node.operands[0], axes, parameters).integer != 0 ? 1 : 2], axes, parameters);
    case Scalar::Kind::kCast: return CastNumber(At(node.operands[0], axes, parameters), node.operand_dtype, node.dtype);
    case Scalar::Kind::kUnary: {
      const Number x = At(node.operands[0], axes, parameters);
      if (node.unary == UnaryOp::kIsNan) return IntegerNumber(std::isnan(x.real));
      if (node.unary == UnaryOp::kIsInf) return IntegerNumber(std::isinf(x.real));
      if (IsFloat(node.operand_dtype)) return RealNumber(RealUnary(node.unary, x.real));
      return IntegerNumber(IntegerUnary(node.unary, x.integer, node.operand_dtype));
    }
    case Scalar::Kind::kBinary: break;
  }
  const Number a = At(node.operands[0], axes, parameters);
  const bool real = IsFloat(node.operand_dtype);
  // The second operand of a decided condition may be an index outside its tensor.
  if (!real && node.binary == BinaryOp::kAnd && a.integer == 0) return IntegerNumber(0);
  const Number b = At(node.operands[1], axes, parameters);
  if (IsComparison(node.binary)) {
    return IntegerNumber(real ? Compares(node.binary, a.real, b.real)
                              : ComparesIntegers(node.binary, a.integer, b.integer, node.operand_dtype));
  }
  if (real) return RealNumber(RealBinary(node.binary, a.real, b.real));
  return IntegerNumber(IntegerBinary(node.binary, a.integer, b.integer, node.operand_dtype));
}

}  // namespace hone
