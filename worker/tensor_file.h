#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/values/tensor_spec.h"
#include "proto/values/file_descriptor.h"
#include "worker/mapping.h"

namespace hone {

// Logical tensors of one task in a file in memory that runners map too. Input set s holds the inputs made
// from seed + s; constants are made once, from seed. Movable; reading is thread-safe.
class TensorFile {
 public:
  // Filled and sealed against writing: all runners of a lease share it.
  static absl::StatusOr<TensorFile> Generate(std::span<const TensorSpec> inputs,
                                             std::span<const TensorSpec> constants, uint64_t seed,
                                             uint32_t input_sets);
  // Room for outputs, one runner's; sealed in size.
  static absl::StatusOr<TensorFile> ForOutputs(std::span<const TensorSpec> outputs);

  int descriptor() const { return file_.get(); }
  uint64_t bytes() const { return mapping_.bytes(); }
  uint32_t input_sets() const { return input_sets_; }
  uint64_t input_set_stride() const { return input_set_stride_; }
  // Inputs then constants, or outputs. Offsets are those of input set 0.
  size_t count() const { return specs_.size(); }
  size_t inputs() const { return inputs_; }
  const TensorSpec& spec(size_t i) const { return specs_[i]; }
  uint64_t offset(size_t i) const { return offsets_[i]; }
  const char* data(size_t i) const { return mapping_.data() + offsets_[i]; }
  void Poison();  // outputs only: every byte 0xff (NaN for floats)

 private:
  // Places tensors one behind the other, 64-byte aligned, from `begin` on; returns the end, page-aligned.
  uint64_t Place(std::span<const TensorSpec> specs, uint64_t begin);

  FileDescriptor file_;
  Mapping mapping_;
  std::vector<TensorSpec> specs_;
  std::vector<uint64_t> offsets_;
  size_t inputs_ = 0;
  uint32_t input_sets_ = 1;
  uint64_t input_set_stride_ = 0;
};

}  // namespace hone
