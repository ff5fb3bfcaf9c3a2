#pragma once

#include "compiler/codegen/emitter.h"
#include "compiler/schedule/linear_program.h"

namespace hone {

// The `linear` leaf: constant matrices times values, as straight code on scalars or vectors.
Emitter::Values EmitLinear(const LinearProgram& program, const Emitter::Values& inputs, Emitter* emitter);

// left * X * right^T of a grid X of left.inputs x right.inputs values: each read once, column by column; `write` gets
// each row of the result as code that is emitted when it is called.
struct GridTransform {
  const LinearProgram& left;
  const LinearProgram& right;
  std::function<llvm::Value*(int row, int column)> read;
  std::function<void(int row, const std::function<Emitter::Values()>& values)> write;
};
void EmitGridTransform(const GridTransform& grid, Emitter* emitter);

}  // namespace hone
