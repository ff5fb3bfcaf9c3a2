#include "compiler/module/dlpack_type.h"

#include "compiler/runtime/dlpack.h"

namespace hone {

DlpackType DlpackTypeOf(DType dtype) {
  switch (dtype) {
    case DType::kF32: return {kDLFloat, 32, "kDLFloat"};
    case DType::kF64: return {kDLFloat, 64, "kDLFloat"};
    case DType::kF16: return {kDLFloat, 16, "kDLFloat"};
    case DType::kBF16: return {kDLBfloat, 16, "kDLBfloat"};
    case DType::kI8: return {kDLInt, 8, "kDLInt"};
    case DType::kI16: return {kDLInt, 16, "kDLInt"};
    case DType::kI32: return {kDLInt, 32, "kDLInt"};
    case DType::kI64: return {kDLInt, 64, "kDLInt"};
    case DType::kU8: return {kDLUInt, 8, "kDLUInt"};
    case DType::kU16: return {kDLUInt, 16, "kDLUInt"};
    case DType::kU32: return {kDLUInt, 32, "kDLUInt"};
    case DType::kU64: return {kDLUInt, 64, "kDLUInt"};
    case DType::kBool: return {kDLBool, 8, "kDLBool"};
  }
  return {kDLFloat, 32, "kDLFloat"};
}

}  // namespace hone
