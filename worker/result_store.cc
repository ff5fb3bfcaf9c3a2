#include "worker/result_store.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "proto/values/file_descriptor.h"

namespace hone {
namespace {

namespace fs = std::filesystem;
constexpr absl::string_view kSuffix = ".result";

// Lease ids come from the server: hex makes any of them a file name.
std::string FileName(const std::string& lease_id) {
  return absl::StrCat(absl::BytesToHexString(lease_id), kSuffix);
}

absl::Status SyncFolder(const std::string& folder) {
  FileDescriptor directory(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.valid() || fsync(directory.get()) != 0)
    return ErrnoStatus(errno, absl::StrCat("syncing ", folder));
  return absl::OkStatus();
}

}  // namespace

absl::Status WriteFileDurably(const std::string& path, const std::string& bytes) {
  const std::string temporary = path + ".new";
  {
    FileDescriptor file(open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!file.valid()) return ErrnoStatus(errno, absl::StrCat("creating ", temporary));
    for (size_t done = 0; done < bytes.size();) {
      const ssize_t n = write(file.get(), bytes.data() + done, bytes.size() - done);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return ErrnoStatus(errno, absl::StrCat("writing ", temporary));
      done += static_cast<size_t>(n);
    }
    if (fsync(file.get()) != 0) return ErrnoStatus(errno, absl::StrCat("syncing ", temporary));
  }
  if (rename(temporary.c_str(), path.c_str()) != 0)
    return ErrnoStatus(errno, absl::StrCat("renaming to ", path));
  return SyncFolder(fs::path(path).parent_path().string());
}

absl::StatusOr<std::string> ReadWholeFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return absl::NotFoundError(absl::StrCat("cannot read ", path));
  std::ostringstream bytes;
  bytes << in.rdbuf();
  return bytes.str();
}

ResultStore::ResultStore(std::string folder) : folder_(std::move(folder)) {
  std::error_code error;
  fs::create_directories(folder_, error);  // a failure shows at the first Put
}

absl::Status ResultStore::Put(const std::string& lease_id, const std::string& bytes) {
  std::lock_guard lock(mutex_);
  return WriteFileDurably(absl::StrCat(folder_, "/", FileName(lease_id)), bytes);
}

void ResultStore::Remove(const std::string& lease_id) {
  std::lock_guard lock(mutex_);
  unlink(absl::StrCat(folder_, "/", FileName(lease_id)).c_str());
}

bool ResultStore::Has(const std::string& lease_id) const {
  std::lock_guard lock(mutex_);
  return access(absl::StrCat(folder_, "/", FileName(lease_id)).c_str(), F_OK) == 0;
}

std::vector<ResultStore::Entry> ResultStore::Pending(size_t limit_bytes) const {
  std::lock_guard lock(mutex_);
  std::vector<Entry> entries;
  size_t total = 0;
  std::error_code error;
  for (const fs::directory_entry& item : fs::directory_iterator(folder_, error)) {
    const std::string name = item.path().filename().string();
    if (!absl::EndsWith(name, kSuffix)) continue;
    absl::StatusOr<std::string> bytes = ReadWholeFile(item.path().string());
    if (!bytes.ok()) continue;
    total += bytes->size();
    if (!entries.empty() && total > limit_bytes) break;
    entries.push_back(
        {absl::HexStringToBytes(name.substr(0, name.size() - kSuffix.size())), *std::move(bytes)});
  }
  return entries;
}

}  // namespace hone
