#include "compiler/layout/layout.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
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

// Every order of three dimensions, every one of them split or not, with and without halos, over sizes that do not divide.
TEST(LayoutTest, AllSmallLayoutsAreInjective) {
  const std::vector<int64_t> dims = {2, 5, 3};
  for (const char* halo : {"", "+b1:2", "+a1:0+c0:1"}) {
    std::string order = "abc";
    do {
      for (int split = 0; split < 8; ++split) {
        std::string text = order, blocks;
        for (size_t i = 0; i < 3; ++i) {
          if ((split >> i & 1) == 0) continue;
          blocks += (i == 1 ? "4" : "2") + std::string(1, order[i]);
          text[i] = static_cast<char>(order[i] - 'a' + 'A');
        }
        ExpectInjective(text + blocks + halo, dims);
      }
    } while (std::next_permutation(order.begin(), order.end()));
  }
}

TEST(LayoutTest, OffsetsOfSymbolsAreOffsetsOfTheirValues) {
  const SymbolRef n = MakeSymbol("n", 1, 40), i = MakeSymbol("i", -1, 40), j = MakeSymbol("j", 0, 8);
  for (const char* text : {"ab", "ba", "Ab4a", "AB4b2a+a1:1", "bA8a+a1:1+b0:3"}) {
    const Layout layout = *Layout::Parse(text);
    const DimExpr offset = layout.Offset({n, 9}, {i, j});
    for (int64_t size = 3; size < 8; ++size) {
      for (int64_t at = layout.halo(0).before > 0 ? -1 : 0; at < size; ++at) {
        EXPECT_EQ(offset.Evaluate({{n, size}, {i, at}, {j, 7}}).value(), layout.Offset({size, 9}, {at, 7}).Constant()) << text;
      }
    }
  }
}

TEST(LayoutTest, PadsToWholeBlocksHaloIncluded) {
  const Layout layout = Layout::Blocked(3, 1, 8).WithHalo(1, {1, 1}).WithHalo(2, {2, 0});
  EXPECT_EQ(layout.ToString(), "aBc8b+b1:1+c2:0");
  EXPECT_EQ(ShapeText(layout.PhysicalShape({2, 15, 4})), "[2,3,6,8]");
  EXPECT_EQ(layout.WithoutHalo(), Layout::Blocked(3, 1, 8));
  EXPECT_TRUE(Layout::Plain(0).IsPlain());
  EXPECT_EQ(*Layout::Parse(""), Layout::Plain(0));
}

TEST(LayoutTest, RandomTextNeverCrashesTheParser) {
  std::mt19937 random(3);
  const std::string bytes = "aAbBcCdz0123489+:-\xff ";
  int parsed = 0;
  for (int round = 0; round < 50000; ++round) {
    std::string text(1 + random() % 9, ' ');
    for (char& c : text) c = bytes[random() % bytes.size()];
    if (random() % 2 == 0) text = "aB" + text;
    const auto layout = Layout::Parse(text);
    if (!layout.ok()) {
      ASSERT_EQ(layout.status().code(), absl::StatusCode::kInvalidArgument);
      continue;
    }
    ++parsed;
    ASSERT_EQ(*Layout::Parse(layout->ToString()), *layout) << text;
  }
  EXPECT_GT(parsed, 100);
}

TEST(LayoutTest, BlockedActivationsAreVectors) {
  const Layout layout = Layout::Blocked(4, 1, 16);
  EXPECT_EQ(layout.ToString(), "aBcd16b");
  const SymbolRef block = MakeSymbol("block", 0, 3), lane = MakeSymbol("lane", 0, 15), w = MakeSymbol("w", 0, 6);
  const DimExpr offset = layout.Offset({1, 64, 7, 7}, {0, DimExpr(16) * block + lane, 0, w});
  EXPECT_EQ(offset.AffineCoefficient(lane), 1);
  EXPECT_EQ(offset.AffineCoefficient(w), 16);
  EXPECT_EQ(offset.AffineCoefficient(block), 16 * 49);
  const Layout rows = Layout::BlockedRows(16);
  EXPECT_EQ(rows.ToString(), "acBd16b");
  const DimExpr in_row = rows.Offset({1, 64, 7, 7}, {0, DimExpr(16) * block + lane, w, 0});
  EXPECT_EQ(in_row.AffineCoefficient(lane), 1);
  EXPECT_EQ(in_row.AffineCoefficient(block), 16 * 7);
  EXPECT_EQ(in_row.AffineCoefficient(w), 64 * 7);
}

TEST(LayoutTest, BadTextIsRefused) {
  for (const char* text : {"abd", "aab", "aB", "ab8a", "8aA", "a0a", "A1a", "A-8a", "ab+c1:1", "ab+a", "ab+a1", "a?b",
                           "A99999999999999999999a", "ab+a99999999:0",
                           "A1048576a1048576a1048576a1048576a", "a+", "a+a1:", "a+a-1:1", "+a1:1", "2a", "A2", "A2A"}) {
    EXPECT_EQ(Layout::Parse(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(LayoutTest, PartsThatLieTogether) {
  const std::vector<DimExpr> shape = {1, 40, 3, 5};
  const auto offset = [&](const char* layout, int dim, int64_t begin, int64_t extent) {
    return Layout::Parse(layout)->OffsetOfPart(shape, dim, begin, extent);
  };
  EXPECT_EQ(offset("abcd", 1, 7, 4), 7 * 15);
  EXPECT_EQ(offset("aBcd16b", 1, 16, 16), 16 * 15);
  EXPECT_EQ(offset("aBcd16b", 1, 32, 8), 32 * 15);    // the padded end
  EXPECT_EQ(offset("aBcd16b+c1:1+d1:1", 1, 16, 16), 16 * 35);
  EXPECT_EQ(offset("aBcd16b", 1, 16, 8), std::nullopt);
  EXPECT_EQ(offset("aBcd16b", 1, 8, 32), std::nullopt);
  EXPECT_EQ(offset("abcd", 2, 0, 2), std::nullopt);   // channels lie outside of rows
  EXPECT_EQ(offset("abcd+b1:1", 1, 0, 2), std::nullopt);
  EXPECT_EQ(Layout::Plain(2).OffsetOfPart({1, DimExpr(MakeSymbol("n"))}, 1, 0, 2), std::nullopt);
}

}  // namespace
}  // namespace hone
