// Softmax, normalisation and reductions against plain loops.
#include <gtest/gtest.h>

#include <cmath>

#include "compiler/ops/op.h"
#include "tests/compiler/ops/op_harness.h"

namespace hone {
namespace {

using Point = std::vector<int64_t>;

TEST(SoftmaxTest, AgreesWithItsDefinition) {
  const Point dims = {3, 5, 7};
  const HostTensor x = Generated({DType::kF32, DimList(dims)}, 0, -9, 9);
  for (const int64_t axis : {-1, 0, 1, 2}) {
    const size_t d = static_cast<size_t>(axis < 0 ? axis + 3 : axis);
    const auto total = [&](Point point) {
      double sum = 0;
      for (point[d] = 0; point[d] < dims[d]; ++point[d]) sum += std::exp(At(x, point));
      return sum;
    };
    ExpectFormula("softmax", {{"axis", axis}}, {x}, dims,
                  [&](const Point& o) { return std::exp(At(x, o)) / total(o); });
    ExpectFormula("log_softmax", {{"axis", axis}}, {x}, dims,
                  [&](const Point& o) { return At(x, o) - std::log(total(o)); });
  }
}

TEST(SoftmaxTest, LargeValuesDoNotOverflow) {
  HostTensor x = HostTensor::Zeros(DType::kF32, {1, 2});
  x.Set(0, 1e30);
  x.Set(1, -1e30);
  const auto y = RunOp("softmax", {}, {x});
  ASSERT_TRUE(y.ok()) << y.status();
  EXPECT_EQ(y->front().Get(0), 1);
  EXPECT_EQ(y->front().Get(1), 0);
}

TEST(LayerNormTest, AgreesWithItsDefinition) {
  const Point dims = {3, 5, 7};
  const HostTensor x = Generated({DType::kF32, DimList(dims)}, 0, -2, 5);
  for (const int64_t axis : {-1, 1, -3}) {
    const size_t first = static_cast<size_t>(axis < 0 ? axis + 3 : axis);
    const Point rows(dims.begin() + static_cast<ptrdiff_t>(first), dims.end());
    const HostTensor scale = Floats(rows, 1), bias = Floats({7}, 2);
    const double epsilon = 0.01;
    const auto normal = [&](const Point& o) {
      double sum = 0, squares = 0, count = 0;
      Point point = o;
      const std::function<void(size_t, const std::function<void()>&)> loop =
          [&](size_t d, const std::function<void()>& visit) {
            if (d == dims.size()) return visit();
            for (point[d] = 0; point[d] < dims[d]; ++point[d]) loop(d + 1, visit);
          };
      loop(first, [&] { sum += At(x, point), ++count; });
      const double mean = sum / count;
      loop(first, [&] { squares += std::pow(At(x, point) - mean, 2); });
      return (At(x, o) - mean) / std::sqrt(squares / count + epsilon);
    };
    const auto scaled = [&](const Point& o) {
      return normal(o) * At(scale, Point(o.begin() + static_cast<ptrdiff_t>(first), o.end()));
    };
    const AttrMap attrs = {{"axis", axis}, {"epsilon", epsilon}};
    ExpectFormula("layer_norm", attrs, {x}, dims, normal);
    ExpectFormula("layer_norm", attrs, {x, scale}, dims, scaled);
    ExpectFormula("layer_norm", attrs, {x, scale, bias}, dims,
                  [&](const Point& o) { return scaled(o) + At(bias, {o.back()}); });
  }
}

struct Reduction {
  std::string_view op;
  double initial;
  double (*step)(double, double);
};

TEST(ReduceTest, AgreesWithLoops) {
  const Point dims = {3, 5, 2, 7};
  const HostTensor x = Floats(dims, 0);
  const Reduction reductions[] = {
      {"reduce_sum", 0, [](double a, double b) { return a + b; }},
      {"reduce_mean", 0, [](double a, double b) { return a + b; }},
      {"reduce_prod", 1, [](double a, double b) { return a * b; }},
      {"reduce_max", -HUGE_VAL, [](double a, double b) { return std::max(a, b); }},
      {"reduce_min", HUGE_VAL, [](double a, double b) { return std::min(a, b); }}};
  for (const Reduction& reduction : reductions) {
    for (const Point& axes : {Point{3}, Point{1, 2}, Point{-1, 0}, Point{0, 1, 2, 3}}) {
      for (const int64_t keep : {0, 1}) {
        std::vector<bool> reduced(4, false);
        for (const int64_t axis : axes) reduced[static_cast<size_t>(axis < 0 ? axis + 4 : axis)] = true;
        Point out;
        for (size_t d = 0; d < 4; ++d) {
          if (!reduced[d] || keep != 0) out.push_back(reduced[d] ? 1 : dims[d]);
        }
        ExpectFormula(reduction.op, {{"axes", DimList(axes)}, {"keepdims", keep}}, {x}, out,
                      [&](const Point& o) {
                        double value = reduction.initial, count = 0;
                        for (int64_t e = 0; e < x.Elements(); ++e) {
                          const Point at = {e / 70, e / 14 % 5, e / 7 % 2, e % 7};
                          bool here = true;
                          for (size_t d = 0, next = 0; d < 4; ++d) {
                            if (!reduced[d]) here = here && at[d] == o[next];
                            if (!reduced[d] || keep != 0) ++next;
                          }
                          if (!here) continue;
                          value = reduction.step(value, x.Get(e));
                          ++count;
                        }
                        return reduction.op == "reduce_mean" ? value / count : value;
                      });
      }
    }
  }
}

TEST(ReduceTest, IntegersAreExact) {
  const int64_t large = (int64_t{1} << 53) + 1;
  const HostTensor x = Integers(DType::kI64, {1, 3}, {large, 2, -5});
  const AttrMap attrs = {{"axes", DimList({1})}, {"keepdims", int64_t{0}}};
  EXPECT_EQ(RunOp("reduce_sum", attrs, {x})->front().GetInteger(0), large - 3);
  EXPECT_EQ(RunOp("reduce_max", attrs, {x})->front().GetInteger(0), large);
  EXPECT_EQ(RunOp("reduce_min", attrs, {x})->front().GetInteger(0), -5);
  EXPECT_EQ(RunOp("reduce_prod", attrs, {Integers(DType::kI32, {1, 3}, {3, -7, 11})})->front().GetInteger(0),
            -231);
}

TEST(ReduceTest, FaultsAreNamed) {
  const auto fault = [](const AttrMap& attrs, Point x) {
    const std::vector<TensorType> inputs = {{DType::kF32, DimList(std::move(x))}};
    return std::string(FindOp("reduce_sum")->infer(attrs, inputs).status().message());
  };
  EXPECT_NE(fault({{"axes", DimList({2})}}, {3, 5}).find("axis 2 of a tensor of rank 2"), std::string::npos);
  EXPECT_NE(fault({{"axes", DimList({1, -1})}}, {3, 5}).find("twice"), std::string::npos);
  EXPECT_NE(fault({{"axes", DimList({})}}, {3, 5}).find("no axis"), std::string::npos);
  EXPECT_NE(fault({}, {3, 5}).find("'axes' is missing"), std::string::npos);
}

TEST(ArgMaxTest, TakesTheFirstOfEquals) {
  const HostTensor x = Integers(DType::kI32, {2, 4}, {3, 9, 9, 1, -5, -7, -5, -6});
  const auto rows = RunOp("arg_max", {{"axis", int64_t{-1}}, {"keepdims", int64_t{0}}}, {x});
  ASSERT_TRUE(rows.ok()) << rows.status();
  EXPECT_EQ(rows->front().dtype, DType::kI64);
  EXPECT_EQ(rows->front().dims, Point{2});
  EXPECT_EQ(rows->front().GetInteger(0), 1);
  EXPECT_EQ(rows->front().GetInteger(1), 0);
  const auto columns = RunOp("arg_max", {{"axis", int64_t{0}}}, {Floats({5, 7}, 3)});
  ASSERT_TRUE(columns.ok()) << columns.status();
  EXPECT_EQ(columns->front().dims, (Point{1, 7}));
}

}  // namespace
}  // namespace hone
