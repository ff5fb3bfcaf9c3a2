// Attributes: typed access and the text form that parses back.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "compiler/ops/op.h"

namespace hone {
namespace {

TEST(AttrsTest, TextParsesBack) {
  const SymbolRef s0 = MakeSymbol("s0", 1, 512);
  const std::map<std::string, SymbolRef> symbols = {{"s0", s0}};
  const AttrMap attrs = {{"axis", int64_t{-1}},
                         {"epsilon", 1e-5},
                         {"whole", 2.0},
                         {"endless", std::numeric_limits<double>::infinity()},
                         {"mode", "a, \"quoted\" [b] = c"},
                         {"shape", std::vector<DimExpr>{DimExpr(1), DimExpr(s0) + DimExpr(3), DimExpr(-7)}},
                         {"none", std::vector<DimExpr>{}},
                         {"scales", std::vector<double>{0.5, 3}},
                         {"to", DType::kI64}};
  const std::string text = AttrsText(attrs);
  const auto parsed = ParseAttrs(text, symbols);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(*parsed, attrs) << text;
  EXPECT_EQ(AttrsText(*parsed), text);
}

TEST(AttrsTest, FaultsNameTheText) {
  for (const char* text :
       {"axis", "axis=", "shape=[1, s9]", "shape=[1", "mode=\"x", "scales=r[1, z]", "x=1.5.2", "x=?"}) {
    EXPECT_EQ(ParseAttrs(text, {}).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
  EXPECT_TRUE(ParseAttrs("", {})->empty());
}

TEST(AttrsTest, AccessFallsBack) {
  const AttrMap attrs = {
      {"axis", int64_t{2}}, {"alpha", 0.5}, {"mode", "edge"}, {"pads", std::vector<DimExpr>{1, 2}}};
  EXPECT_EQ(IntAttr(attrs, "axis"), 2);
  EXPECT_EQ(IntAttr(attrs, "other", 7), 7);
  EXPECT_EQ(FloatAttr(attrs, "alpha"), 0.5);
  EXPECT_EQ(FloatAttr(attrs, "axis"), 2.0);
  EXPECT_EQ(StringAttr(attrs, "mode"), "edge");
  EXPECT_EQ(StringAttr(attrs, "alpha", "none"), "none");
  EXPECT_EQ(IntsAttr(attrs, "pads"), (std::vector<int64_t>{1, 2}));
  EXPECT_TRUE(FloatsAttr(attrs, "pads").empty());
  EXPECT_EQ(DTypeAttr(attrs, "to"), DType::kF32);
}

TEST(AttrsTest, TensorTypeText) {
  const SymbolRef s0 = MakeSymbol("s0", 1, 512);
  EXPECT_EQ((TensorType{DType::kI64, {DimExpr(1), DimExpr(s0)}}).ToString(), "i64[1,s0]");
  EXPECT_EQ((TensorType{DType::kF32, {}}).ToString(), "f32[]");
}

}  // namespace
}  // namespace hone
