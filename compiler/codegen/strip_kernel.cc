#include "compiler/codegen/strip_kernel.h"

#include "absl/strings/str_cat.h"
#include "compiler/codegen/contract_kernel.h"
#include "compiler/codegen/stage_kernel.h"

namespace hone {

void EmitStripKernel(const StripKernel& kernel, const Target& target, const std::string& prefix, llvm::Value* begin,
                     llvm::Value* end, llvm::Value* chunk, Emitter* emitter) {
  llvm::IRBuilder<>& ir = emitter->ir();
  emitter->Loop(begin, end, 1, {}, [&](llvm::Value* unit, const Emitter::Values&) {
    llvm::Value* strip = ir.CreateURem(unit, emitter->I64(kernel.strips));
    llvm::Value* image = ir.CreateUDiv(unit, emitter->I64(kernel.strips));
    // What the strip before has computed is there, unless it is another chunk's or another image's.
    llvm::Value* first = ir.CreateOr(ir.CreateICmpEQ(unit, begin), ir.CreateICmpEQ(strip, emitter->I64(0)));
    llvm::Value* before = ir.CreateSub(strip, emitter->I64(1));
    for (size_t p = 0; p < kernel.parts.size(); ++p) {
      const StripKernel::Part& part = kernel.parts[p];
      const auto at = [&](llvm::Value* value, const DimExpr& expr) {
        emitter->Bind(kernel.strip, value);
        return emitter->Index(expr);
      };
      llvm::Value* done = at(before, part.end);
      llvm::Value* needed = at(strip, part.begin);
      llvm::Value* from = ir.CreateBinaryIntrinsic(llvm::Intrinsic::smax, needed, done);
      from = part.anew ? needed : ir.CreateSelect(first, needed, from);
      llvm::Value* to = at(strip, part.end);
      llvm::Value* base = ir.CreateMul(image, emitter->I64(part.units));
      const auto emit = [&] {
        llvm::Value* from_unit = ir.CreateAdd(base, from);
        llvm::Value* to_unit = ir.CreateAdd(base, to);
        if (const auto* contract = std::get_if<ContractKernel>(&part.kernel)) {
          EmitContractKernel(*contract, target, absl::StrCat(prefix, "_", p), from_unit, to_unit, emitter, chunk);
        } else {
          EmitStageKernel(std::get<StageKernel>(part.kernel), from_unit, to_unit, emitter);
        }
      };
      emitter->If(ir.CreateICmpSLT(from, to), emit);
    }
    return Emitter::Values();
  });
}

}  // namespace hone
