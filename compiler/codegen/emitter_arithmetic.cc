#include "compiler/codegen/emitter.h"

namespace hone {
namespace {

bool IsSigned(DType dtype) {
  return dtype == DType::kI8 || dtype == DType::kI16 || dtype == DType::kI32 || dtype == DType::kI64;
}

}  // namespace

llvm::Value* Emitter::EvaluateUnary(const Scalar& scalar) {
  llvm::Value* x = Evaluate(scalar.operands[0]);
  const bool real = IsFloat(scalar.operands[0]->dtype);
  const auto constant = [&](double value) { return llvm::ConstantFP::get(x->getType(), value); };
  llvm::Value* zero = llvm::Constant::getNullValue(x->getType());
  switch (scalar.unary) {
    case UnaryOp::kNeg: return real ? ir_.CreateFNeg(x) : ir_.CreateNeg(x);
    case UnaryOp::kAbs:
      if (real) return ir_.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, x);
      return IsSigned(scalar.dtype) ? ir_.CreateSelect(ir_.CreateICmpSLT(x, zero), ir_.CreateNeg(x), x) : x;
    case UnaryOp::kExp: return math_.Exp(x);
    case UnaryOp::kLog: return math_.Log(x);
    case UnaryOp::kSqrt: return ir_.CreateUnaryIntrinsic(llvm::Intrinsic::sqrt, x);
    case UnaryOp::kRsqrt: return ir_.CreateFDiv(constant(1), ir_.CreateUnaryIntrinsic(llvm::Intrinsic::sqrt, x));
    case UnaryOp::kReciprocal: return ir_.CreateFDiv(constant(1), x);
    case UnaryOp::kTanh: return math_.Tanh(x);
    case UnaryOp::kErf: return math_.Erf(x);
    case UnaryOp::kSigmoid: return math_.Sigmoid(x);
    case UnaryOp::kFloor: return ir_.CreateUnaryIntrinsic(llvm::Intrinsic::floor, x);
    case UnaryOp::kCeil: return ir_.CreateUnaryIntrinsic(llvm::Intrinsic::ceil, x);
    case UnaryOp::kRound: return ir_.CreateUnaryIntrinsic(llvm::Intrinsic::rint, x);
    case UnaryOp::kSign: {
      if (!real) {
        llvm::Value* positive = ir_.CreateZExt(ir_.CreateICmpSGT(x, zero), x->getType());
        return ir_.CreateSelect(ir_.CreateICmpSLT(x, zero), llvm::Constant::getAllOnesValue(x->getType()), positive);
      }
      llvm::Value* sign = ir_.CreateSelect(ir_.CreateFCmpOGT(x, zero), constant(1), x);
      return ir_.CreateSelect(ir_.CreateFCmpOLT(x, zero), constant(-1), sign);
    }
    case UnaryOp::kIsNan: return ir_.CreateFCmpUNO(x, x);
    case UnaryOp::kIsInf:
      return ir_.CreateFCmpOEQ(ir_.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, x),
                               constant(std::numeric_limits<double>::infinity()));
    case UnaryOp::kNot:
    case UnaryOp::kBitNot: return ir_.CreateNot(x);
    default: return llvm::PoisonValue::get(x->getType());   // LoweredUnary() keeps these out
  }
}

llvm::Value* Emitter::EvaluateCast(const Scalar& scalar) {
  const DType from = scalar.operands[0]->dtype, to = scalar.dtype;
  llvm::Value* x = Evaluate(scalar.operands[0]);
  if (from == to) return x;
  llvm::Type* type = TypeOf(to);
  if (x->getType()->isVectorTy()) type = VectorOf(type, lanes_.lanes);
  llvm::Value* zero = llvm::Constant::getNullValue(x->getType());
  if (to == DType::kBool) return IsFloat(from) ? ir_.CreateFCmpUNE(x, zero) : ir_.CreateICmpNE(x, zero);
  if (IsFloat(from)) {
    if (IsFloat(to)) return ir_.CreateFPCast(x, type);
    const auto id = IsSigned(to) ? llvm::Intrinsic::fptosi_sat : llvm::Intrinsic::fptoui_sat;
    return ir_.CreateIntrinsic(id, {type, x->getType()}, {x});
  }
  const bool sign = IsSigned(from);
  if (IsFloat(to)) return sign ? ir_.CreateSIToFP(x, type) : ir_.CreateUIToFP(x, type);
  return sign ? ir_.CreateSExtOrTrunc(x, type) : ir_.CreateZExtOrTrunc(x, type);
}

llvm::Value* Emitter::Binary(BinaryOp op, DType dtype, llvm::Value* a, llvm::Value* b) {
  if (a->getType()->isVectorTy() != b->getType()->isVectorTy()) {
    a = Widen(a);
    b = Widen(b);
  }
  return IsFloat(dtype) ? FloatBinary(op, dtype, a, b) : IntegerBinary(op, dtype, a, b);
}

llvm::Value* Emitter::FloatBinary(BinaryOp op, DType dtype, llvm::Value* a, llvm::Value* b) {
  switch (op) {
    case BinaryOp::kAdd: return ir_.CreateFAdd(a, b);
    case BinaryOp::kSub: return ir_.CreateFSub(a, b);
    case BinaryOp::kMul: return ir_.CreateFMul(a, b);
    case BinaryOp::kDiv: return ir_.CreateFDiv(a, b);
    case BinaryOp::kMin: return math_.Min(a, b);
    case BinaryOp::kMax: return math_.Max(a, b);
    case BinaryOp::kPow: return math_.Pow(a, b);
    case BinaryOp::kLess: return ir_.CreateFCmpOLT(a, b);
    case BinaryOp::kLessEqual: return ir_.CreateFCmpOLE(a, b);
    case BinaryOp::kEqual: return ir_.CreateFCmpOEQ(a, b);
    default: return llvm::PoisonValue::get(a->getType());   // LoweredBinary() keeps these out
  }
}

llvm::Value* Emitter::IntegerBinary(BinaryOp op, DType dtype, llvm::Value* a, llvm::Value* b) {
  const bool sign = IsSigned(dtype);
  const auto divide = [&](bool remainder) {
    // Division by zero gives 0, and the smallest value by -1 itself: neither may trap.
    llvm::Value* zero = llvm::Constant::getNullValue(a->getType());
    llvm::Value* one = llvm::ConstantInt::get(a->getType(), 1);
    llvm::Value* by_zero = ir_.CreateICmpEQ(b, zero);
    llvm::Value* divisor = ir_.CreateSelect(by_zero, one, b);
    if (!sign) {
      llvm::Value* result = remainder ? ir_.CreateURem(a, divisor) : ir_.CreateUDiv(a, divisor);
      return ir_.CreateSelect(by_zero, zero, result);
    }
    llvm::Value* by_minus_one = ir_.CreateICmpEQ(b, llvm::Constant::getAllOnesValue(a->getType()));
    divisor = ir_.CreateSelect(by_minus_one, one, divisor);
    llvm::Value* result = remainder ? ir_.CreateSRem(a, divisor) : ir_.CreateSDiv(a, divisor);
    if (!remainder) result = ir_.CreateSelect(by_minus_one, ir_.CreateNeg(a), result);
    return ir_.CreateSelect(by_zero, zero, result);
  };
  switch (op) {
    case BinaryOp::kAdd: return ir_.CreateAdd(a, b);
    case BinaryOp::kSub: return ir_.CreateSub(a, b);
    case BinaryOp::kMul: return ir_.CreateMul(a, b);
    case BinaryOp::kDiv: return divide(false);
    case BinaryOp::kFmod: return divide(true);
    case BinaryOp::kMod: {
      llvm::Value* zero = llvm::Constant::getNullValue(a->getType());
      llvm::Value* remainder = divide(true);
      if (!sign) return remainder;
      llvm::Value* differs = ir_.CreateICmpSLT(ir_.CreateXor(remainder, b), zero);
      llvm::Value* adjust = ir_.CreateAnd(differs, ir_.CreateICmpNE(remainder, zero));
      return ir_.CreateSelect(adjust, ir_.CreateAdd(remainder, b), remainder);
    }
    case BinaryOp::kMin:
      return ir_.CreateBinaryIntrinsic(sign ? llvm::Intrinsic::smin : llvm::Intrinsic::umin, a, b);
    case BinaryOp::kMax:
      return ir_.CreateBinaryIntrinsic(sign ? llvm::Intrinsic::smax : llvm::Intrinsic::umax, a, b);
    case BinaryOp::kLess: return sign ? ir_.CreateICmpSLT(a, b) : ir_.CreateICmpULT(a, b);
    case BinaryOp::kLessEqual: return sign ? ir_.CreateICmpSLE(a, b) : ir_.CreateICmpULE(a, b);
    case BinaryOp::kEqual: return ir_.CreateICmpEQ(a, b);
    case BinaryOp::kAnd:
    case BinaryOp::kBitAnd: return ir_.CreateAnd(a, b);
    case BinaryOp::kOr:
    case BinaryOp::kBitOr: return ir_.CreateOr(a, b);
    case BinaryOp::kXor:
    case BinaryOp::kBitXor: return ir_.CreateXor(a, b);
    case BinaryOp::kShiftLeft: return ir_.CreateShl(a, b);
    case BinaryOp::kShiftRight: return sign ? ir_.CreateAShr(a, b) : ir_.CreateLShr(a, b);
    default: return llvm::PoisonValue::get(a->getType());   // LoweredBinary() keeps these out
  }
}

}  // namespace hone
