#include "compiler/tensor_program/scalar_arithmetic.h"

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
    case UnaryOp::kSign: return IsUnsigned(dtype) ? x != 0 : (x > 0) - (x < 0);
    case UnaryOp::kNot: return x == 0;
    case UnaryOp::kBitNot: return dtype == DType::kBool ? x == 0 : Wrap(~x, dtype);
    default: return x;
  }
}

double RealBinary(BinaryOp op, double a, double b) {
  switch (op) {
    case BinaryOp::kAdd: return a + b;
    case BinaryOp::kSub: return a - b;
    case BinaryOp::kMul: return a * b;
    case BinaryOp::kDiv: return a / b;
    case BinaryOp::kMod: {
      const double remainder = std::fmod(a, b);
      return remainder != 0 && (remainder < 0) != (b < 0) ? remainder + b : remainder;
    }
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

// Exact modulo the width; of a negative exponent what truncation leaves of 1 / a^n.
int64_t Power(int64_t a, int64_t n, DType dtype) {
  if (n < 0 && !IsUnsigned(dtype)) return a == 1 ? 1 : a == -1 ? (n % 2 == 0 ? 1 : -1) : 0;
  uint64_t power = 1, square = static_cast<uint64_t>(a);
  for (uint64_t rest = static_cast<uint64_t>(n); rest != 0; rest >>= 1, square *= square) {
    if ((rest & 1) != 0) power *= square;
  }
  return Wrap(static_cast<int64_t>(power), dtype);
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
    case BinaryOp::kPow: return Power(a, b, dtype);
    case BinaryOp::kMin: return less ? a : b;
    case BinaryOp::kMax: return less ? b : a;
    case BinaryOp::kAnd:
    case BinaryOp::kBitAnd: return a & b;
    case BinaryOp::kOr:
    case BinaryOp::kBitOr: return a | b;
    case BinaryOp::kXor:
    case BinaryOp::kBitXor: return a ^ b;
    case BinaryOp::kShiftLeft: return y < 64 ? wrap(x << y) : 0;
    case BinaryOp::kShiftRight:
      if (IsUnsigned(dtype)) return y < 64 ? wrap(x >> y) : 0;
      return a >> std::min<uint64_t>(y, 63);
    default: return 0;
  }
}

// Float to integer truncates and saturates.
int64_t Saturate(double value, DType dtype) {
  if (std::isnan(value)) return 0;
  if (dtype == DType::kBool) return value != 0;
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
    case DType::kBool: return value != 0;
    default: return value;
  }
}

Number CastNumber(const Number& x, DType from, DType to) {
  if (IsFloat(from)) {
    if (IsFloat(to)) return RealNumber(RoundTo(to, x.real));
    return IntegerNumber(to == DType::kBool ? x.real != 0 : Saturate(x.real, to));
  }
  if (IsFloat(to)) {
    const double real = from == DType::kU64 ? static_cast<double>(static_cast<uint64_t>(x.integer)) : static_cast<double>(x.integer);
    return RealNumber(RoundTo(to, real));
  }
  return IntegerNumber(to == DType::kBool ? x.integer != 0 : Wrap(x.integer, to));
}

Number ApplyUnary(UnaryOp op, const Number& x, DType dtype) {
  if (op == UnaryOp::kIsNan) return IntegerNumber(std::isnan(x.real));
  if (op == UnaryOp::kIsInf) return IntegerNumber(std::isinf(x.real));
  return IsFloat(dtype) ? RealNumber(RealUnary(op, x.real)) : IntegerNumber(IntegerUnary(op, x.integer, dtype));
}

Number ApplyBinary(BinaryOp op, const Number& a, const Number& b, DType dtype) {
  const bool real = IsFloat(dtype);
  if (IsComparison(op)) {
    return IntegerNumber(real ? Compares(op, a.real, b.real) : ComparesIntegers(op, a.integer, b.integer, dtype));
  }
  return real ? RealNumber(RealBinary(op, a.real, b.real)) : IntegerNumber(IntegerBinary(op, a.integer, b.integer, dtype));
}

}  // namespace hone
