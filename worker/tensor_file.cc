#include "worker/tensor_file.h"

#include <cstring>

#include "proto/values/tensor_values.h"

namespace hone {

uint64_t TensorFile::Place(std::span<const TensorSpec> specs, uint64_t begin) {
  for (const TensorSpec& spec : specs) {
    specs_.push_back(spec);
    offsets_.push_back(begin);
    begin += (static_cast<uint64_t>(spec.Bytes()) + 63) / 64 * 64;
  }
  return (begin + 4095) / 4096 * 4096;
}

absl::StatusOr<TensorFile> TensorFile::Generate(std::span<const TensorSpec> inputs,
                                                std::span<const TensorSpec> constants, uint64_t seed,
                                                uint32_t input_sets) {
  TensorFile out;
  out.inputs_ = inputs.size();
  out.input_sets_ = input_sets;
  out.input_set_stride_ = out.Place(inputs, 0);
  const uint64_t bytes = out.Place(constants, out.input_set_stride_ * input_sets);
  absl::StatusOr<FileDescriptor> file = MakeMemfd("hone-inputs", bytes);
  if (!file.ok()) return file.status();
  {
    absl::StatusOr<Mapping> mapping = Mapping::Map(file->get(), bytes, true);
    if (!mapping.ok()) return mapping.status();
    for (size_t i = 0; i < out.count(); ++i) {
      for (uint32_t set = 0; set < (i < inputs.size() ? input_sets : 1); ++set) {
        GenerateTensor(out.spec(i), seed + set, i,
                       mapping->data() + out.offset(i) + set * out.input_set_stride_);
      }
    }
  }
  if (absl::Status sealed = SealContents(file->get()); !sealed.ok()) return sealed;
  absl::StatusOr<Mapping> mapping = Mapping::Map(file->get(), bytes, false);
  if (!mapping.ok()) return mapping.status();
  out.file_ = *std::move(file);
  out.mapping_ = *std::move(mapping);
  return out;
}

absl::StatusOr<TensorFile> TensorFile::ForOutputs(std::span<const TensorSpec> outputs) {
  TensorFile out;
  const uint64_t bytes = out.Place(outputs, 0);
  absl::StatusOr<FileDescriptor> file = MakeMemfd("hone-outputs", bytes);
  if (!file.ok()) return file.status();
  if (absl::Status sealed = SealSize(file->get()); !sealed.ok()) return sealed;
  absl::StatusOr<Mapping> mapping = Mapping::Map(file->get(), bytes, true);
  if (!mapping.ok()) return mapping.status();
  out.file_ = *std::move(file);
  out.mapping_ = *std::move(mapping);
  return out;
}

void TensorFile::Poison() {
  if (bytes() > 0) std::memset(mapping_.data(), 0xff, bytes());
}

}  // namespace hone
