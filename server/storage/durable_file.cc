#include "server/storage/durable_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "server/execution/status_macros.h"

namespace hone {

absl::StatusOr<FileDescriptor> OpenFile(const std::string& path, int flags, unsigned mode) {
  FileDescriptor file(open(path.c_str(), flags | O_CLOEXEC, mode));
  if (!file.valid()) return ErrnoStatus("opening " + path);
  return file;
}

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  HONE_ASSIGN_OR_RETURN(FileDescriptor file, OpenFile(path, O_RDONLY));
  std::string content;
  char buffer[65536];
  for (;;) {
    const ssize_t got = read(file.get(), buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus("reading " + path);
    if (got == 0) return content;
    content.append(buffer, static_cast<size_t>(got));
  }
}

absl::Status SyncDirectory(const std::string& path) {
  HONE_ASSIGN_OR_RETURN(FileDescriptor directory, OpenFile(path, O_RDONLY | O_DIRECTORY));
  if (fsync(directory.get()) != 0) return ErrnoStatus("syncing " + path);
  return absl::OkStatus();
}

absl::Status MakeDirectories(const std::string& path) {
  for (size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    const std::string prefix = path.substr(0, slash);
    if (mkdir(prefix.c_str(), 0700) == 0) {
      const size_t parent = prefix.rfind('/');
      HONE_RETURN_IF_ERROR(SyncDirectory(parent == std::string::npos ? "." : prefix.substr(0, parent + 1)));
    } else if (errno != EEXIST) {
      return ErrnoStatus("making directory " + prefix);
    }
    if (slash == std::string::npos) return absl::OkStatus();
  }
}

absl::Status ReplaceFile(const std::string& path, std::string_view content, unsigned mode) {
  const std::string beside = path + ".new";
  {
    HONE_ASSIGN_OR_RETURN(FileDescriptor file, OpenFile(beside, O_WRONLY | O_CREAT | O_TRUNC, mode));
    HONE_RETURN_IF_ERROR(WriteAll(file.get(), content));
    if (fchmod(file.get(), mode) != 0 || fsync(file.get()) != 0) return ErrnoStatus("writing " + beside);
  }
  if (rename(beside.c_str(), path.c_str()) != 0) return ErrnoStatus("renaming to " + path);
  const size_t slash = path.rfind('/');
  return SyncDirectory(slash == std::string::npos ? "." : path.substr(0, slash + 1));
}

}  // namespace hone
