#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "compiler/runtime/hone.h"
#include "tests/compiler/module/tiny_module.h"

namespace hone::testing {

// A tiny module in this process. Unloaded at the end, when its pool must be gone.
class LoadedModule {
 public:
  explicit LoadedModule(const ModuleFiles& files, const std::string& name);
  LoadedModule(const LoadedModule&) = delete;
  LoadedModule& operator=(const LoadedModule&) = delete;
  ~LoadedModule();
  const HoneModuleV1* operator->() const { return table_; }
  const HoneModuleV1* table() const { return table_; }
  const Folder& folder() const { return folder_; }

 private:
  Folder folder_;
  void* library_ = nullptr;
  const HoneModuleV1* table_ = nullptr;
};

// The tensors of one call of a tiny module, right unless a test spoils them.
struct TinyCall {
  TinyCall();
  TinyCall(const TinyCall&) = delete;
  alignas(64) float x[16] = {0, 1, 2, 3, 4, 5};
  alignas(64) float y[16] = {};
  alignas(64) int32_t state[16] = {};
  int64_t x_shape[3] = {2, 3, 1}, y_shape[2] = {6, 1}, state_shape[1] = {kStateFields};
  DLTensor in[1], out[2];
  int Run(const HoneModuleV1* module, HoneSession* session) { return module->run(session, in, 1, out, 2); }
  static std::vector<float> Expected() { return {2, 6, 10, 14, 18, 22}; }
  std::vector<float> Y() const { return {y, y + 6}; }
};

// Threads of this process.
int CountThreads();

}  // namespace hone::testing
