#pragma once

#include <string>

#include <llvm/IR/Module.h>

#include "compiler/schedule/loop_nest.h"
#include "compiler/target/target.h"

namespace hone {

// Adds `int32_t symbol(ptr buffers, ptr scratch, ptr HoneParallel)`, which runs the kernels of a nest in order.
llvm::Function* AddNestFunction(const LoopNest& nest, const Target& target, const std::string& symbol,
                                llvm::Module* module);

}  // namespace hone
