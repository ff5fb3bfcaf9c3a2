#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "compiler/tensor_program/interpreter.h"
#include "compiler/tensor_program/scalar_arithmetic.h"

namespace hone {
namespace {

TEST(HostTensorTest, EveryHalfComesBack) {
  for (int bits = 0; bits < 65536; ++bits) {
    const double half = FromHalf(static_cast<uint16_t>(bits)), brain = FromBrain(static_cast<uint16_t>(bits));
    EXPECT_TRUE(std::isnan(half) || ToHalf(half) == bits) << bits;
    EXPECT_TRUE(std::isnan(brain) || ToBrain(brain) == bits) << bits;
    EXPECT_EQ(std::isnan(half), std::isnan(FromHalf(ToHalf(half))));
    EXPECT_EQ(std::isnan(brain), std::isnan(FromBrain(ToBrain(brain))));
  }
}

TEST(HostTensorTest, HalvesRoundToNearestEven) {
  EXPECT_EQ(RoundTo(DType::kF16, 2049), 2048);
  EXPECT_EQ(RoundTo(DType::kF16, 2051), 2052);
  EXPECT_EQ(RoundTo(DType::kF16, 65519), 65504);
  EXPECT_EQ(RoundTo(DType::kF16, 65520), std::numeric_limits<double>::infinity());
  EXPECT_EQ(RoundTo(DType::kF16, std::ldexp(1, -25)), 0);
  EXPECT_EQ(RoundTo(DType::kF16, std::ldexp(1.5, -25)), std::ldexp(1, -24));
  EXPECT_EQ(RoundTo(DType::kBF16, 257), 256);
  EXPECT_EQ(RoundTo(DType::kBF16, 259), 260);
  EXPECT_EQ(RoundTo(DType::kF32, 16777217), 16777216);
}

TEST(HostTensorTest, EveryTypeStoresItsLimits) {
  for (int d = 0; d <= static_cast<int>(DType::kBool); ++d) {
    const DType dtype = static_cast<DType>(d);
    HostTensor tensor = HostTensor::Zeros(dtype, {2, 2});
    EXPECT_EQ(tensor.bytes.size(), 4u * DTypeBytes(dtype));
    EXPECT_EQ(tensor.Get(3), 0);
    tensor.Set(1, 1);
    EXPECT_EQ(tensor.Get(1), 1);
    EXPECT_EQ(tensor.GetInteger(1), 1);
    if (IsFloat(dtype) || dtype == DType::kBool) continue;
    tensor.Set(2, 1e30);
    tensor.Set(3, -1e30);
    EXPECT_GE(tensor.Get(2), 127) << DTypeName(dtype);
    EXPECT_LE(tensor.Get(3), 0) << DTypeName(dtype);
    EXPECT_EQ(tensor.Get(1), 1);
  }
  HostTensor wide = HostTensor::Zeros(DType::kI64, {1});
  wide.SetInteger(0, (int64_t{1} << 53) + 1);
  EXPECT_EQ(wide.GetInteger(0), (int64_t{1} << 53) + 1);
}

}  // namespace
}  // namespace hone
