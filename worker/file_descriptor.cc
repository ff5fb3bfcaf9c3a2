#include "worker/file_descriptor.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace hone {

absl::Status ErrnoStatus(int error, const std::string& what) {
  const std::string message = absl::StrCat(what, ": ", strerror(error));
  switch (error) {
    case ENOENT:
      return absl::NotFoundError(message);
    case EACCES:
    case EPERM:
      return absl::PermissionDeniedError(message);
    case ENOSPC:
    case ENOMEM:
    case EMFILE:
    case ENFILE:
      return absl::ResourceExhaustedError(message);
    default:
      return absl::UnavailableError(message);
  }
}

absl::StatusOr<Mapping> Mapping::Map(int descriptor, uint64_t bytes, bool writable) {
  Mapping mapping;
  if (bytes == 0) return mapping;
  void* data = mmap(nullptr, bytes, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, descriptor, 0);
  if (data == MAP_FAILED) return ErrnoStatus(errno, "mmap");
  mapping.data_ = static_cast<char*>(data);
  mapping.bytes_ = bytes;
  return mapping;
}

Mapping::~Mapping() {
  if (data_) munmap(data_, bytes_);
}

absl::StatusOr<FileDescriptor> MakeMemfd(const char* name, uint64_t bytes) {
  FileDescriptor file(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file.valid()) return ErrnoStatus(errno, "memfd_create");
  if (ftruncate(file.get(), static_cast<off_t>(bytes)) != 0) return ErrnoStatus(errno, "sizing a memfd");
  return file;
}

absl::Status SealSize(int memfd) {
  if (fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0) return absl::OkStatus();
  return ErrnoStatus(errno, "sealing a memfd");
}

absl::Status SealContents(int memfd) {
  if (fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) == 0)
    return absl::OkStatus();
  return ErrnoStatus(errno, "sealing a memfd");
}

}  // namespace hone
