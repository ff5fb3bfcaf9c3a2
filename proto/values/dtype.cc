#include "proto/values/dtype.h"

#include <array>

namespace hone {
namespace {

struct DTypeRow {
  DType dtype;
  std::string_view name;
  int64_t bytes;
  bool is_float;
};

constexpr std::array<DTypeRow, 13> kDTypes = {{
    {DType::kF32, "f32", 4, true},
    {DType::kF64, "f64", 8, true},
    {DType::kF16, "f16", 2, true},
    {DType::kBF16, "bf16", 2, true},
    {DType::kI8, "i8", 1, false},
    {DType::kI16, "i16", 2, false},
    {DType::kI32, "i32", 4, false},
    {DType::kI64, "i64", 8, false},
    {DType::kU8, "u8", 1, false},
    {DType::kU16, "u16", 2, false},
    {DType::kU32, "u32", 4, false},
    {DType::kU64, "u64", 8, false},
    {DType::kBool, "bool", 1, false},
}};

const DTypeRow& Row(DType dtype) { return kDTypes[static_cast<size_t>(dtype)]; }

}  // namespace

std::string_view DTypeName(DType dtype) { return Row(dtype).name; }
int64_t DTypeBytes(DType dtype) { return Row(dtype).bytes; }
bool IsFloat(DType dtype) { return Row(dtype).is_float; }

std::optional<DType> ParseDType(std::string_view name) {
  for (const DTypeRow& row : kDTypes) {
    if (row.name == name) return row.dtype;
  }
  return std::nullopt;
}

}  // namespace hone
