#pragma once

#include <string>

#include "compiler/codegen/emitter.h"

namespace hone {

// Emits the units [begin, end) of a contraction's parallel loop. The micro-kernels become functions of their own in the
// same module, named `prefix`_leaf_... `scratch`: the base of what they keep in scratch, or of the chunk's.
// `panels`: the half-open range of them, where only some are wanted and the parallel loop does not share them.
struct PanelRange {
  llvm::Value* begin = nullptr;
  llvm::Value* end = nullptr;
  bool adds = false;  // to what is stored already
};
void EmitContractKernel(const ContractKernel& kernel, const Target& target, const std::string& prefix,
                        llvm::Value* begin, llvm::Value* end, Emitter* emitter, llvm::Value* scratch,
                        const PanelRange& panels = {});
int64_t PanelsOf(const ContractKernel& kernel);

// Number of units of the parallel loop: batches, blocks of row tiles and panels, as far as threads share them.
int64_t UnitsOf(const ContractKernel& kernel);

}  // namespace hone
