#pragma once

#include <dlfcn.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "compiler/codegen/codegen.h"
#include "compiler/runtime/hone_candidate.h"
#include "compiler/tensor_program/interpreter.h"

namespace hone {

// Loads a candidate into this process and runs it on dense tensors: tests and benchmarks only.
class CandidateRunner {
 public:
  static absl::StatusOr<std::unique_ptr<CandidateRunner>> Load(const std::string& object) {
    auto runner = std::unique_ptr<CandidateRunner>(new CandidateRunner());
    runner->fd_ = memfd_create("candidate", MFD_CLOEXEC);
    if (write(runner->fd_, object.data(), object.size()) != static_cast<ssize_t>(object.size())) {
      return absl::InternalError("cannot write the candidate");
    }
    runner->handle_ = dlopen(absl::StrCat("/proc/self/fd/", runner->fd_).c_str(), RTLD_NOW | RTLD_LOCAL);
    if (runner->handle_ == nullptr) return absl::InternalError(dlerror());
    auto* table = reinterpret_cast<const HoneCandidateV1* (*)()>(dlsym(runner->handle_, "hone_candidate"));
    if (table == nullptr) return absl::InternalError("no table");
    runner->table_ = table();
    const HoneCandidateV1& t = *runner->table_;
    runner->in_ = Allocate(t.input_bytes);
    runner->constants_ = Allocate(t.constant_bytes);
    runner->out_ = Allocate(t.output_bytes);
    runner->scratch_ = Allocate(t.scratch_bytes);
    return runner;
  }
  ~CandidateRunner() {
    if (handle_ != nullptr) dlclose(handle_);
    if (fd_ >= 0) close(fd_);
  }

  void SetInputs(const std::vector<HostTensor>& inputs, const std::vector<HostTensor>& constants) {
    table_->pack_inputs(Pointers(inputs).data(), in_.get());
    table_->pack_constants(Pointers(constants).data(), constants_.get());
  }
  int Run(int threads = 1) {
    HoneParallel parallel{threads, [](void*, int32_t n, void (*body)(void*, int32_t), void* context) {
                            for (int32_t i = n; i-- > 0;) body(context, i);
                          }, nullptr};
    return Run(parallel);
  }
  int Run(const HoneParallel& parallel) {
    return table_->run(in_.get(), constants_.get(), out_.get(), scratch_.get(), &parallel);
  }
  void GetOutputs(std::vector<HostTensor>* outputs) {
    std::vector<void*> pointers;
    for (HostTensor& output : *outputs) pointers.push_back(output.bytes.data());
    table_->unpack_outputs(out_.get(), pointers.data());
  }

 private:
  struct Free {
    void operator()(void* p) const { free(p); }
  };
  using Memory = std::unique_ptr<void, Free>;
  // Filled with NaN: what is read without having been written shows. In huge pages, as on a worker.
  static Memory Allocate(uint64_t bytes) {
    const size_t page = bytes < (128u << 10) ? 4096 : 2u << 20;
    const size_t size = (bytes + page) / page * page;
    Memory memory(aligned_alloc(page, size));
    madvise(memory.get(), size, MADV_HUGEPAGE);
    std::memset(memory.get(), 0xff, size);
    return memory;
  }
  static std::vector<const void*> Pointers(const std::vector<HostTensor>& tensors) {
    std::vector<const void*> pointers;
    for (const HostTensor& tensor : tensors) pointers.push_back(tensor.bytes.data());
    return pointers;
  }

  int fd_ = -1;
  void* handle_ = nullptr;
  const HoneCandidateV1* table_ = nullptr;
  Memory in_, constants_, out_, scratch_;
};

}  // namespace hone
