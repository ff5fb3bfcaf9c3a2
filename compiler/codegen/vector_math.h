#pragma once

#include <llvm/IR/IRBuilder.h>

namespace hone {

// Elementary functions as inline polynomials on f32 scalars or vectors of any width; no calls, no tables. NaN gives NaN,
// infinities follow IEEE; results below twice the smallest normal number may be off by that. Largest errors over the
// whole range, in units in the last place, are tested.
// `fused`: the target multiplies and adds in one rounding.
class VectorMath {
 public:
  VectorMath(llvm::IRBuilder<>& ir, bool fused) : ir_(ir), fused_(fused) {}

  llvm::Value* Exp(llvm::Value* x);       // 2 ulp
  llvm::Value* Log(llvm::Value* x);       // 2 ulp
  llvm::Value* Tanh(llvm::Value* x);      // 4 ulp
  llvm::Value* Sigmoid(llvm::Value* x);   // 4 ulp
  llvm::Value* Erf(llvm::Value* x);       // 5 ulp
  llvm::Value* Pow(llvm::Value* x, llvm::Value* y);   // relative 2e-7 x (1 + |y log x|)

  llvm::Value* MultiplyAdd(llvm::Value* a, llvm::Value* b, llvm::Value* c);   // a * b + c
  // The larger or smaller; NaN if either is.
  llvm::Value* Max(llvm::Value* a, llvm::Value* b);
  llvm::Value* Min(llvm::Value* a, llvm::Value* b);

 private:
  llvm::Value* Constant(llvm::Value* like, double value);
  llvm::Value* Polynomial(llvm::Value* x, std::initializer_list<double> highest_first);
  llvm::Value* Clamp(llvm::Value* x, double low, double high);   // NaN stays
  llvm::Value* IntegerPower(llvm::Value* exponent);   // 2^exponent for normal results, of its nine low bits
  llvm::Value* Abs(llvm::Value* x) { return ir_.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, x); }
  llvm::Value* CopySign(llvm::Value* magnitude, llvm::Value* sign) {
    return ir_.CreateBinaryIntrinsic(llvm::Intrinsic::copysign, magnitude, sign);
  }

  llvm::IRBuilder<>& ir_;
  bool fused_;
};

}  // namespace hone
