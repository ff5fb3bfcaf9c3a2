#include "compiler/tensor_program/scalar.h"

#include <algorithm>
#include <unordered_map>

namespace hone {
namespace {

struct UnaryName {
  UnaryOp op;
  std::string_view name;
};
constexpr UnaryName kUnaryNames[] = {
    {UnaryOp::kNeg, "neg"},       {UnaryOp::kAbs, "abs"},       {UnaryOp::kExp, "exp"},
    {UnaryOp::kLog, "log"},       {UnaryOp::kSqrt, "sqrt"},     {UnaryOp::kRsqrt, "rsqrt"},
    {UnaryOp::kReciprocal, "reciprocal"}, {UnaryOp::kTanh, "tanh"}, {UnaryOp::kErf, "erf"},
    {UnaryOp::kSigmoid, "sigmoid"}, {UnaryOp::kSin, "sin"},     {UnaryOp::kCos, "cos"},
    {UnaryOp::kTan, "tan"},       {UnaryOp::kAsin, "asin"},     {UnaryOp::kAcos, "acos"},
    {UnaryOp::kAtan, "atan"},     {UnaryOp::kSinh, "sinh"},     {UnaryOp::kCosh, "cosh"},
    {UnaryOp::kAsinh, "asinh"},   {UnaryOp::kAcosh, "acosh"},   {UnaryOp::kAtanh, "atanh"},
    {UnaryOp::kFloor, "floor"},   {UnaryOp::kCeil, "ceil"},     {UnaryOp::kRound, "round"},
    {UnaryOp::kSign, "sign"},     {UnaryOp::kIsNan, "isnan"},   {UnaryOp::kIsInf, "isinf"},
    {UnaryOp::kNot, "not"},       {UnaryOp::kBitNot, "bitnot"},
};

struct BinaryName {
  BinaryOp op;
  std::string_view name;
};
constexpr BinaryName kBinaryNames[] = {
    {BinaryOp::kAdd, "add"},     {BinaryOp::kSub, "sub"},        {BinaryOp::kMul, "mul"},
    {BinaryOp::kDiv, "div"},     {BinaryOp::kMod, "mod"},        {BinaryOp::kFmod, "fmod"},
    {BinaryOp::kPow, "pow"},     {BinaryOp::kMin, "min"},        {BinaryOp::kMax, "max"},
    {BinaryOp::kLess, "less"},   {BinaryOp::kLessEqual, "lessequal"}, {BinaryOp::kEqual, "equal"},
    {BinaryOp::kAnd, "and"},     {BinaryOp::kOr, "or"},          {BinaryOp::kXor, "xor"},
    {BinaryOp::kBitAnd, "bitand"}, {BinaryOp::kBitOr, "bitor"},  {BinaryOp::kBitXor, "bitxor"},
    {BinaryOp::kShiftLeft, "shl"}, {BinaryOp::kShiftRight, "shr"},
};

std::shared_ptr<Scalar> Make(Scalar::Kind kind, DType dtype) {
  auto scalar = std::make_shared<Scalar>();
  scalar->kind = kind;
  scalar->dtype = dtype;
  return scalar;
}

}  // namespace

ScalarRef Real(double value, DType dtype) {
  auto scalar = Make(Scalar::Kind::kReal, dtype);
  scalar->real = value;
  return scalar;
}

ScalarRef Integer(int64_t value, DType dtype) {
  auto scalar = Make(Scalar::Kind::kInteger, dtype);
  const int bits = static_cast<int>(8 * DTypeBytes(dtype));
  if (dtype == DType::kBool) {
    value = value != 0;
  } else if (bits < 64) {
    const bool is_signed = dtype == DType::kI8 || dtype == DType::kI16 || dtype == DType::kI32;
    const int64_t least = is_signed ? -(int64_t{1} << (bits - 1)) : 0;
    value = std::clamp(value, least, least + (int64_t{1} << bits) - 1);
  }
  scalar->integer = value;
  return scalar;
}

ScalarRef IndexValue(DimExpr index) {
  auto scalar = Make(Scalar::Kind::kIndex, DType::kI64);
  scalar->index = std::move(index);
  return scalar;
}

ScalarRef Load(ProgramTensorId tensor, DType dtype, std::vector<LoadIndex> indices) {
  auto scalar = Make(Scalar::Kind::kLoad, dtype);
  scalar->tensor = tensor;
  scalar->indices = std::move(indices);
  return scalar;
}

ScalarRef Unary(UnaryOp op, ScalarRef a) {
  const bool test = op == UnaryOp::kIsNan || op == UnaryOp::kIsInf || op == UnaryOp::kNot;
  auto scalar = Make(Scalar::Kind::kUnary, test ? DType::kBool : a->dtype);
  scalar->unary = op;
  scalar->operands = {std::move(a)};
  return scalar;
}

ScalarRef Binary(BinaryOp op, ScalarRef a, ScalarRef b) {
  auto scalar = Make(Scalar::Kind::kBinary, IsComparison(op) ? DType::kBool : a->dtype);
  scalar->binary = op;
  scalar->operands = {std::move(a), std::move(b)};
  return scalar;
}

ScalarRef Select(ScalarRef condition, ScalarRef if_true, ScalarRef if_false) {
  auto scalar = Make(Scalar::Kind::kSelect, if_true->dtype);
  scalar->operands = {std::move(condition), std::move(if_true), std::move(if_false)};
  return scalar;
}

ScalarRef Cast(ScalarRef a, DType dtype) {
  auto scalar = Make(Scalar::Kind::kCast, dtype);
  scalar->operands = {std::move(a)};
  return scalar;
}

ScalarRef Parameter(int parameter, DType dtype) {
  auto scalar = Make(Scalar::Kind::kParameter, dtype);
  scalar->parameter = parameter;
  return scalar;
}

std::string_view UnaryOpName(UnaryOp op) {
  for (const UnaryName& row : kUnaryNames) {
    if (row.op == op) return row.name;
  }
  return "?";
}

std::string_view BinaryOpName(BinaryOp op) {
  for (const BinaryName& row : kBinaryNames) {
    if (row.op == op) return row.name;
  }
  return "?";
}

bool IsComparison(BinaryOp op) {
  return op == BinaryOp::kLess || op == BinaryOp::kLessEqual || op == BinaryOp::kEqual;
}

namespace {

class Rewriter {
 public:
  explicit Rewriter(const ScalarRewrite& replace) : replace_(replace) {}

  ScalarRef Run(const ScalarRef& scalar) {
    const bool shared = scalar.use_count() > 1;
    if (shared) {
      const auto found = done_.find(scalar.get());
      if (found != done_.end()) return found->second;
    }
    ScalarRef result = Rebuild(scalar);
    ScalarRef replaced = replace_(result);
    if (replaced != nullptr) result = std::move(replaced);
    if (shared) done_.emplace(scalar.get(), result);
    return result;
  }

 private:
  ScalarRef Rebuild(const ScalarRef& scalar) {
    std::shared_ptr<Scalar> rebuilt;
    const auto copy = [&]() -> Scalar& {
      if (rebuilt == nullptr) rebuilt = std::make_shared<Scalar>(*scalar);
      return *rebuilt;
    };
    for (size_t i = 0; i < scalar->operands.size(); ++i) {
      ScalarRef operand = Run(scalar->operands[i]);
      if (operand != scalar->operands[i]) copy().operands[i] = std::move(operand);
    }
    for (size_t d = 0; d < scalar->indices.size(); ++d) {
      const ScalarRef* computed = std::get_if<ScalarRef>(&scalar->indices[d]);
      if (computed == nullptr) continue;
      ScalarRef index = Run(*computed);
      if (index != *computed) copy().indices[d] = std::move(index);
    }
    return rebuilt == nullptr ? scalar : ScalarRef(rebuilt);
  }

  const ScalarRewrite& replace_;
  std::unordered_map<const Scalar*, ScalarRef> done_;
};

}  // namespace

ScalarRef Rewrite(const ScalarRef& scalar, const ScalarRewrite& replace) { return Rewriter(replace).Run(scalar); }

ScalarRef SubstituteAxes(const ScalarRef& scalar, const std::map<SymbolRef, DimExpr>& values) {
  return Rewrite(scalar, [&](const ScalarRef& node) -> ScalarRef {
    if (node->kind == Scalar::Kind::kIndex) return IndexValue(node->index.Substitute(values));
    if (node->kind != Scalar::Kind::kLoad) return nullptr;
    std::vector<LoadIndex> indices = node->indices;
    for (LoadIndex& index : indices) {
      if (DimExpr* expr = std::get_if<DimExpr>(&index)) *expr = expr->Substitute(values);
    }
    return Load(node->tensor, node->dtype, std::move(indices));
  });
}

}  // namespace hone
