#include "compiler/codegen/kernel_function.h"

#include <llvm/IR/DerivedTypes.h>

namespace hone {

void SetTargetAttributes(const Target& target, llvm::Function* function) {
  const auto text = [](std::string_view view) { return llvm::StringRef(view.data(), view.size()); };
  function->addFnAttr(llvm::Attribute::NoUnwind);
  function->addFnAttr("target-cpu", text(target.row->cpu));
  if (!target.row->features.empty()) function->addFnAttr("target-features", text(target.row->features));
}

llvm::Function* AddKernelFunction(const std::string& name, size_t integers, const Target& target,
                                  llvm::Module* module) {
  llvm::LLVMContext& context = module->getContext();
  std::vector<llvm::Type*> arguments(2, llvm::PointerType::getUnqual(context));
  arguments.insert(arguments.end(), integers, llvm::Type::getInt64Ty(context));
  llvm::FunctionType* type = llvm::FunctionType::get(llvm::Type::getVoidTy(context), arguments, false);
  llvm::Function* function = llvm::Function::Create(type, llvm::Function::InternalLinkage, name, module);
  SetTargetAttributes(target, function);
  return function;
}

}  // namespace hone
