#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace hone {

// Element types of tensors. The text form is that of DTypeName ("f32").
enum class DType : uint8_t { kF32, kF64, kF16, kBF16, kI8, kI16, kI32, kI64, kU8, kU16, kU32, kU64, kBool };

std::string_view DTypeName(DType dtype);
std::optional<DType> ParseDType(std::string_view name);
int64_t DTypeBytes(DType dtype);
bool IsFloat(DType dtype);

}  // namespace hone
