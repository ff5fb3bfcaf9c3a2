#include "compiler/codegen/nest_function.h"

#include <llvm/IR/IRBuilder.h>

#include "absl/strings/str_cat.h"
#include "compiler/codegen/contract_kernel.h"
#include "compiler/codegen/kernel_function.h"
#include "compiler/codegen/stage_kernel.h"
#include "compiler/codegen/strip_kernel.h"
#include "compiler/codegen/winograd_kernel.h"

namespace hone {
namespace {

int64_t Units(const Kernel& kernel) {
  if (const auto* winograd = std::get_if<WinogradKernel>(&kernel)) return winograd->Units();
  if (const auto* strips = std::get_if<StripKernel>(&kernel)) return strips->Units();
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
  } else if (const auto* strips = std::get_if<StripKernel>(&kernel)) {
    EmitStripKernel(*strips, target, name, begin, end, chunk_of(*strips), &emitter);
  } else {
    const StageKernel& stages = std::get<StageKernel>(kernel);
    chunk_of(stages);
    EmitStageKernel(stages, begin, end, &emitter);
  }
  emitter.Finish();
  return function;
}

// The first unit of a chunk's part.
llvm::Value* FirstUnit(llvm::Value* chunk, int64_t units, int chunks, llvm::IRBuilder<>* ir) {
  llvm::Value* scaled = ir->CreateMul(chunk, ir->getInt64(static_cast<uint64_t>(units)));
  return ir->CreateUDiv(scaled, ir->getInt64(static_cast<uint64_t>(chunks)));
}

// What a body, void(ptr {buffers, scratch}, i32 chunk), starts with.
struct Body {
  llvm::Function* function;
  llvm::Value *buffers, *scratch, *chunk;
};

Body StartBody(const llvm::Function& range, const Target& target, const std::string& name, llvm::IRBuilder<>* ir) {
  llvm::FunctionType* type = llvm::FunctionType::get(ir->getVoidTy(), {ir->getPtrTy(), ir->getInt32Ty()}, false);
  llvm::Module* module = const_cast<llvm::Module*>(range.getParent());
  llvm::Function* body = llvm::Function::Create(type, llvm::Function::InternalLinkage, name, module);
  SetTargetAttributes(target, body);
  ir->SetInsertPoint(llvm::BasicBlock::Create(ir->getContext(), "entry", body));
  llvm::Value* scratch = ir->CreateConstInBoundsGEP1_64(ir->getPtrTy(), body->getArg(0), 1);
  return {body, ir->CreateLoad(ir->getPtrTy(), body->getArg(0)), ir->CreateLoad(ir->getPtrTy(), scratch),
          ir->CreateZExt(body->getArg(1), ir->getInt64Ty())};
}

// Each chunk runs its part.
llvm::Function* AddBody(llvm::Function* range, int64_t units, int chunks, const Target& target, const std::string& name) {
  llvm::IRBuilder<> ir(range->getContext());
  const Body body = StartBody(*range, target, name, &ir);
  llvm::Value* next = ir.CreateAdd(body.chunk, ir.getInt64(1));
  ir.CreateCall(range, {body.buffers, body.scratch, FirstUnit(body.chunk, units, chunks, &ir),
                        FirstUnit(next, units, chunks, &ir), body.chunk});
  ir.CreateRetVoid();
  return body.function;
}

// The counter of a chunk: its first unit that nobody has taken.
llvm::Value* Counter(const WinogradKernel& kernel, llvm::Value* scratch, llvm::Value* chunk, llvm::IRBuilder<>* ir) {
  llvm::Value* offset = ir->CreateMul(chunk, ir->getInt64(WinogradKernel::kCounterBytes));
  offset = ir->CreateAdd(offset, ir->getInt64(static_cast<uint64_t>(kernel.CountersOffset())));
  return ir->CreateInBoundsGEP(ir->getInt8Ty(), scratch, offset);
}

// Chunks whose scratch is worth keeping in a cache: as many as threads, each of which takes the units of its part one by
// one, and then those that are left of the others'.
llvm::Function* AddTakingBody(const WinogradKernel& kernel, llvm::Function* range, const Target& target,
                              const std::string& name) {
  llvm::LLVMContext& context = range->getContext();
  llvm::IRBuilder<> ir(context);
  const Body body = StartBody(*range, target, name, &ir);
  const auto block = [&](const char* label) { return llvm::BasicBlock::Create(context, label, body.function); };
  llvm::BasicBlock *entry = ir.GetInsertBlock(), *part = block("part"), *take = block("take"), *run = block("run"),
                   *next = block("next"), *done = block("done");
  llvm::Value* chunks = ir.getInt64(static_cast<uint64_t>(kernel.chunks));
  ir.CreateBr(part);
  ir.SetInsertPoint(part);
  llvm::PHINode* tried = ir.CreatePHI(ir.getInt64Ty(), 2);
  llvm::Value* owner = ir.CreateURem(ir.CreateAdd(body.chunk, tried), chunks);
  llvm::Value* counter = Counter(kernel, body.scratch, owner, &ir);
  llvm::Value* end = FirstUnit(ir.CreateAdd(owner, ir.getInt64(1)), kernel.Units(), kernel.chunks, &ir);
  ir.CreateBr(take);
  ir.SetInsertPoint(take);
  llvm::Value* unit = ir.CreateAtomicRMW(llvm::AtomicRMWInst::Add, counter, ir.getInt64(1), llvm::Align(8),
                                         llvm::AtomicOrdering::Monotonic);
  ir.CreateCondBr(ir.CreateICmpULT(unit, end), run, next);
  ir.SetInsertPoint(run);
  ir.CreateCall(range, {body.buffers, body.scratch, unit, ir.CreateAdd(unit, ir.getInt64(1)), body.chunk});
  ir.CreateBr(take);
  ir.SetInsertPoint(next);
  llvm::Value* more = ir.CreateAdd(tried, ir.getInt64(1));
  ir.CreateCondBr(ir.CreateICmpULT(more, chunks), part, done);
  tried->addIncoming(ir.getInt64(0), entry);
  tried->addIncoming(more, next);
  ir.SetInsertPoint(done);
  ir.CreateRetVoid();
  return body.function;
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
      llvm::Function* body = nullptr;
      if (const auto* winograd = std::get_if<WinogradKernel>(&kernel)) {
        body = AddTakingBody(*winograd, range, target, name + "_body");
        for (int chunk = 0; chunk < chunks; ++chunk) {
          llvm::Value* number = ir.getInt64(static_cast<uint64_t>(chunk));
          ir.CreateStore(FirstUnit(number, units, chunks, &ir), Counter(*winograd, entry->getArg(1), number, &ir));
        }
      } else {
        body = AddBody(range, units, chunks, target, name + "_body");
      }
      CallParallel(body, chunks, entry->getArg(2), context, &ir);
    } else {
      ir.CreateCall(range, {entry->getArg(0), entry->getArg(1), ir.getInt64(0),
                            ir.getInt64(static_cast<uint64_t>(units)), ir.getInt64(0)});
    }
  }
  ir.CreateRet(ir.getInt32(0));
  return entry;
}

}  // namespace hone
