#pragma once

#include <string>

#include "compiler/codegen/emitter.h"

namespace hone {

// One micro-kernel: the rows of a pattern times the vectors of a panel, over one pass of the reduction.
struct ContractLeaf {
  int pattern = 0;
  int vectors = 1;          // of the panel
  int active = 1;           // lanes of its last vector
  int64_t k_begin = 0, k_count = 1;   // iterations of the outermost reduction loop
  bool first_pass = true, last_pass = true;
};

// void leaf(buffers, scratch (of the task, or of the chunk where a kernel's tensors live there), batch coordinates..., coordinates
// of the first row..., panel, number of row tiles that have used it before). Returns the function.
llvm::Function* EmitContractLeaf(const ContractKernel& kernel, const LoopNest& nest, const Target& target,
                                 const ContractLeaf& leaf, const std::string& name, llvm::Module* module);

}  // namespace hone
