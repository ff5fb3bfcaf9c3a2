// Elementwise operators against <cmath>, broadcasting, integers and truth values.
#include <gtest/gtest.h>

#include <cmath>

#include "compiler/ops/op.h"
#include "tests/compiler/ops/op_harness.h"

namespace hone {
namespace {

using Point = std::vector<int64_t>;

struct UnaryCase {
  std::string_view op;
  double (*value)(double);
  AttrMap attrs = {};
  double low = -4;
};

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double Clamp(double x, double low, double high) { return std::min(std::max(x, low), high); }

TEST(ElementwiseTest, UnaryOperators) {
  const UnaryCase cases[] = {
      {"neg", [](double x) { return -x; }},
      {"abs", [](double x) { return std::fabs(x); }},
      {"exp", [](double x) { return std::exp(x); }},
      {"log", [](double x) { return std::log(x); }, {}, 0.01},
      {"sqrt", [](double x) { return std::sqrt(x); }, {}, 0},
      {"rsqrt", [](double x) { return 1 / std::sqrt(x); }, {}, 0.01},
      {"reciprocal", [](double x) { return 1 / x; }, {}, 0.01},
      {"tanh", [](double x) { return std::tanh(x); }},
      {"erf", [](double x) { return std::erf(x); }},
      {"sigmoid", Sigmoid},
      {"sin", [](double x) { return std::sin(x); }},
      {"cos", [](double x) { return std::cos(x); }},
      {"floor", [](double x) { return std::floor(x); }},
      {"ceil", [](double x) { return std::ceil(x); }},
      {"round", [](double x) { return std::nearbyint(x); }},
      {"sign", [](double x) { return x > 0   ? 1.0
                                     : x < 0 ? -1.0
                                             : 0.0; }},
      {"identity", [](double x) { return x; }},
      {"relu", [](double x) { return std::max(x, 0.0); }},
      {"leaky_relu", [](double x) { return x < 0 ? 0.25 * x : x; }, {{"alpha", 0.25}}},
      {"leaky_relu", [](double x) { return x < 0 ? 0.01 * x : x; }},
      {"clip", [](double x) { return Clamp(x, -1, 2.5); }, {{"low", -1.0}, {"high", 2.5}}},
      {"clip", [](double x) { return std::min(x, 1.0); }, {{"high", int64_t{1}}}},
      {"hard_sigmoid", [](double x) { return Clamp(x / 4 + 0.25, 0, 1); }, {{"alpha", 0.25}, {"beta", 0.25}}},
      {"hard_swish", [](double x) { return x * Clamp(x / 6 + 0.5, 0, 1); }},
      {"gelu", [](double x) { return 0.5 * x * (1 + std::erf(x / std::sqrt(2))); }},
      {"gelu",
       [](double x) { return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))); },
       {{"approximate", "tanh"}}},
      {"silu", [](double x) { return x * Sigmoid(x); }},
      {"elu", [](double x) { return x < 0 ? 0.5 * std::expm1(x) : x; }, {{"alpha", 0.5}}},
      {"softplus", [](double x) { return std::log1p(std::exp(x)); }},
  };
  for (const UnaryCase& c : cases) {
    const HostTensor x = Generated({DType::kF32, DimList({7, 17})}, 0, c.low, 4);
    ExpectFormula(c.op, c.attrs, {x}, {7, 17}, [&](const Point& o) { return c.value(At(x, o)); });
  }
}

TEST(ElementwiseTest, SoftplusAndSigmoidDoNotOverflow) {
  HostTensor x = HostTensor::Zeros(DType::kF32, {2});
  x.Set(0, 1000);
  x.Set(1, -1000);
  EXPECT_EQ(RunOp("softplus", {}, {x})->front().Get(0), 1000);
  EXPECT_EQ(RunOp("softplus", {}, {x})->front().Get(1), 0);
  EXPECT_EQ(RunOp("sigmoid", {}, {x})->front().Get(0), 1);
  EXPECT_EQ(RunOp("sigmoid", {}, {x})->front().Get(1), 0);
}

struct BinaryCase {
  std::string_view op;
  double (*value)(double, double);
};

TEST(ElementwiseTest, BinaryOperatorsBroadcast) {
  const BinaryCase cases[] = {
      {"add", [](double a, double b) { return a + b; }},
      {"sub", [](double a, double b) { return a - b; }},
      {"mul", [](double a, double b) { return a * b; }},
      {"div", [](double a, double b) { return a / b; }},
      {"mod", [](double a, double b) { return a - std::floor(a / b) * b; }},
      {"pow", [](double a, double b) { return std::pow(a, b); }},
      {"min", [](double a, double b) { return std::min(a, b); }},
      {"max", [](double a, double b) { return std::max(a, b); }},
      {"less", [](double a, double b) { return a < b ? 1.0 : 0.0; }},
      {"less_equal", [](double a, double b) { return a <= b ? 1.0 : 0.0; }},
      {"equal", [](double a, double b) { return a == b ? 1.0 : 0.0; }},
      {"prelu", [](double a, double b) { return a < 0 ? a * b : a; }},
  };
  for (const BinaryCase& c : cases) {
    const HostTensor a = Generated({DType::kF32, DimList({2, 1, 7})}, 0, 0.25, 4);
    const HostTensor b = Generated({DType::kF32, DimList({5, 1})}, 1, 0.25, 4);
    ExpectFormula(c.op, {}, {a, b}, {2, 5, 7},
                  [&](const Point& o) { return c.value(At(a, {o[0], 0, o[2]}), At(b, {o[1], 0})); });
    ExpectFormula(c.op, {}, {b, a}, {2, 5, 7},
                  [&](const Point& o) { return c.value(At(b, {o[1], 0}), At(a, {o[0], 0, o[2]})); });
    const HostTensor scalar = Generated({DType::kF32, {}}, 2, -4, -1);
    ExpectFormula(c.op, {}, {a, scalar}, {2, 1, 7},
                  [&](const Point& o) { return c.value(At(a, o), scalar.Get(0)); });
  }
}

TEST(ElementwiseTest, NansAndInfinities) {
  HostTensor x = HostTensor::Zeros(DType::kF32, {4});
  const double values[] = {NAN, HUGE_VAL, -HUGE_VAL, 1};
  for (int64_t e = 0; e < 4; ++e) x.Set(e, values[e]);
  const auto isnan = RunOp("isnan", {}, {x}), isinf = RunOp("isinf", {}, {x}),
             most = RunOp("max", {}, {x, Floats({1}, 0)});
  ASSERT_TRUE(isnan.ok() && isinf.ok() && most.ok());
  EXPECT_EQ(isnan->front().dtype, DType::kBool);
  for (int64_t e = 0; e < 4; ++e) {
    EXPECT_EQ(isnan->front().GetInteger(e), e == 0);
    EXPECT_EQ(isinf->front().GetInteger(e), e == 1 || e == 2);
  }
  EXPECT_TRUE(std::isnan(most->front().Get(0)));
}

TEST(ElementwiseTest, IntegersAreExact) {
  const int64_t large = (int64_t{1} << 53) + 1;
  const HostTensor a = Integers(DType::kI64, {4}, {large, -7, 7, 0}),
                   b = Integers(DType::kI64, {4}, {1, 2, -2, 5});
  const auto run = [&](std::string_view op) {
    const auto result = RunOp(op, {}, {a, b});
    EXPECT_TRUE(result.ok()) << op << result.status();
    std::vector<int64_t> values;
    for (int64_t e = 0; e < 4; ++e) values.push_back(result->front().GetInteger(e));
    return values;
  };
  EXPECT_EQ(run("add"), (Point{large + 1, -5, 5, 5}));
  EXPECT_EQ(run("mul"), (Point{large, -14, -14, 0}));
  EXPECT_EQ(run("div"), (Point{large, -3, -3, 0}));
  EXPECT_EQ(run("mod"), (Point{0, 1, -1, 0}));
  EXPECT_EQ(run("max"), (Point{large, 2, 7, 5}));
  EXPECT_EQ(run("less"), (Point{0, 1, 0, 1}));
  EXPECT_EQ(run("equal"), (Point{0, 0, 0, 0}));
  EXPECT_EQ(RunOp("clip", {{"low", 0.0}, {"high", 1e30}}, {a})->front().GetInteger(0), large);
  EXPECT_EQ(RunOp("relu", {}, {a})->front().GetInteger(1), 0);
}

TEST(ElementwiseTest, TruthValues) {
  const HostTensor a = Integers(DType::kBool, {4}, {0, 0, 1, 1}),
                   b = Integers(DType::kBool, {4}, {0, 1, 0, 1});
  for (int64_t e = 0; e < 4; ++e) {
    const bool x = e >= 2, y = e % 2 == 1;
    EXPECT_EQ(RunOp("and", {}, {a, b})->front().GetInteger(e), x && y);
    EXPECT_EQ(RunOp("or", {}, {a, b})->front().GetInteger(e), x || y);
    EXPECT_EQ(RunOp("xor", {}, {a, b})->front().GetInteger(e), x != y);
    EXPECT_EQ(RunOp("not", {}, {a})->front().GetInteger(e), !x);
    EXPECT_EQ(RunOp("equal", {}, {a, b})->front().GetInteger(e), x == y);
  }
}

TEST(ElementwiseTest, SelectBroadcasts) {
  const HostTensor condition = Integers(DType::kBool, {3, 1}, {1, 0, 1});
  for (const DType dtype : {DType::kF32, DType::kI64}) {
    const HostTensor a = Generated({dtype, DimList({5})}, 0, -9, 9),
                     b = Generated({dtype, DimList({2, 1, 1})}, 1, -9, 9);
    ExpectFormula("select", {}, {condition, a, b}, {2, 3, 5},
                  [&](const Point& o) { return o[1] != 1 ? At(a, {o[2]}) : At(b, {o[0], 0, 0}); });
  }
}

TEST(ElementwiseTest, Casts) {
  HostTensor x = HostTensor::Zeros(DType::kF32, {4});
  const double values[] = {1.9, -1.9, 3e9, 0};
  for (int64_t e = 0; e < 4; ++e) x.Set(e, values[e]);
  const auto to = [&](DType dtype, int64_t e) {
    return RunOp("cast", {{"to", dtype}}, {x})->front().GetInteger(e);
  };
  EXPECT_EQ(to(DType::kI32, 0), 1);
  EXPECT_EQ(to(DType::kI64, 1), -1);
  EXPECT_EQ(to(DType::kI32, 2), 2147483647);
  EXPECT_EQ(to(DType::kI64, 2), 3000000000);
  EXPECT_EQ(to(DType::kBool, 1), 1);
  EXPECT_EQ(to(DType::kBool, 3), 0);
  const auto back = RunOp("cast", {{"to", DType::kF32}}, {Integers(DType::kI64, {2}, {-7, 1 << 20})});
  EXPECT_EQ(back->front().Get(0), -7);
  EXPECT_EQ(back->front().Get(1), 1 << 20);
}

TEST(ElementwiseTest, FaultsAreNamed) {
  const auto fault = [](std::string_view op, const AttrMap& attrs, std::vector<TensorType> inputs) {
    return std::string(FindOp(op)->infer(attrs, inputs).status().message());
  };
  const auto has = [](const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
  };
  const TensorType f{DType::kF32, DimList({3})}, i{DType::kI64, DimList({3})}, b{DType::kBool, DimList({3})};
  EXPECT_TRUE(has(fault("add", {}, {f, i}), "another type"));
  EXPECT_TRUE(has(fault("add", {}, {b, b}), "type bool"));
  EXPECT_TRUE(has(fault("exp", {}, {i}), "type i64"));
  EXPECT_TRUE(has(fault("and", {}, {f, f}), "type f32"));
  EXPECT_TRUE(has(fault("select", {}, {f, f, f}), "type f32"));
  EXPECT_TRUE(has(fault("select", {}, {b, f, i}), "differ in type"));
  EXPECT_TRUE(has(fault("mul", {}, {f, {DType::kF32, DimList({4})}}), "[3] and [4] do not broadcast"));
  EXPECT_TRUE(has(fault("gelu", {{"approximate", "sigmoid"}}, {f}), "none|tanh"));
  EXPECT_TRUE(has(fault("cast", {}, {f}), "'to' is missing"));
}

TEST(ElementwiseTest, SymbolsBroadcast) {
  const DimExpr n(MakeSymbol("n", 1, 8)), s(MakeSymbol("s", 1, 64));
  const std::vector<TensorType> inputs = {{DType::kF32, {n, s, DimExpr(16)}}, {DType::kF32, {s, DimExpr(1)}}};
  const auto outputs = FindOp("add")->infer({}, inputs);
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  EXPECT_EQ(outputs->front().shape, (std::vector<DimExpr>{n, s, 16}));
}

}  // namespace
}  // namespace hone
