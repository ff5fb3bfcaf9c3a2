// Operators that move elements, against index arithmetic.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "compiler/ops/op.h"
#include "tests/compiler/ops/op_harness.h"

namespace hone {
namespace {

using Point = std::vector<int64_t>;

TEST(TransposeTest, AgreesWithIndices) {
  const HostTensor x = Floats({2, 3, 5, 7}, 0);
  ExpectFormula("transpose", {{"perm", DimList({3, 0, 2, 1})}}, {x}, {7, 2, 5, 3},
                [&](const Point& o) { return At(x, {o[1], o[3], o[2], o[0]}); });
}

TEST(ConcatTest, AgreesWithIndices) {
  const HostTensor a = Floats({2, 3, 5}, 0), b = Floats({2, 1, 5}, 1), c = Floats({2, 7, 5}, 2);
  ExpectFormula("concat", {{"axis", int64_t{-2}}}, {a, b, c}, {2, 11, 5}, [&](const Point& o) {
    return o[1] < 3 ? At(a, o) : o[1] < 4 ? At(b, {o[0], 0, o[2]}) : At(c, {o[0], o[1] - 4, o[2]});
  });
  ExpectFormula("concat", {{"axis", int64_t{0}}}, {a}, {2, 3, 5}, [&](const Point& o) { return At(a, o); });
}

TEST(ChannelShuffleTest, AgreesWithIndices) {
  const HostTensor x = Floats({2, 12, 3}, 0);
  ExpectFormula("channel_shuffle", {{"groups", int64_t{3}}}, {x}, {2, 12, 3},
                [&](const Point& o) { return At(x, {o[0], o[1] % 3 * 4 + o[1] / 3, o[2]}); });
}

TEST(DepthToSpaceTest, AgreesWithIndices) {
  const HostTensor x = Floats({2, 12, 3, 5}, 0);
  ExpectFormula("depth_to_space", {{"block", int64_t{2}}, {"channels", int64_t{2}}}, {x}, {2, 2, 6, 10},
                [&](const Point& o) { return At(x, {o[0], (o[2] % 2 * 2 + o[3] % 2) * 3 + o[1], o[2] / 2, o[3] / 2}); });
}

TEST(SliceTest, AgreesWithIndices) {
  const HostTensor x = Floats({7, 17, 3}, 0);
  ExpectFormula(
      "slice",
      {{"starts", DimList({6, 1, 0})}, {"ends", DimList({-1, 17, 3})}, {"steps", DimList({-2, 3, 1})}}, {x},
      {4, 6, 3}, [&](const Point& o) { return At(x, {6 - 2 * o[0], 1 + 3 * o[1], o[2]}); });
}

TEST(SliceTest, SymbolicEnds) {
  const DimExpr s(MakeSymbol("s", 2, 64));
  const AttrMap attrs = {
      {"starts", std::vector<DimExpr>{1}}, {"ends", std::vector<DimExpr>{s}}, {"steps", DimList({1})}};
  const auto program = ProgramOf("slice", attrs, {{DType::kF32, {s}}});
  ASSERT_TRUE(program.ok()) << program.status();
  const std::vector<HostTensor> x = {Floats({9}, 0)};
  const auto y = Interpret(*program, x);
  ASSERT_TRUE(y.ok()) << y.status();
  ASSERT_EQ(y->front().dims, Point{8});
  for (int64_t e = 0; e < 8; ++e) EXPECT_EQ(y->front().Get(e), x[0].Get(e + 1));
}

TEST(GatherTest, WrapsAndClamps) {
  const HostTensor x = Floats({3, 5, 2}, 0);
  for (const DType dtype : {DType::kI64, DType::kI32}) {
    const HostTensor indices = Integers(dtype, {2, 3}, {0, 4, -1, -5, 9, -9});
    const Point taken = {0, 4, 4, 0, 4, 0};
    ExpectFormula("gather", {{"axis", int64_t{1}}}, {x, indices}, {3, 2, 3, 2},
                  [&](const Point& o) { return At(x, {o[0], taken[o[1] * 3 + o[2]], o[3]}); });
  }
  ExpectFormula("gather", {{"axis", int64_t{-1}}}, {x, Integers(DType::kI64, {}, {1})}, {3, 5},
                [&](const Point& o) { return At(x, {o[0], o[1], 1}); });
}

TEST(PadTest, AgreesWithNumpy) {
  const HostTensor x = Floats({4, 5}, 0);
  const AttrMap pads = {{"pads", DimList({2, 0, 3, 4})}};
  const auto with = [&](const char* mode) {
    AttrMap attrs = pads;
    attrs["mode"] = mode;
    attrs["value"] = 0.25;
    return attrs;
  };
  ExpectFormula("pad", with("constant"), {x}, {9, 9},
                [&](const Point& o) { return Inside(x, {o[0] - 2, o[1]}) ? At(x, {o[0] - 2, o[1]}) : 0.25; });
  ExpectFormula("pad", with("edge"), {x}, {9, 9}, [&](const Point& o) {
    return At(x, {std::clamp<int64_t>(o[0] - 2, 0, 3), std::min<int64_t>(o[1], 4)});
  });
  const auto reflected = [](int64_t i, int64_t size) {
    return i < 0 ? -i : i >= size ? 2 * (size - 1) - i : i;
  };
  ExpectFormula("pad", with("reflect"), {x}, {9, 9},
                [&](const Point& o) { return At(x, {reflected(o[0] - 2, 4), reflected(o[1], 5)}); });
  ExpectFormula("pad", {{"pads", DimList({1, 0})}, {"value", -3.0}}, {Integers(DType::kI64, {1}, {5})}, {2},
                [](const Point& o) { return o[0] == 0 ? -3.0 : 5.0; });
}

struct Resize {
  int64_t in, out;
  double scale;
};

// Positions as ONNX defines them (operator Resize).
double Position(const std::string& coordinates, const Resize& r, int64_t o) {
  const double x = static_cast<double>(o);
  if (coordinates == "half_pixel") return (x + 0.5) / r.scale - 0.5;
  if (coordinates == "asymmetric") return x / r.scale;
  return r.out == 1 ? 0 : x * static_cast<double>(r.in - 1) / static_cast<double>(r.out - 1);
}

double RoundedPosition(const std::string& rounding, double x) {
  if (rounding == "floor") return std::floor(x);
  if (rounding == "ceil") return std::ceil(x);
  return rounding == "round_prefer_ceil" ? std::floor(x + 0.5) : std::ceil(x - 0.5);
}

TEST(ResizeTest, AgreesWithOnnx) {
  const Resize sizes[][2] = {{{5, 10, 2}, {7, 21, 3}},
                             {{5, 11, 2.2}, {8, 4, 0.5}},
                             {{3, 7, 2}, {1, 1, 1}},
                             {{6, 4, 4.0 / 6}, {5, 1, 0.2}}};
  for (const auto& [h, w] : sizes) {
    const HostTensor x = Floats({2, 3, h.in, w.in}, 0);
    for (const std::string coordinates : {"asymmetric", "half_pixel", "align_corners"}) {
      AttrMap attrs = {{"size", DimList({h.out, w.out})},
                       {"scales", std::vector<double>{h.scale, w.scale}},
                       {"coordinates", coordinates}};
      const Point dims = {2, 3, h.out, w.out};
      for (const std::string rounding : {"floor", "ceil", "round_prefer_floor", "round_prefer_ceil"}) {
        attrs["rounding"] = rounding;
        const auto nearest = [&, &h = h, &w = w](const Resize& r, int64_t o) {
          return std::clamp<int64_t>(
              static_cast<int64_t>(RoundedPosition(rounding, Position(coordinates, r, o))), 0, r.in - 1);
        };
        ExpectFormula("resize2d", attrs, {x}, dims, [&, &h = h, &w = w](const Point& o) {
          return At(x, {o[0], o[1], nearest(h, o[2]), nearest(w, o[3])});
        });
      }
      attrs["mode"] = "linear";
      ExpectFormula("resize2d", attrs, {x}, dims, [&, &h = h, &w = w](const Point& o) {
        const double y = std::clamp<double>(Position(coordinates, h, o[2]), 0, static_cast<double>(h.in - 1));
        const double z = std::clamp<double>(Position(coordinates, w, o[3]), 0, static_cast<double>(w.in - 1));
        double sum = 0;
        for (int64_t i = 0; i < h.in; ++i) {
          for (int64_t j = 0; j < w.in; ++j) {
            const double weight = std::max(0.0, 1 - std::fabs(y - static_cast<double>(i))) *
                                  std::max(0.0, 1 - std::fabs(z - static_cast<double>(j)));
            sum += weight * At(x, {o[0], o[1], i, j});
          }
        }
        return sum;
      });
    }
  }
}

TEST(ResizeTest, SymbolicSizes) {
  const DimExpr h(MakeSymbol("h", 1, 64)), w(MakeSymbol("w", 1, 64));
  for (const std::string mode : {"nearest", "linear"}) {
    const AttrMap attrs = {{"size", std::vector<DimExpr>{DimExpr(2) * h, DimExpr(2) * w}},
                           {"scales", std::vector<double>{2, 2}},
                           {"mode", mode},
                           {"coordinates", mode == "nearest" ? "asymmetric" : "align_corners"}};
    const auto program = ProgramOf("resize2d", attrs, {{DType::kF32, {DimExpr(1), DimExpr(3), h, w}}});
    ASSERT_TRUE(program.ok()) << program.status();
    const std::vector<HostTensor> x = {Floats({1, 3, 5, 4}, 0)};
    const auto symbolic = Interpret(*program, x);
    AttrMap bound = attrs;
    bound["size"] = DimList({10, 8});
    const auto expected = RunOp("resize2d", bound, x);
    ASSERT_TRUE(symbolic.ok() && expected.ok()) << symbolic.status() << expected.status();
    EXPECT_EQ(symbolic->front().bytes, expected->front().bytes);
  }
}

TEST(ExpandTest, Broadcasts) {
  const HostTensor x = Floats({3, 1}, 0);
  ExpectFormula("expand", {{"shape", DimList({2, 1, 5})}}, {x}, {2, 3, 5},
                [&](const Point& o) { return At(x, {o[1], 0}); });
}

TEST(ReshapeTest, KeepsRowMajorOrder) {
  const HostTensor x = Floats({3, 1, 10, 7}, 0);
  for (const Point& shape :
       {Point{210}, Point{3, 70}, Point{1, 21, 1, 10}, Point{2, 3, 5, 7, 1}, Point{14, 15}}) {
    const auto y = RunOp("reshape", {{"shape", DimList(shape)}}, {x});
    ASSERT_TRUE(y.ok()) << y.status();
    EXPECT_EQ(y->front().dims, shape);
    EXPECT_EQ(y->front().bytes, x.bytes);
  }
  const auto scalar = RunOp("reshape", {{"shape", DimList({})}}, {Floats({1, 1}, 3)});
  ASSERT_TRUE(scalar.ok()) << scalar.status();
  EXPECT_TRUE(scalar->front().dims.empty());
  const auto empty = RunOp("reshape", {{"shape", DimList({3, 0})}}, {HostTensor::Zeros(DType::kI64, {0})});
  ASSERT_TRUE(empty.ok()) << empty.status();
  EXPECT_EQ(empty->front().dims, (Point{3, 0}));
}

TEST(ReshapeTest, SymbolicSequences) {
  const DimExpr s(MakeSymbol("s", 1, 64));
  const std::vector<DimExpr> heads = {DimExpr(1), s, DimExpr(12), DimExpr(64)};
  const auto program =
      ProgramOf("reshape", {{"shape", heads}}, {{DType::kF32, {DimExpr(1), s, DimExpr(768)}}});
  ASSERT_TRUE(program.ok()) << program.status();
  const std::vector<HostTensor> x = {Floats({1, 5, 768}, 0)};
  const auto y = Interpret(*program, x);
  ASSERT_TRUE(y.ok()) << y.status();
  EXPECT_EQ(y->front().bytes, x[0].bytes);
}

TEST(CumSumTest, AddsUp) {
  const HostTensor x = Floats({7, 3}, 0);
  ExpectFormula("cum_sum", {}, {x}, {7, 3}, [&](const Point& o) {
    double sum = 0;
    for (int64_t i = 0; i <= o[0]; ++i) sum += At(x, {i, o[1]});
    return sum;
  });
}

TEST(DataTest, FaultsAreNamed) {
  const auto fault = [](std::string_view op, const AttrMap& attrs, const std::vector<Point>& shapes) {
    std::vector<TensorType> inputs;
    for (const Point& shape : shapes) inputs.push_back({DType::kF32, DimList(shape)});
    return std::string(FindOp(op)->infer(attrs, inputs).status().message());
  };
  const auto has = [](const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
  };
  EXPECT_TRUE(has(fault("transpose", {{"perm", DimList({0, 0})}}, {{3, 5}}), "permutation"));
  EXPECT_TRUE(has(fault("transpose", {{"perm", DimList({0})}}, {{3, 5}}), "rank"));
  EXPECT_TRUE(has(fault("concat", {{"axis", int64_t{1}}}, {{3, 5}, {2, 5}}), "part 1 is f32[2,5]"));
  EXPECT_TRUE(has(fault("concat", {{"axis", int64_t{2}}}, {{3, 5}, {2, 5}}), "axis 2"));
  EXPECT_TRUE(has(fault("channel_shuffle", {{"groups", int64_t{5}}}, {{1, 12}}), "do not divide"));
  EXPECT_TRUE(has(fault("channel_shuffle", {{"groups", int64_t{0}}}, {{1, 12}}), "do not divide"));
  EXPECT_TRUE(has(fault("depth_to_space", {{"block", int64_t{2}}, {"channels", int64_t{4}}}, {{1, 12, 2, 2}}), "more channels"));
  EXPECT_TRUE(has(fault("depth_to_space", {{"block", int64_t{5}}, {"channels", int64_t{1}}}, {{1, 12, 2, 2}}), "does not divide"));
  const auto slice = [](int64_t start, int64_t end, int64_t step) {
    return AttrMap{{"starts", DimList({start})}, {"ends", DimList({end})}, {"steps", DimList({step})}};
  };
  EXPECT_TRUE(has(fault("slice", slice(0, 6, 1), {{5}}), "beyond the end"));
  EXPECT_TRUE(has(fault("slice", slice(3, 3, 1), {{5}}), "empty"));
  EXPECT_TRUE(has(fault("slice", slice(4, -2, -1), {{5}}), "beyond the start"));
  EXPECT_TRUE(has(fault("slice", slice(0, 5, 0), {{5}}), "step"));
  EXPECT_TRUE(has(fault("gather", {}, {{3, 5}, {2}}), "indices"));
  EXPECT_TRUE(has(fault("pad", {{"pads", DimList({5, 0})}, {"mode", "reflect"}}, {{5}}), "reflected"));
  EXPECT_TRUE(has(fault("pad", {{"pads", DimList({-1, 0})}}, {{5}}), "negative"));
  EXPECT_TRUE(
      has(fault("resize2d", {{"size", DimList({4, 4})}, {"scales", std::vector<double>{2}}}, {{1, 1, 2, 2}}),
          "scales"));
  EXPECT_TRUE(has(fault("reshape", {{"shape", DimList({4, 4})}}, {{3, 5}}), "[4,4]"));
  EXPECT_TRUE(has(fault("reshape", {{"shape", DimList({-3, -5})}}, {{3, 5}}), "negative"));
  EXPECT_TRUE(has(fault("expand", {{"shape", DimList({2, 7})}}, {{3, 5}}), "broadcast"));
  EXPECT_TRUE(has(fault("cum_sum", {{"axis", int64_t{1}}}, {{3, 5}}), "axis 0"));
}

}  // namespace
}  // namespace hone
