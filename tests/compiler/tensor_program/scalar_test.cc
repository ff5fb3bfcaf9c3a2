#include "compiler/tensor_program/scalar.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "compiler/tensor_program/scalar_arithmetic.h"

namespace hone {
namespace {

constexpr int64_t kLeast = std::numeric_limits<int64_t>::min();

int64_t Of(BinaryOp op, int64_t a, int64_t b, DType dtype) { return ApplyBinary(op, {0, a}, {0, b}, dtype).integer; }
double Of(BinaryOp op, double a, double b) { return ApplyBinary(op, {a, 0}, {b, 0}, DType::kF32).real; }

TEST(ScalarTest, IntegersSaturateWhenBuilt) {
  EXPECT_EQ(Integer(kLeast, DType::kI32)->integer, std::numeric_limits<int32_t>::min());
  EXPECT_EQ(Integer(300, DType::kU8)->integer, 255);
  EXPECT_EQ(Integer(-1, DType::kU16)->integer, 0);
  EXPECT_EQ(Integer(7, DType::kBool)->integer, 1);
  EXPECT_EQ(Integer(kLeast, DType::kI64)->integer, kLeast);
}

TEST(ScalarTest, IntegerArithmeticIsTotal) {
  EXPECT_EQ(Of(BinaryOp::kAdd, 127, 1, DType::kI8), -128);
  EXPECT_EQ(Of(BinaryOp::kSub, 0, 1, DType::kU32), 0xffffffff);
  EXPECT_EQ(Of(BinaryOp::kMul, kLeast, -1, DType::kI64), kLeast);
  EXPECT_EQ(Of(BinaryOp::kDiv, kLeast, -1, DType::kI64), kLeast);
  EXPECT_EQ(Of(BinaryOp::kDiv, -7, 2, DType::kI32), -3);
  EXPECT_EQ(Of(BinaryOp::kFmod, -7, 2, DType::kI32), -1);
  EXPECT_EQ(Of(BinaryOp::kMod, -7, 2, DType::kI32), 1);
  EXPECT_EQ(Of(BinaryOp::kMod, 7, -2, DType::kI32), -1);
  EXPECT_EQ(Of(BinaryOp::kDiv, -1, 2, DType::kU64), std::numeric_limits<int64_t>::max());
  for (const DType dtype : {DType::kI8, DType::kI64, DType::kU8, DType::kU64}) {
    for (const BinaryOp op : {BinaryOp::kDiv, BinaryOp::kMod, BinaryOp::kFmod}) EXPECT_EQ(Of(op, 5, 0, dtype), 0);
  }
}

TEST(ScalarTest, IntegerPowersAndShiftsAreExact) {
  EXPECT_EQ(Of(BinaryOp::kPow, 3, 39, DType::kI64), 4052555153018976267);
  EXPECT_EQ(Of(BinaryOp::kPow, 2, 200, DType::kI64), 0);
  EXPECT_EQ(Of(BinaryOp::kPow, -1, -3, DType::kI32), -1);
  EXPECT_EQ(Of(BinaryOp::kPow, 5, -1, DType::kI32), 0);
  EXPECT_EQ(Of(BinaryOp::kPow, 0, -1, DType::kI32), 0);
  EXPECT_EQ(Of(BinaryOp::kShiftLeft, 1, 64, DType::kI64), 0);
  EXPECT_EQ(Of(BinaryOp::kShiftLeft, 1, -1, DType::kI64), 0);
  EXPECT_EQ(Of(BinaryOp::kShiftRight, -8, 70, DType::kI64), -1);
  EXPECT_EQ(Of(BinaryOp::kShiftRight, -1, 60, DType::kU64), 15);
}

TEST(ScalarTest, UnsignedComparesAreUnsigned) {
  EXPECT_EQ(Of(BinaryOp::kLess, 1, -1, DType::kU64), 1);
  EXPECT_EQ(Of(BinaryOp::kMax, 1, -1, DType::kU64), -1);
  EXPECT_EQ(ApplyUnary(UnaryOp::kSign, {0, -1}, DType::kU64).integer, 1);
  EXPECT_EQ(ApplyUnary(UnaryOp::kAbs, {0, kLeast}, DType::kI64).integer, kLeast);
  EXPECT_EQ(ApplyUnary(UnaryOp::kBitNot, {0, 1}, DType::kU8).integer, 254);
}

TEST(ScalarTest, MinimumAndMaximumPropagateNan) {
  const double nan = std::nan("");
  for (const BinaryOp op : {BinaryOp::kMin, BinaryOp::kMax}) {
    EXPECT_TRUE(std::isnan(Of(op, nan, 1.0)));
    EXPECT_TRUE(std::isnan(Of(op, 1.0, nan)));
  }
  EXPECT_EQ(Of(BinaryOp::kMod, -1.5, 1.0), 0.5);
  EXPECT_EQ(Of(BinaryOp::kFmod, -1.5, 1.0), -0.5);
  EXPECT_EQ(ApplyUnary(UnaryOp::kRound, {2.5, 0}, DType::kF32).real, 2);
  EXPECT_EQ(ApplyUnary(UnaryOp::kSigmoid, {-1000, 0}, DType::kF32).real, 0);
}

TEST(ScalarTest, CastsTruncateAndSaturate) {
  const auto to = [](double value, DType dtype) { return CastNumber({value, 0}, DType::kF32, dtype).integer; };
  EXPECT_EQ(to(-1.9, DType::kI32), -1);
  EXPECT_EQ(to(300, DType::kU8), 255);
  EXPECT_EQ(to(-3, DType::kU64), 0);
  EXPECT_EQ(to(1e30, DType::kI64), std::numeric_limits<int64_t>::max());
  EXPECT_EQ(to(1e30, DType::kU64), -1);
  EXPECT_EQ(to(-1e30, DType::kI16), -32768);
  EXPECT_EQ(to(std::nan(""), DType::kI32), 0);
  EXPECT_EQ(to(0.5, DType::kBool), 1);
  EXPECT_EQ(CastNumber({0, 300}, DType::kI32, DType::kI8).integer, 44);
  EXPECT_EQ(CastNumber({0, -1}, DType::kU64, DType::kF64).real, 18446744073709551616.0);
  EXPECT_EQ(CastNumber({2049, 0}, DType::kF32, DType::kF16).real, 2048);
}

TEST(ScalarTest, RewriteKeepsWhatIsSharedAndWhatIsUnchanged) {
  ScalarRef x = Real(1);
  for (int i = 0; i < 60; ++i) x = Binary(BinaryOp::kAdd, x, x);   // 2^60 nodes as a tree
  int asked = 0;
  const auto count = [&](const ScalarRef& node) -> ScalarRef {
    ++asked;
    return node->kind == Scalar::Kind::kReal ? Real(2) : nullptr;
  };
  const ScalarRef rewritten = Rewrite(x, count);
  EXPECT_EQ(asked, 61);
  EXPECT_EQ(rewritten->operands[0], rewritten->operands[1]);
  EXPECT_EQ(Rewrite(x, [](const ScalarRef&) { return ScalarRef(); }), x);
}

TEST(ScalarTest, SubstitutesAxesInLoadsAndIndices) {
  const SymbolRef i = MakeSymbol("i", 0, 3), j = MakeSymbol("j", 0, 3);
  const ScalarRef load = Load(0, DType::kF32, {DimExpr(i), Load(1, DType::kI64, {DimExpr(i) + 1})});
  const ScalarRef moved = SubstituteAxes(load, {{i, DimExpr(2) * j}});
  EXPECT_EQ(std::get<DimExpr>(moved->indices[0]), DimExpr(2) * j);
  EXPECT_EQ(std::get<DimExpr>(std::get<ScalarRef>(moved->indices[1])->indices[0]), DimExpr(2) * j + 1);
}

}  // namespace
}  // namespace hone
