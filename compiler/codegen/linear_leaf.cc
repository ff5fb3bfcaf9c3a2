#include "compiler/codegen/linear_leaf.h"

namespace hone {
namespace {

using Values = Emitter::Values;

llvm::Value* EmitSum(const LinearProgram::Sum& sum, const Values& values, Emitter* emitter) {
  llvm::IRBuilder<>& ir = emitter->ir();
  llvm::Value* total = nullptr;
  for (const LinearProgram::Term& term : sum) {
    llvm::Value* x = values[static_cast<size_t>(term.value)];
    llvm::Value* coefficient = llvm::ConstantFP::get(x->getType(), term.coefficient);
    if (total == nullptr) {
      total = term.coefficient == 1 ? x : ir.CreateFMul(x, coefficient);
    } else if (term.coefficient == 1) {
      total = ir.CreateFAdd(total, x);
    } else if (term.coefficient == -1) {
      total = ir.CreateFSub(total, x);
    } else {
      total = emitter->math().MultiplyAdd(x, coefficient, total);
    }
  }
  return total;
}

}  // namespace

Values EmitLinear(const LinearProgram& program, const Values& inputs, Emitter* emitter) {
  Values values = inputs, outputs;
  for (const LinearProgram::Sum& sum : program.sums) values.push_back(EmitSum(sum, values, emitter));
  for (const int output : program.outputs) outputs.push_back(values[static_cast<size_t>(output)]);
  return outputs;
}

void EmitGridTransform(const GridTransform& grid, Emitter* emitter) {
  std::vector<Values> rows(grid.left.outputs.size());
  for (int column = 0; column < grid.right.inputs; ++column) {
    Values line;
    for (int row = 0; row < grid.left.inputs; ++row) line.push_back(grid.read(row, column));
    line = EmitLinear(grid.left, line, emitter);
    for (size_t row = 0; row < rows.size(); ++row) rows[row].push_back(line[row]);
  }
  for (size_t row = 0; row < rows.size(); ++row) {
    grid.write(static_cast<int>(row), [&] { return EmitLinear(grid.right, rows[row], emitter); });
  }
}

}  // namespace hone
