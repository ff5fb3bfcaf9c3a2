#include "compiler/module/pack_constants.h"

#include <gtest/gtest.h>

#include <cstring>

namespace hone {
namespace {

ConstantData Numbered(std::vector<int64_t> dims, std::vector<uint32_t>* values) {
  int64_t n = 1;
  for (const int64_t d : dims) n *= d;
  values->resize(n);
  for (int64_t i = 0; i < n; ++i) (*values)[i] = static_cast<uint32_t>(i + 1);
  ConstantData data;
  data.dtype = DType::kU32;
  data.dims = std::move(dims);
  data.data = reinterpret_cast<const uint8_t*>(values->data());
  data.size = values->size() * sizeof(uint32_t);
  return data;
}

std::vector<DimExpr> Exprs(const std::vector<int64_t>& dims) { return {dims.begin(), dims.end()}; }

// Every element is where Layout::Offset says, everything else zero.
void ExpectPacked(const std::vector<int64_t>& dims, const std::string& text) {
  SCOPED_TRACE(text);
  const auto layout = Layout::Parse(text);
  ASSERT_TRUE(layout.ok()) << layout.status();
  std::vector<uint32_t> values;
  const ConstantData constant = Numbered(dims, &values);
  std::vector<uint32_t> packed(layout->Elements(Exprs(dims)).Constant(), 0), expected(packed.size(), 0);
  ASSERT_TRUE(PackTensor(constant, *layout, reinterpret_cast<uint8_t*>(packed.data())).ok());
  std::vector<int64_t> index(dims.size(), 0);
  for (const uint32_t value : values) {
    expected[layout->Offset(Exprs(dims), Exprs(index)).Constant()] = value;
    for (size_t d = dims.size(); d-- > 0;) {
      if (++index[d] < dims[d]) break;
      index[d] = 0;
    }
  }
  EXPECT_EQ(packed, expected);
}

TEST(PackConstantsTest, EveryLayoutPutsElementsWhereItsOffsetSays) {
  ExpectPacked({7}, "a");
  ExpectPacked({7}, "A4a");
  ExpectPacked({5, 7}, "ab");
  ExpectPacked({5, 7}, "ba");
  ExpectPacked({5, 7}, "Ba4b");
  ExpectPacked({17, 3, 3, 5}, "ABcd8a16b");
  ExpectPacked({17, 3, 3, 5}, "Acdb16a");
  ExpectPacked({2, 17, 3, 5}, "aBcd16b+c1:1+d1:2");
  ExpectPacked({1, 1, 1, 1}, "abcd");
}

// matrix x matrix^T of every 3x3 kernel, by hand.
TEST(PackConstantsTest, TransformsComeBeforeTheLayout) {
  const std::vector<int64_t> dims = {5, 7, 3, 3}, after = {5, 7, 4, 2};
  std::vector<float> values(5 * 7 * 9);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 11) - 4;
  Matrix left(4, 3), right(2, 3);
  for (int i = 0; i < 12; ++i) left.values[i] = 0.5 * i - 2;
  for (int i = 0; i < 6; ++i) right.values[i] = 1.0 - i;
  Graph graph;
  const auto* bytes = reinterpret_cast<const uint8_t*>(values.data());
  const TensorId w = graph.AddConstant("w", MakeConstant(DType::kF32, dims, {bytes, bytes + values.size() * sizeof(float)}));
  Plan plan;
  plan.buffers.push_back({.name = "w", .kind = BufferKind::kConstant, .offset = 0});
  const Layout layout = Layout::Parse("cdAb4a").value();
  plan.constants.push_back({0, w, layout, {{2, left}, {3, right}}});
  std::vector<float> packed(layout.Elements(Exprs(after)).Constant(), 0);
  ASSERT_TRUE(PackConstants(plan, graph, 2, reinterpret_cast<uint8_t*>(packed.data())).ok());
  for (int64_t at = 0; at < 5 * 7; ++at) {
    for (int64_t i = 0; i < 4; ++i) {
      for (int64_t j = 0; j < 2; ++j) {
        double sum = 0;
        for (int p = 0; p < 3; ++p) {
          for (int q = 0; q < 3; ++q) sum += left(static_cast<int>(i), p) * right(static_cast<int>(j), q) * values[at * 9 + p * 3 + q];
        }
        EXPECT_FLOAT_EQ(packed[layout.Offset(Exprs(after), Exprs({at / 7, at % 7, i, j})).Constant()], static_cast<float>(sum));
      }
    }
  }
  plan.constants[0].transforms[0].matrix = Matrix(4, 2);
  EXPECT_FALSE(PackConstants(plan, graph, 1, reinterpret_cast<uint8_t*>(packed.data())).ok());
}

TEST(PackConstantsTest, SizesThatDoNotFitAreErrors) {
  std::vector<uint32_t> values;
  ConstantData constant = Numbered({5, 7}, &values);
  uint32_t packed[35];
  EXPECT_FALSE(PackTensor(constant, Layout::Plain(3), reinterpret_cast<uint8_t*>(packed)).ok());
  constant.size -= 4;
  EXPECT_FALSE(PackTensor(constant, Layout::Plain(2), reinterpret_cast<uint8_t*>(packed)).ok());
}

TEST(PackConstantsTest, LargeConstantsArePackedByAllThreads) {
  Graph graph;
  std::vector<uint32_t> values;
  const std::vector<int64_t> dims = {3000, 1000};   // several slices
  const auto constant = std::make_shared<ConstantData>(Numbered(dims, &values));
  const TensorId id = graph.AddConstant("w", constant);
  const Layout transposed = *Layout::Parse("ba");
  Plan plan;
  plan.buffers = {{"w", BufferKind::kConstant, 12000000, 0}, {"w", BufferKind::kConstant, 12000000, 12000000}};
  plan.constants = {{0, id, Layout::Plain(2)}, {1, id, transposed}};
  plan.constant_bytes = 24000000;
  std::vector<uint32_t> packed(6000000);
  ASSERT_TRUE(PackConstants(plan, graph, 3, reinterpret_cast<uint8_t*>(packed.data())).ok());
  EXPECT_EQ(std::memcmp(packed.data(), values.data(), 12000000), 0);
  for (int64_t i = 0; i < 3000; i += 7) {
    for (int64_t j = 0; j < 1000; j += 11) ASSERT_EQ(packed[3000000 + j * 3000 + i], values[i * 1000 + j]);
  }
}

}  // namespace
}  // namespace hone
