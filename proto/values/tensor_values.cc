#include "proto/values/tensor_values.h"

#include <bit>
#include <cmath>
#include <cstring>

#include "compiler/runtime/input_generator.h"

namespace hone {
namespace {

// IEEE 754 binary16 <-> binary64, round to nearest even.
uint16_t ToHalf(double value) {
  const uint64_t bits = std::bit_cast<uint64_t>(value);
  const uint16_t sign = static_cast<uint16_t>(bits >> 48) & 0x8000;
  if (std::isnan(value)) return sign | 0x7e00;
  const double magnitude = std::fabs(value);
  if (magnitude >= 65520) return sign | 0x7c00;
  if (magnitude < 0x1p-14) return sign | static_cast<uint16_t>(std::nearbyint(magnitude * 0x1p24));
  int exponent;
  const double fraction = std::frexp(magnitude, &exponent);                         // in [0.5, 1)
  const auto significand = static_cast<uint32_t>(std::nearbyint(fraction * 2048));  // in [1024, 2048]
  // A significand of 2048 carries into the exponent by the addition.
  return sign | static_cast<uint16_t>(((exponent + 13) << 10) + significand);
}

double FromHalf(uint16_t half) {
  const double sign = half & 0x8000 ? -1 : 1;
  const int exponent = half >> 10 & 31, fraction = half & 1023;
  if (exponent == 31) return fraction ? std::nan("") : sign * HUGE_VAL;
  if (exponent == 0) return sign * std::ldexp(fraction, -24);
  return sign * std::ldexp(1024 + fraction, exponent - 25);
}

uint16_t ToBFloat16(double value) {
  const auto bits = std::bit_cast<uint32_t>(static_cast<float>(value));
  if (std::isnan(value)) return static_cast<uint16_t>(bits >> 16) | 0x40;
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

double FromBFloat16(uint16_t value) { return std::bit_cast<float>(static_cast<uint32_t>(value) << 16); }

template <typename T>
T Load(const void* data, int64_t element) {
  T value;
  std::memcpy(&value, static_cast<const char*>(data) + element * sizeof(T), sizeof(T));
  return value;
}

template <typename T>
void Store(void* data, int64_t element, T value) {
  std::memcpy(static_cast<char*>(data) + element * sizeof(T), &value, sizeof(T));
}

template <typename T>
void StoreInteger(void* data, int64_t element, double value) {
  Store<T>(data, element, static_cast<T>(static_cast<int64_t>(value)));
}

}  // namespace

double ReadElement(DType dtype, const void* data, int64_t i) {
  switch (dtype) {
    case DType::kF32:
      return Load<float>(data, i);
    case DType::kF64:
      return Load<double>(data, i);
    case DType::kF16:
      return FromHalf(Load<uint16_t>(data, i));
    case DType::kBF16:
      return FromBFloat16(Load<uint16_t>(data, i));
    case DType::kI8:
      return Load<int8_t>(data, i);
    case DType::kI16:
      return Load<int16_t>(data, i);
    case DType::kI32:
      return Load<int32_t>(data, i);
    case DType::kI64:
      return static_cast<double>(Load<int64_t>(data, i));
    case DType::kU8:
      return Load<uint8_t>(data, i);
    case DType::kU16:
      return Load<uint16_t>(data, i);
    case DType::kU32:
      return Load<uint32_t>(data, i);
    case DType::kU64:
      return static_cast<double>(Load<uint64_t>(data, i));
    case DType::kBool:
      return Load<uint8_t>(data, i) != 0;
  }
  return 0;
}

void WriteElement(DType dtype, void* data, int64_t i, double value) {
  switch (dtype) {
    case DType::kF32:
      return Store(data, i, static_cast<float>(value));
    case DType::kF64:
      return Store(data, i, value);
    case DType::kF16:
      return Store(data, i, ToHalf(value));
    case DType::kBF16:
      return Store(data, i, ToBFloat16(value));
    case DType::kI8:
      return StoreInteger<int8_t>(data, i, value);
    case DType::kI16:
      return StoreInteger<int16_t>(data, i, value);
    case DType::kI32:
      return StoreInteger<int32_t>(data, i, value);
    case DType::kI64:
      return StoreInteger<int64_t>(data, i, value);
    case DType::kU8:
      return StoreInteger<uint8_t>(data, i, value);
    case DType::kU16:
      return StoreInteger<uint16_t>(data, i, value);
    case DType::kU32:
      return StoreInteger<uint32_t>(data, i, value);
    case DType::kU64:
      return StoreInteger<uint64_t>(data, i, value);
    case DType::kBool:
      return Store<uint8_t>(data, i, value != 0);
  }
}

void GenerateTensor(const TensorSpec& spec, uint64_t seed, uint64_t tensor, void* out) {
  const int64_t elements = spec.Elements();
  if (spec.dtype == DType::kF32) {
    for (int64_t i = 0; i < elements; ++i) {
      Store(out, i, static_cast<float>(HoneGenerateReal(seed, tensor, i, spec.low, spec.high)));
    }
    return;
  }
  const bool real = IsFloat(spec.dtype);
  for (int64_t i = 0; i < elements; ++i) {
    const double value = real
                             ? HoneGenerateReal(seed, tensor, i, spec.low, spec.high)
                             : static_cast<double>(HoneGenerateInteger(seed, tensor, i, spec.low, spec.high));
    WriteElement(spec.dtype, out, i, value);
  }
}

}  // namespace hone
