#include "tests/compiler/module/loaded_module.h"

#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iterator>

namespace hone::testing {

LoadedModule::LoadedModule(const ModuleFiles& files, const std::string& name) : folder_(files) {
  library_ = dlopen((folder_ / (name + ".so")).c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library_ == nullptr) {
    std::fprintf(stderr, "%s\n", dlerror());
    std::abort();
  }
  table_ = reinterpret_cast<const HoneModuleV1* (*)()>(dlsym(library_, "hone_module"))();
}

LoadedModule::~LoadedModule() { dlclose(library_); }

TinyCall::TinyCall() {
  const DLDevice cpu = {kDLCPU, 0};
  in[0] = {x, cpu, 2, {kDLFloat, 32, 1}, x_shape, nullptr, 0};
  out[0] = {y, cpu, 1, {kDLFloat, 32, 1}, y_shape, nullptr, 0};
  out[1] = {state, cpu, 1, {kDLInt, 32, 1}, state_shape, nullptr, 0};
}

int CountThreads() {
  const std::filesystem::directory_iterator tasks("/proc/self/task");
  return static_cast<int>(std::distance(begin(tasks), end(tasks)));
}

}  // namespace hone::testing
