#pragma once

#include <unistd.h>

#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace hone {

// Owns a descriptor (or none, -1). Movable.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int descriptor) : descriptor_(descriptor) {}
  FileDescriptor(FileDescriptor&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~FileDescriptor() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  int get() const { return descriptor_; }
  bool valid() const { return descriptor_ >= 0; }

 private:
  int descriptor_ = -1;
};

// Owns a mapping of a whole file. Movable.
class Mapping {
 public:
  Mapping() = default;
  // bytes may be 0: then data() is null.
  static absl::StatusOr<Mapping> Map(int descriptor, uint64_t bytes, bool writable);
  Mapping(Mapping&& other) noexcept { *this = std::move(other); }
  Mapping& operator=(Mapping&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Mapping();
  char* data() const { return data_; }
  uint64_t bytes() const { return bytes_; }

 private:
  char* data_ = nullptr;
  uint64_t bytes_ = 0;
};

// An anonymous file in memory that can be sealed. ResourceExhausted if there is no room.
absl::StatusOr<FileDescriptor> MakeMemfd(const char* name, uint64_t bytes);
absl::Status SealSize(int memfd);      // nobody can shrink or grow it
absl::Status SealContents(int memfd);  // nor write it; no writable mapping may exist

absl::Status ErrnoStatus(int error, const std::string& what);

}  // namespace hone
