#include "compiler/tensor_program/scalar.h"

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

ScalarRef Rewrite(const ScalarRef& scalar, const ScalarRewrite& replace) {
  std::shared_ptr<Scalar> rebuilt;
  const auto copy = [&]() -> Scalar& {
    if (rebuilt == nullptr) rebuilt = std::make_shared<Scalar>(*scalar);
    return *rebuilt;
  };
  for (size_t i = 0; i < scalar->operands.size(); ++i) {
    ScalarRef operand = Rewrite(scalar->operands[i], replace);
    if (operand != scalar->operands[i]) copy().operands[i] = std::move(operand);
  }
  for (size_t d = 0; d < scalar->indices.size(); ++d) {
    const ScalarRef* computed = std::get_if<ScalarRef>(&scalar->indices[d]);
    if (computed == nullptr) continue;
    ScalarRef index = Rewrite(*computed, replace);
    if (index != *computed) copy().indices[d] = std::move(index);
  }
  const ScalarRef result = rebuilt == nullptr ? scalar : ScalarRef(rebuilt);
  ScalarRef replaced = replace(result);
  return replaced == nullptr ? result : replaced;
}

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
