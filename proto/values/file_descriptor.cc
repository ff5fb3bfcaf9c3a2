#include "proto/values/file_descriptor.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <cstring>

#include "absl/strings/str_cat.h"

namespace hone {

absl::Status ErrnoStatus(int error, std::string_view what) {
  const std::string message = absl::StrCat(std::string(what), ": ", std::strerror(error));
  switch (error) {
    case ENOENT:
      return absl::NotFoundError(message);
    case EACCES:
    case EPERM:
      return absl::PermissionDeniedError(message);
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return absl::ResourceExhaustedError(message);
    default:
      return absl::UnavailableError(message);
  }
}

absl::Status WriteAll(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(descriptor, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return ErrnoStatus("writing");
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::StatusOr<FileDescriptor> MakeMemfd(const char* name, uint64_t bytes) {
  FileDescriptor file(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file.valid()) return ErrnoStatus("memfd_create");
  if (ftruncate(file.get(), static_cast<off_t>(bytes)) != 0) return ErrnoStatus("sizing a memfd");
  return file;
}

absl::Status SealSize(int memfd) {
  if (fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0) return absl::OkStatus();
  return ErrnoStatus("sealing a memfd");
}

absl::Status SealContents(int memfd) {
  if (fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) == 0) return absl::OkStatus();
  return ErrnoStatus("sealing a memfd");
}

}  // namespace hone
