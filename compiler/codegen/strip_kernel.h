#pragma once

#include <string>

#include "compiler/codegen/emitter.h"

namespace hone {

// Emits the strips [begin, end) of a parallel loop; `chunk` is the scratch of the chunk that computes them. Micro-kernels
// become functions of their own, named `prefix`_....
void EmitStripKernel(const StripKernel& kernel, const Target& target, const std::string& prefix, llvm::Value* begin,
                     llvm::Value* end, llvm::Value* chunk, Emitter* emitter);

}  // namespace hone
