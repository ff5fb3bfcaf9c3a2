#pragma once

#include "compiler/codegen/emitter.h"

namespace hone {

// Emits the points [begin, end) of the kernel's flattened outer axes.
void EmitStageKernel(const StageKernel& kernel, llvm::Value* begin, llvm::Value* end, Emitter* emitter);

// Number of points of the parallel loop.
int64_t UnitsOf(const StageKernel& kernel);

}  // namespace hone
