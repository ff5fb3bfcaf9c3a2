#include "compiler/codegen/stage_kernel.h"

#include "compiler/codegen/breakpoints.h"
#include "compiler/codegen/stage_emitter.h"
#include "compiler/schedule/fused_stages.h"

namespace hone {

int64_t UnitsOf(const StageKernel& kernel) { return Points(kernel.outer); }

namespace {

// Code for every piece of the outer axes from `level` on in which all conditions on them are known; `point` are their
// values.
void EmitPieces(const StageKernel& kernel, size_t level, const std::vector<llvm::Value*>& point, Emitter* emitter) {
  if (level == kernel.outer.size()) {
    for (const StageLoops& stage : kernel.stages) StageEmitter(stage, emitter).Run();
    return;
  }
  const Axis& axis = kernel.outer[level];
  Breakpoints breakpoints(axis);
  for (const StageLoops& stage : kernel.stages) breakpoints.Collect(stage);
  const std::vector<int64_t> cuts = breakpoints.points();
  llvm::IRBuilder<>& ir = emitter->ir();
  for (size_t piece = 0; piece + 1 < cuts.size(); ++piece) {
    const SymbolRef symbol = MakeSymbol(axis.variable->name, cuts[piece], cuts[piece + 1] - 1);
    emitter->Bind(symbol, point[level]);
    emitter->Substitute(axis.variable, symbol->lower == symbol->upper ? DimExpr(symbol->lower) : DimExpr(symbol));
    if (cuts.size() == 2) return EmitPieces(kernel, level + 1, point, emitter);
    llvm::Value* inside = ir.CreateAnd(ir.CreateICmpSGE(point[level], emitter->I64(cuts[piece])),
                                       ir.CreateICmpSLT(point[level], emitter->I64(cuts[piece + 1])));
    emitter->If(inside, [&] { EmitPieces(kernel, level + 1, point, emitter); });
  }
}

}  // namespace

void EmitStageKernel(const StageKernel& kernel, llvm::Value* begin, llvm::Value* end, Emitter* emitter) {
  if (kernel.outer.empty()) return EmitPieces(kernel, 0, {}, emitter);
  emitter->Loop(begin, end, 1, {}, [&](llvm::Value* unit, const Emitter::Values&) {
    std::vector<llvm::Value*> point(kernel.outer.size());
    llvm::Value* rest = unit;
    for (size_t level = kernel.outer.size(); level-- > 0;) {
      llvm::Value* extent = emitter->I64(Extent(kernel.outer[level]));
      point[level] = level == 0 ? rest : emitter->ir().CreateURem(rest, extent);
      rest = emitter->ir().CreateUDiv(rest, extent);
    }
    EmitPieces(kernel, 0, point, emitter);
    return Emitter::Values();
  });
}

}  // namespace hone
