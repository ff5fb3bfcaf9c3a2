#pragma once

#include <cstdint>

#include "compiler/tensor_program/scalar.h"
#include "proto/values/dtype.h"

namespace hone {

// The value of a scalar: `real` for float types, `integer` for the others (bool: 0 or 1; u64: its bits).
struct Number {
  double real = 0;
  int64_t integer = 0;
};

Number NumberOf(DType dtype, double value);
// Integer arithmetic wraps at the width of its type; a bool is whether the value is not zero.
int64_t Wrap(int64_t value, DType dtype);
// IEEE 754 binary16 and bfloat16, rounded to nearest even.
double FromHalf(uint16_t bits);
uint16_t ToHalf(double value);
double FromBrain(uint16_t bits);
uint16_t ToBrain(double value);
// The nearest value of the float type.
double RoundTo(DType dtype, double value);

// The operations of scalar.h; `dtype` is that of the operands. All are total: integer division and remainder by zero give
// 0, shifts by the width or more what shifting bit by bit would.
Number ApplyUnary(UnaryOp op, const Number& x, DType dtype);
Number ApplyBinary(BinaryOp op, const Number& a, const Number& b, DType dtype);
Number CastNumber(const Number& x, DType from, DType to);

}  // namespace hone
