#pragma once

#include <llvm/IR/IRBuilder.h>

#include <vector>

namespace hone {

// Transposes a square block in registers: result[j][i] = rows[i][j]. As many vectors as each has lanes: 4, 8 or 16.
std::vector<llvm::Value*> TransposeBlock(llvm::IRBuilder<>& ir, const std::vector<llvm::Value*>& rows);

}  // namespace hone
