#include "compiler/codegen/codegen.h"

#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/LLVMContext.h>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "compiler/codegen/constant_transform.h"
#include "compiler/codegen/kernel_function.h"
#include "compiler/codegen/nest_function.h"
#include "compiler/codegen/object.h"
#include "compiler/codegen/source_digest.h"
#include "compiler/runtime/hone_candidate.h"
#include "compiler/schedule/stage_schedule.h"

namespace hone {
namespace {

int64_t RoundUp64(int64_t bytes) { return (bytes + 63) / 64 * 64; }

// Copies a dense tensor into a layout or back: the nest of one copying stage.
LoopNest CopyNest(const Target& target, DType dtype, const std::vector<int64_t>& dims, const Layout& from,
                  const Layout& to) {
  LoopNest nest;
  std::vector<DimExpr> shape(dims.begin(), dims.end());
  for (const Layout* layout : {&from, &to}) {
    nest.tensors.push_back({.place = NestTensor::Place::kArgument, .argument = nest.arguments++, .dtype = dtype,
                            .dims = shape, .layout = *layout});
  }
  StageLoops copy{.name = "copy", .dtype = dtype};
  std::vector<LoadIndex> identity;
  for (size_t d = 0; d < dims.size(); ++d) {
    const SymbolRef axis = MakeSymbol(absl::StrCat("i", d), 0, dims[d] - 1);
    copy.axes.push_back({axis, DimExpr(dims[d])});
    identity.push_back(DimExpr(axis));
  }
  copy.stores.push_back({1, identity, Load(0, dtype, identity)});
  ScheduleStage(nest.tensors, target, {}, &copy);
  nest.kernels.push_back(KernelOf(std::move(copy), 1));
  return nest;
}

// void symbol(const void* from, void* to): runs a copy nest, after clearing `to` where the layout has padding.
llvm::Function* AddCopyFunction(const Target& target, DType dtype, const std::vector<int64_t>& dims, const Layout& from,
                     const Layout& to, const std::string& symbol, llvm::Module* module) {
  const LoopNest nest = CopyNest(target, dtype, dims, from, to);
  llvm::Function* run = AddNestFunction(nest, target, symbol + "_nest", module);
  run->setLinkage(llvm::Function::InternalLinkage);
  llvm::IRBuilder<> ir(module->getContext());
  llvm::FunctionType* type = llvm::FunctionType::get(ir.getVoidTy(), {ir.getPtrTy(), ir.getPtrTy()}, false);
  llvm::Function* function = llvm::Function::Create(type, llvm::Function::InternalLinkage, symbol, module);
  SetTargetAttributes(target, function);
  ir.SetInsertPoint(llvm::BasicBlock::Create(module->getContext(), "entry", function));
  const int64_t elements = to.Elements(nest.tensors[1].dims).Constant();
  if (elements != Product(nest.tensors[0].dims).Constant()) {
    ir.CreateMemSet(function->getArg(1), ir.getInt8(0), static_cast<uint64_t>(elements * DTypeBytes(dtype)),
                    llvm::MaybeAlign());
  }
  llvm::Value* buffers = ir.CreateAlloca(llvm::ArrayType::get(ir.getPtrTy(), 2));
  ir.CreateStore(function->getArg(0), buffers);
  ir.CreateStore(function->getArg(1), ir.CreateConstInBoundsGEP1_64(ir.getPtrTy(), buffers, 1));
  llvm::Value* null = llvm::ConstantPointerNull::get(ir.getPtrTy());
  ir.CreateCall(run, {buffers, null, null});
  ir.CreateRetVoid();
  return function;
}

// One tensor of a candidate's packed area.
struct Piece {
  TensorSpec spec;
  Layout layout;
  AxisTransforms transforms;
  int64_t offset = 0, bytes = 0;
};

int64_t BytesOf(const TensorSpec& spec, const Layout& layout, const AxisTransforms& transforms) {
  const std::vector<int64_t> shape = TransformedDims(spec.dims, transforms);
  const std::vector<DimExpr> dims(shape.begin(), shape.end());
  return RoundUp64(layout.Elements(dims).Constant() * DTypeBytes(spec.dtype));
}

struct Area {
  std::vector<Piece> pieces;
  int64_t bytes = 0;
  void Add(TensorSpec spec, const Layout& layout, const AxisTransforms& transforms = {}) {
    const int64_t size = BytesOf(spec, layout, transforms);
    pieces.push_back({std::move(spec), layout, transforms, bytes, size});
    bytes += size;
  }
};

// The wrapper of a candidate: packing, unpacking, run, the table.
class CandidateBuilder {
 public:
  CandidateBuilder(const Task& task, const CompiledTask& compiled, llvm::Module* module)
      : task_(task), compiled_(compiled), module_(module), ir_(module->getContext()) {}

  void Build() {
    FillAreas();
    llvm::Constant* pack_inputs = AddMover("pack_inputs", inputs_, true);
    llvm::Constant* pack_constants = AddMover("pack_constants", constants_, true);
    llvm::Constant* unpack_outputs = AddMover("unpack_outputs", outputs_, false);
    llvm::Constant* run = AddRun();
    const auto number = [&](int64_t value) { return ir_.getInt64(static_cast<uint64_t>(value)); };
    llvm::Constant* table = llvm::ConstantStruct::getAnon(
        {ir_.getInt32(HONE_CANDIDATE_ABI), ir_.getInt32(sizeof(HoneCandidateV1)), number(inputs_.bytes),
         number(constants_.bytes), number(outputs_.bytes), number(compiled_.scratch_bytes), pack_inputs,
         pack_constants, run, unpack_outputs});
    auto* global = new llvm::GlobalVariable(*module_, table->getType(), true, llvm::GlobalValue::InternalLinkage,
                                            table, "table");
    llvm::Function* function = AddFunction("hone_candidate", ir_.getPtrTy(), {});
    function->setLinkage(llvm::Function::ExternalLinkage);
    ir_.CreateRet(global);
  }

 private:
  llvm::Function* AddFunction(const std::string& name, llvm::Type* result, std::vector<llvm::Type*> arguments) {
    llvm::FunctionType* type = llvm::FunctionType::get(result, arguments, false);
    llvm::Function* function = llvm::Function::Create(type, llvm::Function::InternalLinkage, name, module_);
    SetTargetAttributes(task_.target, function);
    ir_.SetInsertPoint(llvm::BasicBlock::Create(module_->getContext(), "entry", function));
    return function;
  }

  void FillAreas() {
    const auto layout_of = [&](TensorId id) { return task_.graph.tensor(id).layout; };
    const std::vector<TensorSpec> inputs = task_.InputSpecs(), constants = task_.ConstantSpecs(),
                                  outputs = task_.OutputSpecs();
    for (size_t i = 0; i < inputs.size(); ++i) inputs_.Add(inputs[i], layout_of(task_.graph.inputs()[i]));
    for (const PackedConstant& constant : compiled_.constants) {
      constants_.Add(constants[static_cast<size_t>(constant.constant)], constant.layout, constant.transforms);
    }
    for (size_t i = 0; i < outputs.size(); ++i) outputs_.Add(outputs[i], layout_of(task_.graph.outputs()[i]));
  }

  llvm::Value* At(llvm::Value* base, int64_t bytes) {
    return ir_.CreateConstInBoundsGEP1_64(ir_.getInt8Ty(), base, static_cast<uint64_t>(bytes));
  }
  llvm::Value* Pointer(llvm::Value* table, size_t i) {
    return ir_.CreateLoad(ir_.getPtrTy(), At(table, static_cast<int64_t>(8 * i)));
  }

  // Packing: (logical pointers, packed area); unpacking: (packed area, logical pointers).
  llvm::Function* AddMover(const std::string& name, const Area& area, bool packs) {
    std::vector<llvm::Function*> movers;
    for (size_t i = 0; i < area.pieces.size(); ++i) {
      const Piece& piece = area.pieces[i];
      const Layout plain = Layout::Plain(static_cast<int>(piece.spec.dims.size()));
      const std::string mover = absl::StrCat(name, "_", i);
      if (!piece.transforms.empty()) {
        movers.push_back(AddTransformFunction(task_.target, piece.spec.dims, piece.transforms, piece.layout, mover, module_));
        continue;
      }
      movers.push_back(AddCopyFunction(task_.target, piece.spec.dtype, piece.spec.dims, packs ? plain : piece.layout,
                                       packs ? piece.layout : plain, mover, module_));
    }
    llvm::Function* function = AddFunction(name, ir_.getVoidTy(), {ir_.getPtrTy(), ir_.getPtrTy()});
    llvm::Value* logical = function->getArg(packs ? 0 : 1);
    llvm::Value* packed = function->getArg(packs ? 1 : 0);
    for (size_t i = 0; i < area.pieces.size(); ++i) {
      llvm::Value* dense = Pointer(logical, i);
      llvm::Value* stored = At(packed, area.pieces[i].offset);
      if (!area.pieces[i].transforms.empty()) {
        ir_.CreateMemSet(stored, ir_.getInt8(0), static_cast<uint64_t>(area.pieces[i].bytes), llvm::MaybeAlign());
      }
      ir_.CreateCall(movers[i], {packs ? dense : stored, packs ? stored : dense});
    }
    ir_.CreateRetVoid();
    return function;
  }

  llvm::Function* AddRun() {
    llvm::Type* pointer = ir_.getPtrTy();
    llvm::FunctionType* entry_type = llvm::FunctionType::get(ir_.getInt32Ty(), {pointer, pointer, pointer}, false);
    llvm::FunctionCallee entry = module_->getOrInsertFunction(compiled_.symbol, entry_type);
    llvm::Function* run = AddFunction("run", ir_.getInt32Ty(), {pointer, pointer, pointer, pointer, pointer});
    const size_t count = inputs_.pieces.size() + constants_.pieces.size() + outputs_.pieces.size();
    llvm::Value* buffers = ir_.CreateAlloca(llvm::ArrayType::get(pointer, count));
    size_t slot = 0;
    unsigned argument = 0;
    for (const Area* area : {&inputs_, &constants_, &outputs_}) {
      for (const Piece& piece : area->pieces) {
        ir_.CreateStore(At(run->getArg(argument), piece.offset), At(buffers, static_cast<int64_t>(8 * slot++)));
      }
      ++argument;
    }
    ir_.CreateRet(ir_.CreateCall(entry, {buffers, run->getArg(3), run->getArg(4)}));
    return run;
  }

  const Task& task_;
  const CompiledTask& compiled_;
  llvm::Module* module_;
  llvm::IRBuilder<> ir_;
  Area inputs_, constants_, outputs_;
};

}  // namespace

absl::StatusOr<CompiledTask> CompileNest(const Task& task, const Scheduled& scheduled, const std::string& symbol) {
  llvm::LLVMContext context;
  absl::StatusOr<std::unique_ptr<llvm::Module>> module = NewModule(symbol, task.target, &context);
  if (!module.ok()) return module.status();
  AddNestFunction(scheduled.nest, task.target, symbol, module->get());
  absl::StatusOr<ObjectRef> object = EmitObject(module->get(), task.target);
  if (!object.ok()) return object.status();
  CompiledTask compiled{.symbol = symbol, .objects = {*object}};
  const std::vector<TensorSpec> constants = task.ConstantSpecs();
  for (const NestConstant& constant : scheduled.nest.constants) {
    const TensorSpec& spec = constants[static_cast<size_t>(constant.constant)];
    compiled.constants.push_back({constant.constant, constant.layout,
                                  BytesOf(spec, constant.layout, constant.transforms), constant.transforms});
  }
  compiled.scratch_bytes = scheduled.nest.scratch_bytes;
  compiled.statistics = scheduled.statistics;
  return compiled;
}

absl::StatusOr<std::string> LinkCandidate(const Task& task, const CompiledTask& compiled) {
  llvm::LLVMContext context;
  absl::StatusOr<std::unique_ptr<llvm::Module>> module = NewModule("candidate", task.target, &context);
  if (!module.ok()) return module.status();
  CandidateBuilder(task, compiled, module->get()).Build();
  absl::StatusOr<ObjectRef> wrapper = EmitObject(module->get(), task.target);
  if (!wrapper.ok()) return wrapper.status();
  std::vector<ObjectRef> objects = compiled.objects;
  objects.push_back(*wrapper);
  return LinkShared(objects, {"hone_candidate"});
}

std::string CompilerBuild() { return absl::StrCat("llvm ", LLVM_VERSION_STRING, ", hone ", kSourceDigest); }

}  // namespace hone
