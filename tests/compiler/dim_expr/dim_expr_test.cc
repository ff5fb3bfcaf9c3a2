#include "compiler/dim_expr/dim_expr.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace hone {
namespace {

int64_t FloorQuotient(int64_t a, int64_t b) { return a / b - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0); }

// A random expression beside the function it must equal.
struct Sample {
  DimExpr expr;
  std::function<int64_t(const std::map<SymbolRef, int64_t>&)> value;
};

Sample Random(std::mt19937& random, const std::vector<SymbolRef>& symbols, int depth) {
  const int kind = static_cast<int>(random() % (depth == 0 ? 2 : 9));
  if (kind == 0) {
    const int64_t constant = static_cast<int64_t>(random() % 41) - 20;
    return {DimExpr(constant), [constant](const auto&) { return constant; }};
  }
  if (kind == 1) {
    const SymbolRef symbol = symbols[random() % symbols.size()];
    return {DimExpr(symbol), [symbol](const auto& values) { return values.at(symbol); }};
  }
  const Sample a = Random(random, symbols, depth - 1), b = Random(random, symbols, depth - 1);
  const int64_t divisor = static_cast<int64_t>(random() % 24) + 1;
  switch (kind) {
    case 2: return {a.expr + b.expr, [=](const auto& v) { return a.value(v) + b.value(v); }};
    case 3: return {a.expr - b.expr, [=](const auto& v) { return a.value(v) - b.value(v); }};
    case 4: return {a.expr * DimExpr(divisor), [=](const auto& v) { return a.value(v) * divisor; }};
    case 5:
      return {FloorDiv(a.expr, DimExpr(divisor)), [=](const auto& v) { return FloorQuotient(a.value(v), divisor); }};
    case 6:
      return {Mod(a.expr, DimExpr(divisor)),
              [=](const auto& v) { return a.value(v) - FloorQuotient(a.value(v), divisor) * divisor; }};
    case 7: return {Max(a.expr, b.expr), [=](const auto& v) { return std::max(a.value(v), b.value(v)); }};
    default: return {Min(a.expr, b.expr), [=](const auto& v) { return std::min(a.value(v), b.value(v)); }};
  }
}

TEST(DimExprTest, SimplificationKeepsTheValueAndTheBoundsHold) {
  std::mt19937 random(7);
  const std::vector<SymbolRef> symbols = {MakeSymbol("x", 0, 15), MakeSymbol("y", 0, 7), MakeSymbol("z", 1, 100),
                                          MakeSymbol("w", 0, 96, 12)};
  std::map<std::string, SymbolRef> names;
  for (const SymbolRef& symbol : symbols) names[symbol->name] = symbol;
  for (int i = 0; i < 3000; ++i) {
    const Sample sample = Random(random, symbols, 4);
    const auto parsed = DimExpr::Parse(sample.expr.ToString(), names);
    ASSERT_TRUE(parsed.ok()) << parsed.status() << " " << sample.expr.ToString();
    EXPECT_EQ(*parsed, sample.expr) << parsed->ToString() << " was " << sample.expr.ToString();
    for (int j = 0; j < 20; ++j) {
      std::map<SymbolRef, int64_t> values;
      std::map<SymbolRef, DimExpr> constants;
      for (const SymbolRef& symbol : symbols) {
        const int64_t steps = (symbol->upper - symbol->lower) / symbol->divisor + 1;
        values[symbol] = symbol->lower + symbol->divisor * static_cast<int64_t>(random() % steps);
        constants[symbol] = DimExpr(values[symbol]);
      }
      const int64_t expected = sample.value(values);
      const auto actual = sample.expr.Evaluate(values);
      ASSERT_TRUE(actual.ok());
      ASSERT_EQ(*actual, expected) << sample.expr.ToString();
      ASSERT_EQ(sample.expr.Substitute(constants).Constant(), expected);
      const Interval bounds = sample.expr.Bounds();
      ASSERT_LE(bounds.lower, expected) << sample.expr.ToString();
      ASSERT_GE(bounds.upper, expected) << sample.expr.ToString();
      const int64_t divisor = sample.expr.Divisor();
      if (divisor != 0) {
        ASSERT_EQ(expected % divisor, 0) << sample.expr.ToString();
      }
    }
  }
}

TEST(DimExprTest, BlockedCoordinatesSimplifyAway) {
  const SymbolRef o = MakeSymbol("o", 0, 9), i = MakeSymbol("i", 0, 1), lane = MakeSymbol("lane", 0, 7);
  const DimExpr channel = DimExpr(16) * o + DimExpr(8) * i + lane;
  EXPECT_EQ(FloorDiv(channel, 16).ToString(), "o");
  EXPECT_EQ(Mod(channel, 16), DimExpr(8) * i + lane);
  EXPECT_EQ(FloorDiv(FloorDiv(DimExpr(o) + 3, 4), 2), FloorDiv(DimExpr(o) + 3, 8));
  const SymbolRef v = MakeSymbol("v", 0, 20);
  EXPECT_EQ(FloorDiv(DimExpr(8) * v + lane, 16), FloorDiv(DimExpr(v), 2));
  EXPECT_EQ(Mod(DimExpr(8) * v + lane, 16), DimExpr(8) * Mod(DimExpr(v), 2) + lane);
  EXPECT_EQ(DimExpr(7) * FloorDiv(DimExpr(v), 7) + Mod(DimExpr(v), 7), DimExpr(v));
}

TEST(DimExprTest, SymbolsKnownToBeMultiplesDivide) {
  const SymbolRef n = MakeSymbol("n", 8, Symbol::kUnbounded, 8), m = MakeSymbol("m", 1);
  EXPECT_EQ(Mod(DimExpr(n) + 3, 8), DimExpr(3));
  EXPECT_EQ(DimExpr(8) * FloorDiv(n, 8), DimExpr(n));
  EXPECT_EQ(FloorDiv(DimExpr(n) + 3, 8), FloorDiv(n, 8));
  EXPECT_EQ(RoundUp(n, 4), DimExpr(n));
  EXPECT_EQ((DimExpr(n) * m).Divisor(), 8);
  EXPECT_EQ((DimExpr(6) * n + 24).Divisor(), 24);
}

TEST(DimExprTest, DivisionIsExactAtTheLimits) {
  const int64_t least = std::numeric_limits<int64_t>::min() + 1;
  EXPECT_EQ(Mod(least, 3), DimExpr(2));
  EXPECT_EQ(FloorDiv(least, 3), DimExpr(least / 3 - 1));
  EXPECT_EQ(FloorDiv(-least - 1, 3), DimExpr((-least - 1) / 3));
}

TEST(DimExprTest, SymbolicDivisorsCancel) {
  const SymbolRef n = MakeSymbol("n", 1), m = MakeSymbol("m", 1), i = MakeSymbol("i", 0, 2);
  EXPECT_EQ(FloorDiv(DimExpr(n) * m, n), DimExpr(m));
  EXPECT_EQ(Mod(DimExpr(6) * n * m, DimExpr(2) * n), DimExpr(0));
  EXPECT_EQ(FloorDiv(DimExpr(3) * n * m + i, DimExpr(3) * n), DimExpr(m));
  EXPECT_EQ(Mod(DimExpr(3) * n * m + i, DimExpr(3) * n), DimExpr(i));
}

TEST(DimExprTest, MinAndMaxFoldByBounds) {
  const SymbolRef n = MakeSymbol("n", 1, 8), m = MakeSymbol("m", 8);
  EXPECT_EQ(Min(n, m), DimExpr(n));
  EXPECT_EQ(Max(n, m), DimExpr(m));
  EXPECT_EQ(Max(DimExpr(n) + 1, n), DimExpr(n) + 1);
  EXPECT_EQ(Min(m, 9), Min(9, m));
  EXPECT_TRUE(ProvablyLess(n, DimExpr(m) + 1));
  EXPECT_FALSE(ProvablyLess(n, m));
}

TEST(DimExprTest, AffineCoefficients) {
  const SymbolRef x = MakeSymbol("x", 0, 99), y = MakeSymbol("y", 0, 99);
  DimExpr rest;
  EXPECT_EQ((DimExpr(3) * x + y + 7).AffineCoefficient(x, &rest), 3);
  EXPECT_EQ(rest, DimExpr(y) + 7);
  EXPECT_EQ(DimExpr(y).AffineCoefficient(x), 0);
  EXPECT_EQ((DimExpr(x) * y).AffineCoefficient(x), std::nullopt);
  EXPECT_EQ((DimExpr(x) + FloorDiv(x, 2)).AffineCoefficient(x), std::nullopt);
}

TEST(DimExprTest, HostileTextIsRefused) {
  const std::string deep = std::string(5000, '(') + "1" + std::string(5000, ')');
  for (const std::string& text : {std::string(), deep, std::string("1 +"), std::string("floordiv(1, 0)"), std::string("q"),
                                  std::string("99999999999999999999"), std::string("floordiv(1 2)"), std::string("1)")}) {
    EXPECT_EQ(DimExpr::Parse(text, {}).status().code(), absl::StatusCode::kInvalidArgument) << text.substr(0, 20);
  }
}

// Texts that would grow without bound when they are multiplied out, or nest as deeply as they may.
TEST(DimExprTest, TextThatExplodesIsRefusedOrCheap) {
  const std::map<std::string, SymbolRef> names = {{"a", MakeSymbol("a", 0)}, {"b", MakeSymbol("b", 0)}, {"c", MakeSymbol("c", 1)}};
  std::string product = "(a + b + c)", power = "a", sum = "mod(a, 3)", nested = "a", minus = "a";
  for (int i = 0; i < 60; ++i) {
    product += "*(a + b + c)";
    power += "*a";
    nested = i % 3 == 0   ? "mod(7*" + nested + " + b, " + std::to_string(90 + i) + ")"
             : i % 3 == 1 ? "min(" + nested + ", c)"
                          : "floordiv(" + nested + " + 91*mod(b, 7), 13)";
    minus = "-" + minus;
  }
  for (int i = 0; i < 250; ++i) sum += " + mod(a, " + std::to_string(i + 4) + ")";
  for (const std::string& text : {product, power}) {
    EXPECT_EQ(DimExpr::Parse(text, names).status().code(), absl::StatusCode::kInvalidArgument);
  }
  for (const std::string& text : {sum, nested, minus}) {
    const auto expr = DimExpr::Parse(text, names);
    ASSERT_TRUE(expr.ok()) << expr.status();
    EXPECT_EQ(*DimExpr::Parse(expr->ToString(), names), *expr);
  }
}

TEST(DimExprTest, RandomBytesNeverCrashTheParser) {
  std::mt19937 random(11);
  const std::map<std::string, SymbolRef> names = {{"a", MakeSymbol("a", 0)}, {"b", MakeSymbol("b", 1, 9)}};
  const std::vector<std::string> pieces = {"a", "b", "+", "-", "*", "(", ")", ",", " ", "7", "0", "9223372036854775807",
                                           "floordiv(", "mod(", "min(", "max(", ", 3)", ", b)", "\xff", "floordiv"};
  int parsed = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string text;
    for (size_t n = random() % 16; n-- > 0;) text += pieces[random() % pieces.size()];
    const auto expr = DimExpr::Parse(text, names);
    if (!expr.ok()) {
      EXPECT_EQ(expr.status().code(), absl::StatusCode::kInvalidArgument) << text;
      continue;
    }
    ++parsed;
    const auto again = DimExpr::Parse(expr->ToString(), names);
    ASSERT_TRUE(again.ok()) << text << " printed as " << expr->ToString();
    EXPECT_EQ(*again, *expr) << text;
  }
  EXPECT_GT(parsed, 100);
}

TEST(DimExprTest, OverflowIsAnErrorAtEvaluation) {
  const SymbolRef n = MakeSymbol("n", 0);
  const DimExpr huge = DimExpr(n) * n * n;
  EXPECT_EQ(huge.Evaluate({{n, int64_t{1} << 40}}).status().code(), absl::StatusCode::kOutOfRange);
  const DimExpr folded = DimExpr(int64_t{1} << 40) * DimExpr(int64_t{1} << 40);
  for (const DimExpr& expr : {folded, folded - 5, DimExpr(-1) * folded, folded - folded, FloorDiv(folded, 7),
                              Mod(folded + 1, 7), DimExpr(std::numeric_limits<int64_t>::max() - 1) + 2}) {
    EXPECT_EQ(expr.Evaluate({{n, 1}}).status().code(), absl::StatusCode::kOutOfRange) << expr.ToString();
  }
}

TEST(DimExprTest, DivisionByWhatTurnsOutNotPositiveIsAnErrorAtEvaluation) {
  const SymbolRef n = MakeSymbol("n", 1), m = MakeSymbol("m", 1);
  const DimExpr quotient = FloorDiv(m, n);
  EXPECT_EQ(quotient.Evaluate({{n, 0}, {m, 3}}).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(quotient.Substitute({{n, 0}}).Evaluate({{m, 3}}).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(quotient.Evaluate({{m, 3}}).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace hone
