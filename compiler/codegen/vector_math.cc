#include "compiler/codegen/vector_math.h"

namespace hone {
namespace {

constexpr double kShifter = 12582912;   // 1.5 * 2^23: the nine low bits are zero

llvm::Type* IntegersLike(llvm::Type* type) {
  llvm::Type* i32 = llvm::Type::getInt32Ty(type->getContext());
  if (auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(type)) {
    return llvm::FixedVectorType::get(i32, vector->getNumElements());
  }
  return i32;
}

// a / b for finite b. Of vectors it is an estimate of 1 / b and a step of Newton's, exact enough where that is `fused`:
// dividing 16 lanes takes as long as 16 multiply-adds.
llvm::Value* Quotient(llvm::IRBuilder<>& ir, bool fused, llvm::Value* a, llvm::Value* b) {
  if (!fused) return ir.CreateFDiv(a, b);
  llvm::IRBuilder<>::FastMathFlagGuard guard(ir);
  llvm::FastMathFlags flags = ir.getFastMathFlags();
  flags.setAllowReciprocal();
  flags.setNoInfs();   // without it LLVM keeps the division
  ir.setFastMathFlags(flags);
  return ir.CreateFDiv(a, b);
}

}  // namespace

llvm::Value* VectorMath::Constant(llvm::Value* like, double value) {
  return llvm::ConstantFP::get(like->getType(), value);
}

llvm::Value* VectorMath::MultiplyAdd(llvm::Value* a, llvm::Value* b, llvm::Value* c) {
  if (fused_) return ir_.CreateIntrinsic(llvm::Intrinsic::fma, {a->getType()}, {a, b, c});
  return ir_.CreateFAdd(ir_.CreateFMul(a, b), c);
}

llvm::Value* VectorMath::Polynomial(llvm::Value* x, std::initializer_list<double> highest_first) {
  llvm::Value* sum = nullptr;
  for (const double coefficient : highest_first) {
    llvm::Value* c = Constant(x, coefficient);
    sum = sum == nullptr ? c : MultiplyAdd(sum, x, c);
  }
  return sum;
}

// One instruction where an operand is a constant: x86's max returns its second operand if either is NaN.
llvm::Value* VectorMath::Max(llvm::Value* a, llvm::Value* b) {
  if (llvm::isa<llvm::Constant>(b)) std::swap(a, b);
  llvm::Value* larger = ir_.CreateSelect(ir_.CreateFCmpOGT(a, b), a, b);
  if (llvm::isa<llvm::Constant>(a)) return larger;
  return ir_.CreateSelect(ir_.CreateFCmpORD(a, a), larger, a);
}

llvm::Value* VectorMath::Min(llvm::Value* a, llvm::Value* b) {
  if (llvm::isa<llvm::Constant>(b)) std::swap(a, b);
  llvm::Value* smaller = ir_.CreateSelect(ir_.CreateFCmpOLT(a, b), a, b);
  if (llvm::isa<llvm::Constant>(a)) return smaller;
  return ir_.CreateSelect(ir_.CreateFCmpORD(a, a), smaller, a);
}

llvm::Value* VectorMath::Clamp(llvm::Value* x, double low, double high) {
  return Max(Constant(x, low), Min(Constant(x, high), x));
}

llvm::Value* VectorMath::IntegerPower(llvm::Value* exponent) {
  llvm::Type* integers = exponent->getType();
  llvm::Value* biased = ir_.CreateAdd(exponent, llvm::ConstantInt::get(integers, 127));
  llvm::Value* bits = ir_.CreateShl(biased, llvm::ConstantInt::get(integers, 23));
  llvm::Type* floats = ir_.getFloatTy();
  if (auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(integers)) {
    floats = llvm::FixedVectorType::get(floats, vector->getNumElements());
  }
  return ir_.CreateBitCast(bits, floats);
}

// exp(x) = 2^(n-1) 2 exp(r), |r| <= log(2)/2; the polynomial is that of Cephes expf (S. Moshier). Adding 1.5 * 2^23 rounds
// to an integer and leaves it in the low bits. n - 1 makes the largest n a normal power and the smallest one, -126, zero.
llvm::Value* VectorMath::Exp(llvm::Value* x) {
  llvm::Value* clamped = Clamp(x, -87.33, 89.0);
  llvm::Value* shifted = MultiplyAdd(clamped, Constant(x, 1.44269504088896341), Constant(x, kShifter));
  llvm::Value* n = ir_.CreateFSub(shifted, Constant(x, kShifter));
  llvm::Value* r = MultiplyAdd(n, Constant(x, -0.693359375), clamped);
  r = MultiplyAdd(n, Constant(x, 2.12194440e-4), r);
  llvm::Value* p = Polynomial(r, {2 * 1.9875691500e-4, 2 * 1.3981999507e-3, 2 * 8.3334519073e-3, 2 * 4.1665795894e-2,
                                  2 * 1.6666665459e-1, 2 * 5.0000001201e-1});
  llvm::Value* y = MultiplyAdd(p, ir_.CreateFMul(r, r), MultiplyAdd(r, Constant(x, 2), Constant(x, 2)));
  llvm::Type* integers = IntegersLike(x->getType());
  llvm::Value* less = ir_.CreateSub(ir_.CreateBitCast(shifted, integers), llvm::ConstantInt::get(integers, 1));
  return ir_.CreateFMul(y, IntegerPower(less));
}

// log(x) = e log(2) + log(m), m in [sqrt(1/2), sqrt(2)); polynomial of Cephes logf.
llvm::Value* VectorMath::Log(llvm::Value* x) {
  llvm::Type* integers = IntegersLike(x->getType());
  const auto integer = [&](int64_t value) { return llvm::ConstantInt::get(integers, static_cast<uint64_t>(value)); };
  llvm::Value* tiny = ir_.CreateFCmpOLT(x, Constant(x, 1.17549435e-38));
  llvm::Value* scaled = ir_.CreateSelect(tiny, ir_.CreateFMul(x, Constant(x, 8388608.0)), x);
  llvm::Value* bits = ir_.CreateBitCast(scaled, integers);
  // Subtracting the bits of sqrt(1/2) puts the exponent change there.
  llvm::Value* shifted = ir_.CreateSub(bits, integer(0x3f3504f3));
  llvm::Value* exponent = ir_.CreateAShr(shifted, integer(23));
  llvm::Value* mantissa = ir_.CreateBitCast(ir_.CreateSub(bits, ir_.CreateShl(exponent, integer(23))), x->getType());
  llvm::Value* e = ir_.CreateSIToFP(exponent, x->getType());
  e = ir_.CreateSelect(tiny, ir_.CreateFSub(e, Constant(x, 23)), e);
  llvm::Value* m = ir_.CreateFSub(mantissa, Constant(x, 1));
  llvm::Value* z = ir_.CreateFMul(m, m);
  llvm::Value* p = Polynomial(m, {7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1,
                                  1.4249322787e-1, -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1,
                                  3.3333331174e-1});
  llvm::Value* y = ir_.CreateFMul(ir_.CreateFMul(p, z), m);
  y = MultiplyAdd(e, Constant(x, -2.12194440e-4), y);
  y = MultiplyAdd(z, Constant(x, -0.5), y);
  y = MultiplyAdd(e, Constant(x, 0.693359375), ir_.CreateFAdd(m, y));
  const double infinity = std::numeric_limits<double>::infinity();
  llvm::Value* nan = Constant(x, std::numeric_limits<double>::quiet_NaN());
  y = ir_.CreateSelect(ir_.CreateFCmpOEQ(x, Constant(x, infinity)), x, y);
  y = ir_.CreateSelect(ir_.CreateFCmpOEQ(x, Constant(x, 0)), Constant(x, -infinity), y);
  return ir_.CreateSelect(ir_.CreateFCmpOGE(x, Constant(x, 0)), y, nan);
}

// Odd polynomial of Cephes tanhf below 0.625, 1 - 2 / (exp(2|x|) + 1) above.
llvm::Value* VectorMath::Tanh(llvm::Value* x) {
  llvm::Value* magnitude = Abs(x);
  llvm::Value* z = ir_.CreateFMul(x, x);
  llvm::Value* p = Polynomial(z, {-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1,
                                  -3.33332819422e-1});
  llvm::Value* near = MultiplyAdd(ir_.CreateFMul(p, z), x, x);
  llvm::Value* e = Exp(Min(Constant(x, 40), ir_.CreateFAdd(magnitude, magnitude)));
  llvm::Value* quotient = Quotient(ir_, fused_, Constant(x, 2), ir_.CreateFAdd(e, Constant(x, 1)));
  llvm::Value* far = CopySign(ir_.CreateFSub(Constant(x, 1), quotient), x);
  return ir_.CreateSelect(ir_.CreateFCmpOLT(magnitude, Constant(x, 0.625)), near, far);
}

// 1 / (1 + exp(-x)) with exp(-x) = 2^n exp(-s), s = x + n log(2), as above. 2^n is one factor: it is normal over the
// range where the sum is neither one nor beyond the largest number; below, the result is no normal number.
llvm::Value* VectorMath::Sigmoid(llvm::Value* x) {
  llvm::Value* clamped = Clamp(x, -88.0, 40.0);
  llvm::Value* shifted = MultiplyAdd(clamped, Constant(x, -1.44269504088896341), Constant(x, kShifter));
  llvm::Value* n = ir_.CreateFSub(shifted, Constant(x, kShifter));
  llvm::Value* s = MultiplyAdd(n, Constant(x, 0.693359375), clamped);
  s = MultiplyAdd(n, Constant(x, -2.12194440e-4), s);
  llvm::Value* p = Polynomial(s, {-1.9875691500e-4, 1.3981999507e-3, -8.3334519073e-3, 4.1665795894e-2,
                                  -1.6666665459e-1, 5.0000001201e-1});
  llvm::Value* y = MultiplyAdd(p, ir_.CreateFMul(s, s), ir_.CreateFSub(Constant(x, 1), s));
  llvm::Value* power = IntegerPower(ir_.CreateBitCast(shifted, IntegersLike(x->getType())));
  return Quotient(ir_, fused_, Constant(x, 1), MultiplyAdd(y, power, Constant(x, 1)));
}

// x P(x^2) / Q(x^2) up to where the nearest f32 of erf is one (coefficients of XLA's ErfImpl32).
llvm::Value* VectorMath::Erf(llvm::Value* x) {
  llvm::Value* bounded = Clamp(x, -3.832506856900711, 3.832506856900711);
  llvm::Value* z = ir_.CreateFMul(bounded, bounded);
  llvm::Value* p = Polynomial(z, {0.00022905065861350646, 0.0034082910107109506, 0.050955695062380861,
                                  0.18520832239976145, 1.128379143519084});
  llvm::Value* q = Polynomial(z, {-1.1791602954361697e-7, 0.000023547966471313185, 0.0010179625278914885,
                                  0.014070470171167667, 0.11098505178285362, 0.49746925110067538, 1.0});
  return Quotient(ir_, fused_, ir_.CreateFMul(bounded, p), q);
}

// |x|^y = exp(y log|x|); the sign follows an odd integer y; pow(x, 0) = pow(1, y) = 1.
llvm::Value* VectorMath::Pow(llvm::Value* x, llvm::Value* y) {
  llvm::Value* one = Constant(x, 1);
  llvm::Value* magnitude = Exp(ir_.CreateFMul(y, Log(Abs(x))));
  llvm::Value* whole = ir_.CreateFCmpOEQ(ir_.CreateUnaryIntrinsic(llvm::Intrinsic::trunc, y), y);
  llvm::Value* half = ir_.CreateFMul(y, Constant(y, 0.5));
  llvm::Value* even = ir_.CreateFCmpOEQ(ir_.CreateUnaryIntrinsic(llvm::Intrinsic::trunc, half), half);
  llvm::Value* negative = ir_.CreateSelect(even, magnitude, ir_.CreateFNeg(magnitude));
  llvm::Value* nan = Constant(x, std::numeric_limits<double>::quiet_NaN());
  negative = ir_.CreateSelect(whole, negative, nan);
  llvm::Value* result = ir_.CreateSelect(ir_.CreateFCmpOLT(x, Constant(x, 0)), negative, magnitude);
  llvm::Value* is_one = ir_.CreateOr(ir_.CreateFCmpOEQ(y, Constant(y, 0)), ir_.CreateFCmpOEQ(x, one));
  return ir_.CreateSelect(is_one, one, result);
}

}  // namespace hone
