// Depthwise convolutions and pooling against plain loops.
#include <gtest/gtest.h>

#include <cmath>

#include "compiler/ops/op.h"
#include "tests/compiler/ops/op_harness.h"

namespace hone {
namespace {

using Point = std::vector<int64_t>;

struct Window {
  Point x, kernel;
  Point strides{1, 1}, pads{0, 0, 0, 0}, dilations{1, 1};
  int64_t multiplier = 1;

  AttrMap Attrs(bool pools) const {
    AttrMap attrs = {
        {"strides", DimList(strides)}, {"pads", DimList(pads)}, {"dilations", DimList(dilations)}};
    if (pools) attrs["kernel"] = DimList(kernel);
    return attrs;
  }
  Point Output() const {
    Point dims = {x[0], x[1] * multiplier, 0, 0};
    for (int d = 0; d < 2; ++d) {
      dims[2 + d] = (x[2 + d] + pads[d] + pads[2 + d] - (kernel[d] - 1) * dilations[d] - 1) / strides[d] + 1;
    }
    return dims;
  }
  // Calls `visit` with the input position of every tap of the window at `o` in channel `c`.
  template <typename Visit>
  void ForEachTap(const Point& o, int64_t c, const Visit& visit) const {
    for (int64_t kh = 0; kh < kernel[0]; ++kh) {
      for (int64_t kw = 0; kw < kernel[1]; ++kw) {
        visit(Point{o[0], c, o[2] * strides[0] - pads[0] + kh * dilations[0],
                    o[3] * strides[1] - pads[1] + kw * dilations[1]},
              kh, kw);
      }
    }
  }
};

class WindowTest : public testing::TestWithParam<Window> {};

TEST_P(WindowTest, DepthwiseAgreesWithLoops) {
  const Window& c = GetParam();
  const HostTensor x = Floats(c.x, 0), w = Floats({c.x[1] * c.multiplier, 1, c.kernel[0], c.kernel[1]}, 1);
  ExpectFormula("depthwise_conv2d", c.Attrs(false), {x, w}, c.Output(), [&](const Point& o) {
    double sum = 0;
    c.ForEachTap(o, o[1] / c.multiplier, [&](const Point& at, int64_t kh, int64_t kw) {
      if (Inside(x, at)) sum += At(x, at) * At(w, {o[1], 0, kh, kw});
    });
    return sum;
  });
}

TEST_P(WindowTest, PoolingAgreesWithLoops) {
  Window c = GetParam();
  c.multiplier = 1;
  const HostTensor x = Floats(c.x, 0);
  ExpectFormula("max_pool2d", c.Attrs(true), {x}, c.Output(), [&](const Point& o) {
    double most = -HUGE_VAL;
    c.ForEachTap(o, o[1], [&](const Point& at, int64_t, int64_t) {
      most = Inside(x, at) ? std::max(most, At(x, at)) : most;
    });
    return most;
  });
  for (const int64_t counted : {0, 1}) {
    AttrMap attrs = c.Attrs(true);
    attrs["count_include_pad"] = counted;
    ExpectFormula("average_pool2d", attrs, {x}, c.Output(), [&](const Point& o) {
      double sum = 0, taps = 0;
      c.ForEachTap(o, o[1], [&](const Point& at, int64_t, int64_t) {
        sum += Inside(x, at) ? At(x, at) : 0;
        taps += Inside(x, at) || counted != 0 ? 1 : 0;
      });
      return sum / taps;
    });
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, WindowTest,
                         testing::Values(Window{{1, 7, 5, 3}, {3, 3}, {1, 1}, {1, 1, 1, 1}},
                                         Window{{2, 3, 11, 13}, {3, 2}, {2, 3}, {1, 0, 2, 1}, {2, 1}, 2},
                                         Window{{1, 1, 1, 1}, {1, 1}},
                                         Window{{1, 2, 1, 17}, {1, 5}, {1, 1}, {0, 4, 0, 4}},
                                         Window{{1, 17, 7, 7}, {5, 3}, {1, 2}, {2, 0, 2, 1}, {1, 2}, 3}));

TEST(PoolTest, PaddingNeverWinsAMaximum) {
  HostTensor x = HostTensor::Zeros(DType::kI32, {1, 1, 2, 2});
  for (int64_t e = 0; e < 4; ++e) x.SetInteger(e, -100 - e);
  const auto y = RunOp("max_pool2d", {{"kernel", DimList({3, 3})}, {"pads", DimList({1, 1, 1, 1})}}, {x});
  ASSERT_TRUE(y.ok()) << y.status();
  for (int64_t e = 0; e < 4; ++e) EXPECT_EQ(y->front().GetInteger(e), -100);
}

TEST(PoolTest, FaultsAreNamed) {
  const auto fault = [](std::string_view op, const AttrMap& attrs, Point x,
                        std::vector<TensorType> more = {}) {
    more.insert(more.begin(), {DType::kF32, DimList(std::move(x))});
    return std::string(FindOp(op)->infer(attrs, more).status().message());
  };
  const auto has = [](const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
  };
  EXPECT_TRUE(has(fault("max_pool2d", {}, {1, 1, 3, 3}), "'kernel' is missing"));
  EXPECT_TRUE(has(fault("max_pool2d", {{"kernel", DimList({2})}}, {1, 1, 3, 3}), "kernel needs 2"));
  EXPECT_TRUE(has(fault("max_pool2d", {{"kernel", DimList({0, 2})}}, {1, 1, 3, 3}), "empty"));
  EXPECT_TRUE(has(fault("average_pool2d", {{"kernel", DimList({5, 2})}}, {1, 1, 3, 3}), "larger"));
  EXPECT_TRUE(has(fault("average_pool2d", {{"kernel", DimList({2, 2})}}, {1, 3, 3}), "rank 3"));
  const TensorType weights{DType::kF32, DimList({7, 1, 3, 3})};
  EXPECT_TRUE(has(fault("depthwise_conv2d", {}, {1, 3, 5, 5}, {weights}), "do not fit"));
}

}  // namespace
}  // namespace hone
