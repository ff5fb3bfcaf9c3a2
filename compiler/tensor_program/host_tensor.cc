// Storage of tensors in every dtype.
#include <cmath>
#include <cstring>
#include <limits>

#include "compiler/tensor_program/interpreter.h"
#include "compiler/tensor_program/scalar_arithmetic.h"

namespace hone {
namespace {

template <typename T>
T Read(const std::vector<uint8_t>& bytes, int64_t element) {
  T value;
  std::memcpy(&value, bytes.data() + element * static_cast<int64_t>(sizeof(T)), sizeof(T));
  return value;
}
template <typename T>
void Write(std::vector<uint8_t>* bytes, int64_t element, T value) {
  std::memcpy(bytes->data() + element * static_cast<int64_t>(sizeof(T)), &value, sizeof(T));
}

}  // namespace

double FromHalf(uint16_t bits) {
  const int exponent = (bits >> 10) & 31, mantissa = bits & 1023;
  const double magnitude = exponent == 31 ? (mantissa != 0 ? std::nan("") : HUGE_VAL)
                           : exponent == 0 ? std::ldexp(mantissa, -24)
                                           : std::ldexp(1024 + mantissa, exponent - 25);
  return (bits & 0x8000) != 0 ? -magnitude : magnitude;
}

uint16_t ToHalf(double value) {
  const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  if (std::isnan(value)) return 0x7e00;
  const double magnitude = std::fabs(value);
  if (magnitude == 0) return sign;
  if (magnitude >= 65520) return sign | 0x7c00;
  int exponent = 0;
  std::frexp(magnitude, &exponent);
  const int shift = std::max(exponent - 11, -24);   // the last bit of the mantissa
  const double scaled = std::nearbyint(std::ldexp(magnitude, -shift));
  if (shift == -24) return sign | static_cast<uint16_t>(scaled);
  return static_cast<uint16_t>(sign + ((shift + 25) << 10) + static_cast<int>(scaled) - 1024);
}

double FromBrain(uint16_t bits) {
  const uint32_t wide = static_cast<uint32_t>(bits) << 16;
  float value;
  std::memcpy(&value, &wide, sizeof(value));
  return value;
}

uint16_t ToBrain(double value) {
  const float narrow = static_cast<float>(value);
  uint32_t bits;
  std::memcpy(&bits, &narrow, sizeof(bits));
  if (std::isnan(narrow)) return static_cast<uint16_t>((bits >> 16) | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

double RoundTo(DType dtype, double value) {
  switch (dtype) {
    case DType::kF32: return static_cast<float>(value);
    case DType::kF16: return FromHalf(ToHalf(value));
    case DType::kBF16: return FromBrain(ToBrain(value));
    default: return value;
  }
}

HostTensor HostTensor::Zeros(DType dtype, std::vector<int64_t> dims) {
  HostTensor tensor{dtype, std::move(dims), {}};
  tensor.bytes.assign(static_cast<size_t>(tensor.Elements() * DTypeBytes(dtype)), 0);
  return tensor;
}

int64_t HostTensor::Elements() const {
  int64_t count = 1;
  for (const int64_t dim : dims) {
    if (dim == 0) return 0;
    if (__builtin_mul_overflow(count, dim, &count)) return std::numeric_limits<int64_t>::max();
  }
  return count;
}

double HostTensor::Get(int64_t element) const {
  switch (dtype) {
    case DType::kF32: return Read<float>(bytes, element);
    case DType::kF64: return Read<double>(bytes, element);
    case DType::kF16: return FromHalf(Read<uint16_t>(bytes, element));
    case DType::kBF16: return FromBrain(Read<uint16_t>(bytes, element));
    case DType::kU64: return static_cast<double>(Read<uint64_t>(bytes, element));
    default: return static_cast<double>(GetInteger(element));
  }
}

int64_t HostTensor::GetInteger(int64_t element) const {
  switch (dtype) {
    case DType::kI8: return Read<int8_t>(bytes, element);
    case DType::kI16: return Read<int16_t>(bytes, element);
    case DType::kI32: return Read<int32_t>(bytes, element);
    case DType::kI64: return Read<int64_t>(bytes, element);
    case DType::kU8: return Read<uint8_t>(bytes, element);
    case DType::kU16: return Read<uint16_t>(bytes, element);
    case DType::kU32: return Read<uint32_t>(bytes, element);
    case DType::kU64: return static_cast<int64_t>(Read<uint64_t>(bytes, element));
    case DType::kBool: return Read<uint8_t>(bytes, element) != 0;
    default: return static_cast<int64_t>(Get(element));
  }
}

void HostTensor::Set(int64_t element, double value) {
  switch (dtype) {
    case DType::kF32: return Write(&bytes, element, static_cast<float>(value));
    case DType::kF64: return Write(&bytes, element, value);
    case DType::kF16: return Write(&bytes, element, ToHalf(value));
    case DType::kBF16: return Write(&bytes, element, ToBrain(value));
    default: return SetInteger(element, NumberOf(dtype, value).integer);
  }
}

void HostTensor::SetInteger(int64_t element, int64_t value) {
  switch (DTypeBytes(dtype)) {
    case 1: return Write(&bytes, element, static_cast<uint8_t>(dtype == DType::kBool ? value != 0 : value));
    case 2: return Write(&bytes, element, static_cast<uint16_t>(value));
    case 4: return Write(&bytes, element, static_cast<uint32_t>(value));
    default: return Write(&bytes, element, static_cast<uint64_t>(value));
  }
}

}  // namespace hone
