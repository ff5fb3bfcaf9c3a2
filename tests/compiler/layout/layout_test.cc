#include "compiler/layout/layout.h"

#include <gtest/gtest.h>

#include <set>

namespace hone {
namespace {

// Every coordinate, halo included, has an address of its own inside the storage.
void ExpectInjective(const std::string& text, const std::vector<int64_t>& dims) {
  const auto layout = Layout::Parse(text);
  ASSERT_TRUE(layout.ok()) << layout.status();
  EXPECT_EQ(layout->ToString(), text);
  const std::vector<DimExpr> shape(dims.begin(), dims.end());
  const int64_t elements = layout->Elements(shape).Constant();
  std::set<int64_t> seen;
  std::vector<int64_t> index;
  for (size_t d = 0; d < dims.size(); ++d) index.push_back(-layout->halo(static_cast<int>(d)).before);
  for (;;) {
    const int64_t offset = layout->Offset(shape, {index.begin(), index.end()}).Constant();
    EXPECT_GE(offset, 0);
    EXPECT_LT(offset, elements);
    EXPECT_TRUE(seen.insert(offset).second) << text;
    size_t d = dims.size();
    while (d-- > 0) {
      if (++index[d] < dims[d] + layout->halo(static_cast<int>(d)).after) break;
      index[d] = -layout->halo(static_cast<int>(d)).before;
      if (d == 0) return;
    }
  }
}

TEST(LayoutTest, AddressesAreDistinctAndInside) {
  ExpectInjective("abcd", {2, 3, 4, 5});
  ExpectInjective("aBcd8b", {2, 11, 3, 4});
  ExpectInjective("aBcd16b+c1:1+d2:1", {1, 17, 3, 4});
  ExpectInjective("ABcd4b8a", {9, 7, 3, 2});
  ExpectInjective("Ba32b", {5, 40});
  ExpectInjective("acb", {3, 4, 5});
  ExpectInjective("AB16b4a2b", {6, 70});
}

TEST(LayoutTest, BlockedActivationsAreVectors) {
  const Layout layout = Layout::Blocked(4, 1, 16);
  EXPECT_EQ(layout.ToString(), "aBcd16b");
  const SymbolRef block = MakeSymbol("block", 0, 3), lane = MakeSymbol("lane", 0, 15), w = MakeSymbol("w", 0, 6);
  const DimExpr offset = layout.Offset({1, 64, 7, 7}, {0, DimExpr(16) * block + lane, 0, w});
  EXPECT_EQ(offset.AffineCoefficient(lane), 1);
  EXPECT_EQ(offset.AffineCoefficient(w), 16);
  EXPECT_EQ(offset.AffineCoefficient(block), 16 * 49);
}

TEST(LayoutTest, BadTextIsRefused) {
  for (const char* text : {"abd", "aab", "aB", "ab8a", "8aA", "a0a", "A1a", "A-8a", "ab+c1:1", "ab+a", "ab+a1", "a?b",
                           "A99999999999999999999a", "ab+a99999999:0"}) {
    EXPECT_EQ(Layout::Parse(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

}  // namespace
}  // namespace hone
