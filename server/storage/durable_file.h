#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/values/file_descriptor.h"

// Files that survive a power cut once a call has returned OK.
namespace hone {

absl::StatusOr<FileDescriptor> OpenFile(const std::string& path, int flags, unsigned mode = 0600);
absl::StatusOr<std::string> ReadFile(const std::string& path);
absl::Status SyncDirectory(const std::string& path);
// Makes the directory and its parents with mode 0700, durably.
absl::Status MakeDirectories(const std::string& path);
// Writes beside, syncs, renames, syncs the directory: readers see the old or the new content, never a part.
absl::Status ReplaceFile(const std::string& path, std::string_view content, unsigned mode = 0600);

}  // namespace hone
