#pragma once

#include <string>

#include "compiler/codegen/emitter.h"

namespace hone {

// Emits the blocks of tiles [begin, end). The emitter's chunk base is at `chunk`.
void EmitWinogradKernel(const WinogradKernel& kernel, const Target& target, const std::string& prefix,
                        llvm::Value* begin, llvm::Value* end, llvm::Value* chunk, Emitter* emitter);

}  // namespace hone
