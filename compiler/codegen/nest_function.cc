#include "compiler/codegen/nest_function.h"

#include <llvm/IR/IRBuilder.h>

#include "absl/strings/str_cat.h"
#include "compiler/codegen/contract_kernel.h"
#include "compiler/codegen/kernel_function.h"
#include "compiler/codegen/stage_kernel.h"
#include "compiler/codegen/winograd_kernel.h"

namespace hone {
namespace {

int64_t Units(const Kernel& kernel) {
  if (const auto* winograd = std::get_if<WinogradKernel>(&kernel)) return winograd->Units();
  if (const auto* contract = std::get_if<ContractKernel>(&kernel)) return UnitsOf(*contract);
  return UnitsOf(std::get<StageKernel>(kernel));
}
int Chunks(const Kernel& kernel) {
  return std::visit([](const auto& k) { return k.chunks; }, kernel);
}

// void range(buffers, scratch, begin, end, chunk): the units [begin, end) of a kernel.
llvm::Function* AddRange(const LoopNest& nest, const Kernel& kernel, const Target& target, const std::string& name,
                         llvm::Module* module) {
  llvm::Function* function = AddKernelFunction(name, 3, target, module);
  Emitter emitter(nest, target, function);
  llvm::Value* begin = function->getArg(2);
  llvm::Value* end = function->getArg(3);
  // The scratch of a parallel chunk.
  const auto chunk_of = [&](const auto& chunked) {
    llvm::IRBuilder<>& ir = emitter.ir();
    llvm::Value* offset = ir.CreateMul(function->getArg(4), emitter.I64(chunked.chunk_bytes));
    offset = ir.CreateAdd(offset, emitter.I64(chunked.scratch_offset));
    llvm::Value* base = ir.CreateInBoundsGEP(ir.getInt8Ty(), function->getArg(1), offset);
    emitter.SetChunkBase(base);
    return base;
  };
  if (const auto* contract = std::get_if<ContractKernel>(&kernel)) {
    EmitContractKernel(*contract, target, name, begin, end, &emitter, function->getArg(1));
  } else if (const auto* winograd = std::get_if<WinogradKernel>(&kernel)) {
    EmitWinogradKernel(*winograd, target, name, begin, end, chunk_of(*winograd), &emitter);
  } else {
    const StageKernel& stages = std::get<StageKernel>(kernel);
    chunk_of(stages);
    EmitStageKernel(stages, begin, end, &emitter);
  }
  emitter.Finish();
  return function;
}

// void body(ptr {buffers, scratch}, i32 chunk), as HoneParallel wants it.
llvm::Function* AddBody(llvm::Function* range, int64_t units, int chunks, const Target& target,
                        const std::string& name) {
  llvm::LLVMContext& context = range->getContext();
  llvm::IRBuilder<> ir(context);
  llvm::FunctionType* type = llvm::FunctionType::get(ir.getVoidTy(), {ir.getPtrTy(), ir.getInt32Ty()}, false);
  llvm::Function* body = llvm::Function::Create(type, llvm::Function::InternalLinkage, name, range->getParent());
  SetTargetAttributes(target, body);
  ir.SetInsertPoint(llvm::BasicBlock::Create(context, "entry", body));
  llvm::Value* buffers = ir.CreateLoad(ir.getPtrTy(), body->getArg(0));
  llvm::Value* scratch = ir.CreateLoad(ir.getPtrTy(), ir.CreateConstInBoundsGEP1_64(ir.getPtrTy(), body->getArg(0), 1));
  llvm::Value* chunk = ir.CreateZExt(body->getArg(1), ir.getInt64Ty());
  const auto bound = [&](llvm::Value* i) {
    llvm::Value* scaled = ir.CreateMul(i, ir.getInt64(static_cast<uint64_t>(units)));
    return ir.CreateUDiv(scaled, ir.getInt64(static_cast<uint64_t>(chunks)));
  };
  llvm::Value* next = ir.CreateAdd(chunk, ir.getInt64(1));
  ir.CreateCall(range, {buffers, scratch, bound(chunk), bound(next), chunk});
  ir.CreateRetVoid();
  return body;
}

// parallel->parallel_for(parallel->pool, chunks, body, context); offsets of HoneParallel on a 64-bit target.
void CallParallel(llvm::Function* body, int chunks, llvm::Value* parallel, llvm::Value* context,
                  llvm::IRBuilder<>* ir) {
  const auto field = [&](uint64_t byte) {
    return ir->CreateLoad(ir->getPtrTy(), ir->CreateConstInBoundsGEP1_64(ir->getInt8Ty(), parallel, byte));
  };
  llvm::FunctionType* type = llvm::FunctionType::get(
      ir->getVoidTy(), {ir->getPtrTy(), ir->getInt32Ty(), ir->getPtrTy(), ir->getPtrTy()}, false);
  llvm::Value* loop = field(8);
  llvm::Value* pool = field(16);
  ir->CreateCall(type, loop, {pool, ir->getInt32(static_cast<uint32_t>(chunks)), body, context});
}

}  // namespace

llvm::Function* AddNestFunction(const LoopNest& nest, const Target& target, const std::string& symbol,
                                llvm::Module* module) {
  llvm::IRBuilder<> ir(module->getContext());
  llvm::FunctionType* type =
      llvm::FunctionType::get(ir.getInt32Ty(), {ir.getPtrTy(), ir.getPtrTy(), ir.getPtrTy()}, false);
  llvm::Function* entry = llvm::Function::Create(type, llvm::Function::ExternalLinkage, symbol, module);
  SetTargetAttributes(target, entry);
  ir.SetInsertPoint(llvm::BasicBlock::Create(module->getContext(), "entry", entry));
  llvm::Value* context = ir.CreateAlloca(llvm::ArrayType::get(ir.getPtrTy(), 2));
  ir.CreateStore(entry->getArg(0), context);
  ir.CreateStore(entry->getArg(1), ir.CreateConstInBoundsGEP1_64(ir.getPtrTy(), context, 1));
  for (size_t i = 0; i < nest.kernels.size(); ++i) {
    const Kernel& kernel = nest.kernels[i];
    const std::string name = absl::StrCat(symbol, "_", i);
    llvm::Function* range = AddRange(nest, kernel, target, name, module);
    const int64_t units = Units(kernel);
    const int chunks = Chunks(kernel);
    if (chunks > 1) {
      CallParallel(AddBody(range, units, chunks, target, name + "_body"), chunks, entry->getArg(2), context, &ir);
    } else {
      ir.CreateCall(range, {entry->getArg(0), entry->getArg(1), ir.getInt64(0),
                            ir.getInt64(static_cast<uint64_t>(units)), ir.getInt64(0)});
    }
  }
  ir.CreateRet(ir.getInt32(0));
  return entry;
}

}  // namespace hone
