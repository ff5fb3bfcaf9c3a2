#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "compiler/dim_expr/dim_expr.h"
#include "proto/values/dtype.h"

namespace hone {

// Operations on scalars. Float semantics are IEEE (min/max propagate NaN as ONNX does: a NaN operand gives NaN); integer
// arithmetic is exact modulo the type's width; comparisons give kBool. Division of integers truncates towards zero.
enum class UnaryOp : uint8_t {
  kNeg, kAbs, kExp, kLog, kSqrt, kRsqrt, kReciprocal, kTanh, kErf, kSigmoid, kSin, kCos, kTan, kAsin, kAcos, kAtan,
  kSinh, kCosh, kAsinh, kAcosh, kAtanh, kFloor, kCeil, kRound /* half to even */, kSign, kIsNan, kIsInf, kNot, kBitNot,
};
enum class BinaryOp : uint8_t {
  kAdd, kSub, kMul, kDiv, kMod /* sign of the divisor */, kFmod, kPow, kMin, kMax, kLess, kLessEqual, kEqual, kAnd, kOr,
  kXor, kBitAnd, kBitOr, kBitXor, kShiftLeft, kShiftRight,
};

struct Scalar;
using ScalarRef = std::shared_ptr<const Scalar>;
using ProgramTensorId = int;   // index into TensorProgram::tensors

// An index of a load: quasi-affine in the stage's axes, or computed (then clamped into the tensor).
using LoadIndex = std::variant<DimExpr, ScalarRef>;

// A pure scalar expression over a stage's axes; immutable, shared.
struct Scalar {
  enum class Kind : uint8_t {
    kReal,       // value `real` of float `dtype`
    kInteger,    // value `integer` of integer or bool `dtype`
    kIndex,      // the integer expression `index`, as dtype i64
    kLoad,       // tensor[indices]; the indices are in range wherever the expression is evaluated
    kUnary, kBinary,
    kSelect,     // operands: condition, if true, if false; only the chosen side is evaluated
    kCast,       // operand converted to dtype: float -> int truncates and saturates
    kParameter,  // parameter `parameter` of a tuple combiner or scan body
  };
  Kind kind = Kind::kReal;
  DType dtype = DType::kF32;
  double real = 0;
  int64_t integer = 0;
  DimExpr index;
  ProgramTensorId tensor = -1;
  std::vector<LoadIndex> indices;
  UnaryOp unary = UnaryOp::kNeg;
  BinaryOp binary = BinaryOp::kAdd;
  int parameter = 0;
  std::vector<ScalarRef> operands;
};

// Builders. Binary operands must have equal dtypes. An integer saturates at the limits of its type (u64: its bits).
ScalarRef Real(double value, DType dtype = DType::kF32);
ScalarRef Integer(int64_t value, DType dtype = DType::kI64);
ScalarRef IndexValue(DimExpr index);
ScalarRef Load(ProgramTensorId tensor, DType dtype, std::vector<LoadIndex> indices);
ScalarRef Unary(UnaryOp op, ScalarRef a);
ScalarRef Binary(BinaryOp op, ScalarRef a, ScalarRef b);
ScalarRef Select(ScalarRef condition, ScalarRef if_true, ScalarRef if_false);
ScalarRef Cast(ScalarRef a, DType dtype);
ScalarRef Parameter(int parameter, DType dtype);

std::string_view UnaryOpName(UnaryOp op);
std::string_view BinaryOpName(BinaryOp op);
bool IsComparison(BinaryOp op);

// Rebuilds the expression bottom-up; `replace` returns null to keep a node (with its rebuilt operands). It is asked once
// for a shared subexpression, which stays shared.
using ScalarRewrite = std::function<ScalarRef(const ScalarRef&)>;
ScalarRef Rewrite(const ScalarRef& scalar, const ScalarRewrite& replace);
ScalarRef SubstituteAxes(const ScalarRef& scalar, const std::map<SymbolRef, DimExpr>& values);

}  // namespace hone
