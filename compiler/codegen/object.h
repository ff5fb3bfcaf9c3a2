#pragma once

#include <llvm/IR/Module.h>

#include <memory>

#include "absl/status/statusor.h"
#include "compiler/codegen/link.h"
#include "compiler/target/target.h"

namespace hone {

// An empty module for the target: triple and data layout are set.
absl::StatusOr<std::unique_ptr<llvm::Module>> NewModule(const std::string& name, const Target& target,
                                                        llvm::LLVMContext* context);

// Position-independent machine code. Functions without the leaf attribute first run through a short IR pipeline;
// Internal names the fault if the module does not verify.
absl::StatusOr<ObjectRef> EmitObject(llvm::Module* module, const Target& target);

// The assembly text of the same, for tests and people.
absl::StatusOr<std::string> EmitAssembly(llvm::Module* module, const Target& target);

}  // namespace hone
