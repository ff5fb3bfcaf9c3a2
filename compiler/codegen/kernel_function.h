#pragma once

#include <llvm/IR/Function.h>
#include <llvm/IR/Module.h>

#include <string>

#include "compiler/target/target.h"

namespace hone {

// Marks micro-kernels: already as they shall be, no pass of the IR pipeline runs on them.
inline constexpr const char* kLeafAttribute = "hone-leaf";

// An internal function `void name(ptr buffers, ptr scratch, i64 ...)` for the target's cpu.
llvm::Function* AddKernelFunction(const std::string& name, size_t integers, const Target& target, llvm::Module* module);

// The attributes every function of a module has: cpu, features, no unwinding.
void SetTargetAttributes(const Target& target, llvm::Function* function);

}  // namespace hone
