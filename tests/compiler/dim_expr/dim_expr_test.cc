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
  const int kind = static_cast<int>(random() % (depth == 0 ? 2 : 8));
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
    default: return {Min(a.expr, b.expr), [=](const auto& v) { return std::min(a.value(v), b.value(v)); }};
  }
}

TEST(DimExprTest, SimplificationKeepsTheValueAndTheBoundsHold) {
  std::mt19937 random(7);
  const std::vector<SymbolRef> symbols = {MakeSymbol("x", 0, 15), MakeSymbol("y", 0, 7), MakeSymbol("z", 1, 100)};
  std::map<std::string, SymbolRef> names;
  for (const SymbolRef& symbol : symbols) names[symbol->name] = symbol;
  for (int i = 0; i < 3000; ++i) {
    const Sample sample = Random(random, symbols, 4);
    const auto parsed = DimExpr::Parse(sample.expr.ToString(), names);
    ASSERT_TRUE(parsed.ok()) << parsed.status() << " " << sample.expr.ToString();
    EXPECT_EQ(parsed->ToString(), sample.expr.ToString());
    for (int j = 0; j < 20; ++j) {
      std::map<SymbolRef, int64_t> values;
      std::map<SymbolRef, DimExpr> constants;
      for (const SymbolRef& symbol : symbols) {
        values[symbol] = symbol->lower + static_cast<int64_t>(random() % (symbol->upper - symbol->lower + 1));
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

TEST(DimExprTest, HostileTextIsRefused) {
  const std::string deep = std::string(5000, '(') + "1" + std::string(5000, ')');
  for (const std::string& text : {std::string(), deep, std::string("1 +"), std::string("floordiv(1, 0)"), std::string("q"),
                                  std::string("99999999999999999999"), std::string("floordiv(1 2)"), std::string("1)")}) {
    EXPECT_EQ(DimExpr::Parse(text, {}).status().code(), absl::StatusCode::kInvalidArgument) << text.substr(0, 20);
  }
}

TEST(DimExprTest, OverflowIsAnErrorAtEvaluation) {
  const SymbolRef n = MakeSymbol("n", 0);
  const DimExpr huge = DimExpr(n) * n * n;
  EXPECT_EQ(huge.Evaluate({{n, int64_t{1} << 40}}).status().code(), absl::StatusCode::kOutOfRange);
  const DimExpr folded = DimExpr(int64_t{1} << 40) * DimExpr(int64_t{1} << 40);
  EXPECT_EQ(folded.Evaluate({}).status().code(), absl::StatusCode::kOutOfRange);
}

}  // namespace
}  // namespace hone
