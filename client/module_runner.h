#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "client/json.h"
#include "compiler/runtime/hone.h"
#include "hone/v1/common.pb.h"
#include "proto/values/tensor_spec.h"

namespace hone {

// Bytes on a 64-byte boundary: a module then works on them in place.
class AlignedBytes {
 public:
  void Resize(size_t size) {
    storage_.assign(size + 64, 0);
    size_ = size;
  }
  char* data() { return const_cast<char*>(std::as_const(*this).data()); }
  const char* data() const { return storage_.data() + (-reinterpret_cast<uintptr_t>(storage_.data()) & 63); }
  size_t size() const { return size_; }

 private:
  std::vector<char> storage_ = std::vector<char>(64);
  size_t size_ = 0;
};

// One argument of a module with its buffer.
struct ModuleTensor {
  std::string name;
  TensorSpec spec;
  AlignedBytes bytes;
};

// The library in a module's folder: the one *.so there. NotFound: none; FailedPrecondition: several.
absl::StatusOr<std::filesystem::path> FindModuleLibrary(const std::filesystem::path& path);

// Told of a run's steps: HoneOptions::observe.
struct StepObserver {
  void (*observe)(void* observer, uint32_t step) = nullptr;
  void* observer = nullptr;
};

// A module loaded into this process with inputs filled from a seed. Not thread-safe.
class LoadedModule {
 public:
  // `path` is the library or its folder. `shapes` give dimensions that the module leaves open. threads 0 = as
  // tuned for. InvalidArgument: a module that is older than its observer.
  static absl::StatusOr<std::unique_ptr<LoadedModule>> Open(const std::filesystem::path& path,
                                                            uint32_t threads,
                                                            const std::vector<v1::ShapeBinding>& shapes,
                                                            const StepObserver& observer = {});
  ~LoadedModule();
  LoadedModule(const LoadedModule&) = delete;
  LoadedModule& operator=(const LoadedModule&) = delete;

  // Values by compiler/runtime/input_generator.h: reals in [-1, 1), whole numbers 0 or 1 (valid as mask,
  // index and token).
  void FillInputs(uint64_t seed);
  absl::Status Run();

  const std::vector<ModuleTensor>& inputs() const { return inputs_; }
  const std::vector<ModuleTensor>& outputs() const {
    return outputs_;
  }  // of the last run, with the shapes it gave
  const Json& description() const { return description_; }
  uint32_t threads() const { return threads_; }

 private:
  LoadedModule() = default;
  absl::Status OpenSession(const std::filesystem::path& folder, const StepObserver& observer);
  absl::Status MakeTensors(const std::vector<v1::ShapeBinding>& shapes);
  absl::Status SizeOutputs();
  void Bind(std::vector<ModuleTensor>& tensors, std::vector<DLTensor>& bound);
  absl::Status Failed(int code, const char* what) const;

  void* library_ = nullptr;
  const HoneModuleV1* table_ = nullptr;
  HoneSession* session_ = nullptr;
  Json description_;
  uint32_t threads_ = 1;
  std::vector<ModuleTensor> inputs_, outputs_;
  std::vector<DLTensor> bound_inputs_, bound_outputs_;
};

}  // namespace hone
