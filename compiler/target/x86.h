#pragma once

#include <span>

#include "compiler/target/target.h"

namespace hone {

std::span<const TargetRow> X86Targets();   // weakest first

}  // namespace hone
