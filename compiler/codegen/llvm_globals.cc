#include "compiler/codegen/llvm_globals.h"

#include <llvm/Support/CommandLine.h>

namespace hone {

std::shared_mutex& LlvmGlobals() {
  static std::shared_mutex mutex;
  return mutex;
}

void SetLlvmOptions() {
  // Loop strength reduction costs 13 % of the compile time and brings nothing: kernels move their own pointers.
  const char* arguments[] = {"hone", "-disable-lsr"};
  llvm::cl::ResetAllOptionOccurrences();
  llvm::cl::ParseCommandLineOptions(2, arguments);
}

}  // namespace hone
