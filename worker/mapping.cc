#include "worker/mapping.h"

#include <sys/mman.h>

#include "proto/values/file_descriptor.h"

namespace hone {

absl::StatusOr<Mapping> Mapping::Map(int descriptor, uint64_t bytes, bool writable) {
  Mapping mapping;
  if (bytes == 0) return mapping;
  void* data = mmap(nullptr, bytes, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, descriptor, 0);
  if (data == MAP_FAILED) return ErrnoStatus("mmap");
  mapping.data_ = static_cast<char*>(data);
  mapping.bytes_ = bytes;
  return mapping;
}

Mapping::~Mapping() {
  if (data_) munmap(data_, bytes_);
}

}  // namespace hone
