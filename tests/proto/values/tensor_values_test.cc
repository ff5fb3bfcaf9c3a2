#include "proto/values/tensor_values.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace hone {
namespace {

constexpr DType kAll[] = {DType::kF32, DType::kF64, DType::kF16, DType::kBF16, DType::kI8,
                          DType::kI16, DType::kI32, DType::kI64, DType::kU8,   DType::kU16,
                          DType::kU32, DType::kU64, DType::kBool};

TEST(TensorValues, SmallIntegersSurviveEveryType) {
  for (DType dtype : kAll) {
    char data[32] = {};
    WriteElement(dtype, data, 0, 0);
    WriteElement(dtype, data, 1, 1);
    EXPECT_EQ(ReadElement(dtype, data, 0), 0) << DTypeName(dtype);
    EXPECT_EQ(ReadElement(dtype, data, 1), 1) << DTypeName(dtype);
  }
}

double Round(DType dtype, double value) {
  char data[8];
  WriteElement(dtype, data, 0, value);
  return ReadElement(dtype, data, 0);
}

TEST(TensorValues, HalfRoundsToNearestEven) {
  EXPECT_EQ(Round(DType::kF16, 2049), 2048);
  EXPECT_EQ(Round(DType::kF16, 2051), 2052);
  EXPECT_EQ(Round(DType::kF16, 65504), 65504);
  EXPECT_EQ(Round(DType::kF16, 65519), 65504);
  EXPECT_EQ(Round(DType::kF16, -65520), -HUGE_VAL);
  EXPECT_EQ(Round(DType::kF16, 0x1p-24), 0x1p-24);
  EXPECT_EQ(Round(DType::kF16, 0x1p-25), 0);
  EXPECT_EQ(Round(DType::kF16, 0x1.ffffp-15), 0x1p-14);
  EXPECT_EQ(Round(DType::kF16, 1 - 0x1p-13), 1);
  EXPECT_TRUE(std::isnan(Round(DType::kF16, std::nan(""))));
}

TEST(TensorValues, BFloat16RoundsToNearestEven) {
  EXPECT_EQ(Round(DType::kBF16, 257), 256);
  EXPECT_EQ(Round(DType::kBF16, 259), 260);
  EXPECT_EQ(Round(DType::kBF16, std::numeric_limits<double>::infinity()), HUGE_VAL);
  EXPECT_TRUE(std::isnan(Round(DType::kBF16, std::nan(""))));
}

TEST(TensorValues, GeneratedWithinRangeAndDifferentPerTensor) {
  for (DType dtype : kAll) {
    TensorSpec spec{.dtype = dtype, .dims = {5, 7}, .low = 0, .high = 100};
    std::string a(spec.Bytes(), 0), b(spec.Bytes(), 0);
    GenerateTensor(spec, 1, 0, a.data());
    GenerateTensor(spec, 1, 1, b.data());
    for (int64_t i = 0; i < spec.Elements(); ++i) {
      EXPECT_GE(ReadElement(dtype, a.data(), i), 0);
      EXPECT_LE(ReadElement(dtype, a.data(), i), 100);
    }
    EXPECT_TRUE(a != b || dtype == DType::kBool) << DTypeName(dtype);
  }
}

}  // namespace
}  // namespace hone
