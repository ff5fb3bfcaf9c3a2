#pragma once

#include <cstdint>
#include <string_view>

#include "proto/values/dtype.h"

namespace hone {

// How a dtype appears at a module's interface.
struct DlpackType {
  uint8_t code, bits;             // DLDataType, one lane
  std::string_view code_name;     // "kDLFloat"
};
DlpackType DlpackTypeOf(DType dtype);

}  // namespace hone
