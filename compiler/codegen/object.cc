#include "compiler/codegen/object.h"

#include <llvm/Analysis/TargetTransformInfo.h>
#include <llvm/IR/LegacyPassManager.h>
#include <llvm/IR/Verifier.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/Passes/PassBuilder.h>
#include <llvm/Support/SmallVectorMemoryBuffer.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/Target/TargetMachine.h>
#include <llvm/Transforms/InstCombine/InstCombine.h>
#include <llvm/Transforms/Scalar/EarlyCSE.h>
#include <llvm/Transforms/Scalar/LICM.h>
#include <llvm/Transforms/Scalar/LoopPassManager.h>
#include <llvm/Transforms/Scalar/SimplifyCFG.h>

#include <mutex>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "compiler/codegen/kernel_function.h"
#include "compiler/codegen/llvm_globals.h"

namespace hone {
namespace {

void InitialiseOnce() {
  static std::once_flag once;
  std::call_once(once, [] {
    llvm::InitializeAllTargetInfos();
    llvm::InitializeAllTargets();
    llvm::InitializeAllTargetMCs();
    llvm::InitializeAllAsmPrinters();
    llvm::InitializeAllAsmParsers();
    const std::lock_guard<std::shared_mutex> lock(LlvmGlobals());
    SetLlvmOptions();
  });
}

absl::StatusOr<std::unique_ptr<llvm::TargetMachine>> MachineFor(const Target& target) {
  InitialiseOnce();
  const std::string triple(target.row->triple);
  std::string error;
  const llvm::Target* backend = llvm::TargetRegistry::lookupTarget(triple, error);
  if (backend == nullptr) return absl::InternalError(absl::StrCat("no LLVM back end for ", triple, ": ", error));
  llvm::TargetOptions options;
  std::unique_ptr<llvm::TargetMachine> machine(
      backend->createTargetMachine(triple, std::string(target.row->cpu), std::string(target.row->features), options,
                                   llvm::Reloc::PIC_, std::nullopt, llvm::CodeGenOptLevel::Default));
  if (machine == nullptr) return absl::InternalError(absl::StrCat("no LLVM target machine for ", triple));
  return machine;
}

void Simplify(llvm::Module* module, llvm::TargetMachine* machine) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager graph;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(machine);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(graph);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, graph, modules);
  llvm::FunctionPassManager passes;
  passes.addPass(llvm::EarlyCSEPass());
  passes.addPass(llvm::SimplifyCFGPass());
  passes.addPass(llvm::createFunctionToLoopPassAdaptor(llvm::LICMPass(llvm::LICMOptions()), true));
  passes.addPass(llvm::EarlyCSEPass(true));
  for (llvm::Function& function : *module) {
    if (!function.isDeclaration() && !function.hasFnAttribute(kLeafAttribute)) passes.run(function, functions);
  }
}

absl::StatusOr<std::string> Emit(llvm::Module* module, const Target& target, llvm::CodeGenFileType type) {
  std::string fault;
  llvm::raw_string_ostream stream(fault);
  if (llvm::verifyModule(*module, &stream)) return absl::InternalError(absl::StrCat("invalid IR: ", stream.str()));
  absl::StatusOr<std::unique_ptr<llvm::TargetMachine>> machine = MachineFor(target);
  if (!machine.ok()) return machine.status();
  const std::shared_lock<std::shared_mutex> lock(LlvmGlobals());
  Simplify(module, machine->get());
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream output(bytes);
  llvm::legacy::PassManager passes;
  passes.add(llvm::createTargetTransformInfoWrapperPass((*machine)->getTargetIRAnalysis()));
  if ((*machine)->addPassesToEmitFile(passes, output, nullptr, type)) {
    return absl::InternalError("the target emits no object code");
  }
  passes.run(*module);
  return std::string(bytes.begin(), bytes.end());
}

}  // namespace

absl::StatusOr<std::unique_ptr<llvm::Module>> NewModule(const std::string& name, const Target& target,
                                                        llvm::LLVMContext* context) {
  absl::StatusOr<std::unique_ptr<llvm::TargetMachine>> machine = MachineFor(target);
  if (!machine.ok()) return machine.status();
  auto module = std::make_unique<llvm::Module>(name, *context);
  module->setTargetTriple(std::string(target.row->triple));
  module->setDataLayout((*machine)->createDataLayout());
  return module;
}

absl::StatusOr<ObjectRef> EmitObject(llvm::Module* module, const Target& target) {
  absl::StatusOr<std::string> bytes = Emit(module, target, llvm::CodeGenFileType::ObjectFile);
  if (!bytes.ok()) return bytes.status();
  return std::make_shared<const std::string>(*std::move(bytes));
}

absl::StatusOr<std::string> EmitAssembly(llvm::Module* module, const Target& target) {
  return Emit(module, target, llvm::CodeGenFileType::AssemblyFile);
}

}  // namespace hone
