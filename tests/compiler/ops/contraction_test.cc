// Convolutions and matrix products against plain loops.
#include <gtest/gtest.h>

#include "compiler/ops/op.h"
#include "tests/compiler/ops/op_harness.h"

namespace hone {
namespace {

using Point = std::vector<int64_t>;

struct Conv {
  Point x, w;
  Point strides{1, 1}, pads{0, 0, 0, 0}, dilations{1, 1};
  int64_t group = 1;

  AttrMap Attrs() const {
    return {{"strides", DimList(strides)},
            {"pads", DimList(pads)},
            {"dilations", DimList(dilations)},
            {"group", group}};
  }
};

class ConvTest : public testing::TestWithParam<Conv> {};

TEST_P(ConvTest, AgreesWithLoops) {
  const Conv& c = GetParam();
  const HostTensor x = Floats(c.x, 0), w = Floats(c.w, 1);
  Point dims = {c.x[0], c.w[0], 0, 0};
  for (int d = 0; d < 2; ++d) {
    dims[2 + d] =
        (c.x[2 + d] + c.pads[d] + c.pads[2 + d] - (c.w[2 + d] - 1) * c.dilations[d] - 1) / c.strides[d] + 1;
  }
  ExpectFormula("conv2d", c.Attrs(), {x, w}, dims, [&](const Point& o) {
    const int64_t first = o[1] / (c.w[0] / c.group) * c.w[1];
    double sum = 0;
    for (int64_t ic = 0; ic < c.w[1]; ++ic) {
      for (int64_t kh = 0; kh < c.w[2]; ++kh) {
        for (int64_t kw = 0; kw < c.w[3]; ++kw) {
          const Point at = {o[0], first + ic, o[2] * c.strides[0] - c.pads[0] + kh * c.dilations[0],
                            o[3] * c.strides[1] - c.pads[1] + kw * c.dilations[1]};
          if (Inside(x, at)) sum += At(x, at) * At(w, {o[1], ic, kh, kw});
        }
      }
    }
    return sum;
  });
}

INSTANTIATE_TEST_SUITE_P(Shapes, ConvTest,
                         testing::Values(Conv{{1, 3, 7, 5}, {7, 3, 3, 3}, {1, 1}, {1, 1, 1, 1}},
                                         Conv{{2, 5, 11, 13}, {3, 5, 3, 1}, {2, 3}, {1, 0, 0, 2}, {2, 1}},
                                         Conv{{1, 6, 5, 7}, {9, 2, 2, 3}, {1, 2}, {0, 1, 1, 2}, {1, 1}, 3},
                                         Conv{{1, 4, 5, 5}, {4, 1, 3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}, 4},
                                         Conv{{3, 1, 1, 1}, {1, 1, 1, 1}},
                                         Conv{{1, 2, 1, 17}, {2, 2, 1, 17}, {1, 1}, {0, 8, 0, 8}}));

class ConvTransposeTest : public testing::TestWithParam<std::pair<Conv, Point>> {};

// Every input element is added where its window reaches.
TEST_P(ConvTransposeTest, AgreesWithScattering) {
  const auto& [c, extra] = GetParam();
  const HostTensor x = Floats(c.x, 0), w = Floats(c.w, 1);
  const int64_t per_group = c.x[1] / c.group;
  Point dims = {c.x[0], c.w[1] * c.group, 0, 0};
  for (int d = 0; d < 2; ++d) {
    dims[2 + d] = (c.x[2 + d] - 1) * c.strides[d] - c.pads[d] - c.pads[2 + d] +
                  (c.w[2 + d] - 1) * c.dilations[d] + 1 + extra[d];
  }
  std::map<Point, double> sums;
  for (int64_t e = 0; e < x.Elements(); ++e) {
    const int64_t iw = e % c.x[3], ih = e / c.x[3] % c.x[2], ic = e / c.x[3] / c.x[2] % c.x[1],
                  n = e / c.x[3] / c.x[2] / c.x[1];
    for (int64_t k = 0; k < c.w[1] * c.w[2] * c.w[3]; ++k) {
      const int64_t kw = k % c.w[3], kh = k / c.w[3] % c.w[2], o = k / c.w[3] / c.w[2];
      const Point at = {n, ic / per_group * c.w[1] + o, ih * c.strides[0] + kh * c.dilations[0] - c.pads[0],
                        iw * c.strides[1] + kw * c.dilations[1] - c.pads[1]};
      sums[at] += x.Get(e) * At(w, {ic, o, kh, kw});
    }
  }
  AttrMap attrs = c.Attrs();
  attrs["output_padding"] = DimList(extra);
  ExpectFormula("conv_transpose2d", attrs, {x, w}, dims, [&](const Point& o) {
    const auto found = sums.find(o);
    return found == sums.end() ? 0 : found->second;
  });
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, ConvTransposeTest,
    testing::Values(std::pair(Conv{{1, 3, 4, 5}, {3, 7, 2, 2}, {2, 2}}, Point{0, 0}),
                    std::pair(Conv{{2, 6, 3, 5}, {6, 1, 3, 3}, {2, 3}, {1, 0, 1, 2}, {1, 1}, 3}, Point{1, 0}),
                    std::pair(Conv{{1, 2, 5, 1}, {2, 3, 3, 1}, {1, 1}, {2, 0, 1, 0}, {2, 1}}, Point{0, 0})));

struct Matmul {
  Point a, b;
  bool transpose_a = false, transpose_b = false;
  Point dims;
};

class MatmulTest : public testing::TestWithParam<Matmul> {};

TEST_P(MatmulTest, AgreesWithLoops) {
  const Matmul& c = GetParam();
  const HostTensor a = Floats(c.a, 0), b = Floats(c.b, 1);
  const int64_t depth = c.a[c.a.size() - (c.transpose_a ? 2 : 1)];
  const auto at = [](const HostTensor& x, const Point& out, int64_t row, int64_t column, bool transposed) {
    Point point(out.end() - static_cast<ptrdiff_t>(x.dims.size()), out.end());
    for (size_t d = 0; d + 2 < point.size(); ++d) point[d] = x.dims[d] == 1 ? 0 : point[d];
    point[point.size() - 2] = transposed ? column : row;
    point[point.size() - 1] = transposed ? row : column;
    return At(x, point);
  };
  const AttrMap attrs = {{"transpose_a", int64_t{c.transpose_a}}, {"transpose_b", int64_t{c.transpose_b}}};
  ExpectFormula("matmul", attrs, {a, b}, c.dims, [&](const Point& o) {
    double sum = 0;
    for (int64_t k = 0; k < depth; ++k) {
      sum += at(a, o, o[o.size() - 2], k, c.transpose_a) * at(b, o, k, o.back(), c.transpose_b);
    }
    return sum;
  });
}

INSTANTIATE_TEST_SUITE_P(Shapes, MatmulTest,
                         testing::Values(Matmul{{7, 17}, {17, 3}, false, false, {7, 3}},
                                         Matmul{{17, 7}, {17, 3}, true, false, {7, 3}},
                                         Matmul{{7, 17}, {3, 17}, false, true, {7, 3}},
                                         Matmul{{5, 1, 3, 7}, {2, 7, 11}, false, false, {5, 2, 3, 11}},
                                         Matmul{{3, 7}, {5, 1, 7, 1}, false, false, {5, 1, 3, 1}},
                                         Matmul{{2, 5, 3}, {1, 7, 5}, true, true, {2, 3, 7}}));

TEST(ContractionTest, ShapesMayBeSymbols) {
  const DimExpr n(MakeSymbol("n", 1, 64)), h(MakeSymbol("h", 8, 512)), w(MakeSymbol("w", 8, 512));
  const Conv c{{}, {}, {2, 2}, {1, 1, 1, 1}};
  const TensorType weights{DType::kF32, DimList({16, 3, 3, 3})};
  const std::vector<TensorType> inputs = {{DType::kF32, {n, DimExpr(3), h, w}}, weights};
  const auto outputs = FindOp("conv2d")->infer(c.Attrs(), inputs);
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  const std::vector<DimExpr> expected = {n, DimExpr(16), FloorDiv(h - DimExpr(1), DimExpr(2)) + DimExpr(1),
                                         FloorDiv(w - DimExpr(1), DimExpr(2)) + DimExpr(1)};
  EXPECT_EQ(outputs->front().shape, expected) << outputs->front().ToString();
  const auto program = ProgramOf("conv2d", c.Attrs(), inputs);
  ASSERT_TRUE(program.ok()) << program.status();
  // One program serves all sizes.
  const std::vector<HostTensor> operands = {Floats({2, 3, 9, 12}, 0), Floats({16, 3, 3, 3}, 1)};
  const auto symbolic = Interpret(*program, operands), bound = RunOp("conv2d", c.Attrs(), operands);
  ASSERT_TRUE(symbolic.ok() && bound.ok()) << symbolic.status() << bound.status();
  EXPECT_EQ(symbolic->front().dims, (Point{2, 16, 5, 6}));
  EXPECT_EQ(symbolic->front().bytes, bound->front().bytes);
}

TEST(ContractionTest, SymbolicSequences) {
  const DimExpr s(MakeSymbol("s", 1, 512));
  const std::vector<TensorType> inputs = {{DType::kF32, {DimExpr(1), DimExpr(12), s, DimExpr(64)}},
                                          {DType::kF32, {DimExpr(1), DimExpr(12), s, DimExpr(64)}}};
  const auto outputs = FindOp("matmul")->infer({{"transpose_b", int64_t{1}}}, inputs);
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  EXPECT_EQ(outputs->front().shape, (std::vector<DimExpr>{1, 12, s, s}));
  EXPECT_EQ(FindOp("matmul")->flops({{"transpose_b", int64_t{1}}}, inputs, *outputs),
            DimExpr(2 * 12 * 64) * s * s);
}

TEST(ContractionTest, NominalOperations) {
  const std::vector<TensorType> inputs = {{DType::kF32, DimList({1, 64, 56, 56})},
                                          {DType::kF32, DimList({64, 64, 3, 3})}};
  const AttrMap attrs = {{"pads", DimList({1, 1, 1, 1})}};
  const auto outputs = FindOp("conv2d")->infer(attrs, inputs);
  EXPECT_EQ(FindOp("conv2d")->flops(attrs, inputs, *outputs), DimExpr(2LL * 64 * 56 * 56 * 64 * 9));
}

// The stages and axes that schedules look for.
TEST(ContractionTest, LoweringIsFixed) {
  const auto conv = ProgramOf("conv2d", {{"pads", DimList({1, 1, 1, 1})}},
                              {{DType::kF32, DimList({1, 3, 7, 7})}, {DType::kF32, DimList({5, 3, 3, 3})}});
  ASSERT_TRUE(conv.ok());
  ASSERT_EQ(conv->stages.size(), 2u);
  EXPECT_EQ(conv->stages[0].name, "n_pad");
  EXPECT_EQ(conv->stages[0].combine, Combine::kNone);
  const auto names = [](const std::vector<Axis>& axes) {
    std::string text;
    for (const Axis& axis : axes) text += axis.variable->name + " ";
    return text;
  };
  EXPECT_EQ(names(conv->stages[1].axes), "n oc oh ow ");
  EXPECT_EQ(names(conv->stages[1].reduce), "ic kh kw ");
  EXPECT_EQ(conv->stages[1].combine, Combine::kSum);
  EXPECT_EQ(conv->stages[1].body[0]->binary, BinaryOp::kMul);
  const auto pointwise =
      ProgramOf("conv2d", {}, {{DType::kF32, DimList({1, 3, 7, 7})}, {DType::kF32, DimList({5, 3, 1, 1})}});
  ASSERT_TRUE(pointwise.ok());
  ASSERT_EQ(pointwise->stages.size(), 1u);
  EXPECT_EQ(names(pointwise->stages[0].reduce), "ic kh kw ");
  const auto matmul =
      ProgramOf("matmul", {}, {{DType::kF32, DimList({2, 3, 5, 7})}, {DType::kF32, DimList({7, 11})}});
  ASSERT_TRUE(matmul.ok());
  EXPECT_EQ(names(matmul->stages[0].axes), "b0 b1 m n ");
  EXPECT_EQ(names(matmul->stages[0].reduce), "k ");
}

TEST(ContractionTest, FaultsAreNamed) {
  const auto fault = [](std::string_view op, const AttrMap& attrs, Point x, Point w) {
    const std::vector<TensorType> inputs = {{DType::kF32, DimList(std::move(x))},
                                            {DType::kF32, DimList(std::move(w))}};
    return std::string(FindOp(op)->infer(attrs, inputs).status().message());
  };
  const auto has = [](const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
  };
  EXPECT_TRUE(has(fault("conv2d", {}, {1, 3, 7}, {5, 3, 3, 3}), "rank 3"));
  EXPECT_TRUE(has(fault("conv2d", {}, {1, 3, 7, 7}, {5, 4, 3, 3}), "channels"));
  EXPECT_TRUE(has(fault("conv2d", {{"group", int64_t{2}}}, {1, 6, 7, 7}, {5, 3, 3, 3}), "group"));
  EXPECT_TRUE(has(fault("conv2d", {}, {1, 3, 2, 2}, {5, 3, 3, 3}), "larger"));
  EXPECT_TRUE(has(fault("conv2d", {{"strides", DimList({0, 1})}}, {1, 3, 7, 7}, {5, 3, 3, 3}), "strides"));
  EXPECT_TRUE(has(fault("conv2d", {{"pads", DimList({1, 1})}}, {1, 3, 7, 7}, {5, 3, 3, 3}), "pads"));
  EXPECT_TRUE(has(fault("conv_transpose2d", {}, {1, 3, 7, 7}, {5, 3, 3, 3}), "channels"));
  EXPECT_TRUE(has(fault("conv_transpose2d", {{"output_padding", DimList({1})}}, {1, 3, 7, 7}, {3, 5, 3, 3}),
                  "output_padding"));
  EXPECT_TRUE(has(fault("matmul", {}, {3, 5}, {7, 11}), "inner dimensions 5 and 7"));
  EXPECT_TRUE(has(fault("matmul", {}, {2, 3, 5}, {3, 5, 7}), "broadcast"));
  EXPECT_TRUE(has(fault("matmul", {}, {5}, {5, 7}), "rank 1"));
}

}  // namespace
}  // namespace hone
