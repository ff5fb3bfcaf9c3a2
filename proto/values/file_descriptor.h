#pragma once

#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace hone {

// Owns a file descriptor (or none, -1). Movable, not thread-safe.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int descriptor) : descriptor_(descriptor) {}
  FileDescriptor(FileDescriptor&& other) noexcept : descriptor_(other.Release()) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    if (this != &other) Close(), descriptor_ = other.Release();
    return *this;
  }
  ~FileDescriptor() { Close(); }

  int get() const { return descriptor_; }
  bool valid() const { return descriptor_ >= 0; }
  int Release() { return std::exchange(descriptor_, -1); }
  void Close() {
    if (descriptor_ >= 0) close(Release());
  }

 private:
  int descriptor_ = -1;
};

// A failed system call as a status: ResourceExhausted for a full disk or table, NotFound, PermissionDenied, else
// Unavailable (the machine's fault).
absl::Status ErrnoStatus(int error, std::string_view what);
inline absl::Status ErrnoStatus(std::string_view what) { return ErrnoStatus(errno, what); }

absl::Status WriteAll(int descriptor, std::string_view bytes);

// An anonymous file in memory, of that size, that can be sealed. ResourceExhausted if there is no room.
absl::StatusOr<FileDescriptor> MakeMemfd(const char* name, uint64_t bytes);
absl::Status SealSize(int memfd);       // nobody can shrink or grow it
absl::Status SealContents(int memfd);   // nor write it; no writable mapping may exist

}  // namespace hone
