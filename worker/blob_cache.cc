#include "worker/blob_cache.h"

#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <vector>

#include "absl/strings/str_cat.h"
#include "proto/values/sha256.h"
#include "worker/mapping.h"

namespace hone {
namespace {

namespace fs = std::filesystem;

}  // namespace

BlobCache::BlobCache(std::string folder, uint64_t limit_bytes, Fetch fetch)
    : folder_(std::move(folder)), limit_bytes_(limit_bytes), fetch_(std::move(fetch)) {
  std::error_code error;
  fs::create_directories(folder_, error);  // a failure shows at the first write
}

absl::StatusOr<FileDescriptor> BlobCache::Open(const BlobId& blob) {
  if (!IsSha256Hex(blob.sha256)) return absl::InvalidArgumentError("a blob id is not a sha256");
  absl::StatusOr<FileDescriptor> cached = LoadVerified(blob);
  if (cached.ok()) {
    utimensat(AT_FDCWD, Path(blob).c_str(), nullptr, 0);  // used now; only the order of eviction hangs on it
    return cached;
  }
  if (absl::Status status = Download(blob); !status.ok()) return status;
  absl::StatusOr<FileDescriptor> file = LoadVerified(blob);
  Evict();
  return file;
}

absl::StatusOr<FileDescriptor> BlobCache::LoadVerified(const BlobId& blob) {
  FileDescriptor source(open(Path(blob).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  struct stat info;
  if (!source.valid() || fstat(source.get(), &info) != 0) return ErrnoStatus(errno, "opening a blob");
  const auto bytes = static_cast<uint64_t>(info.st_size);
  absl::StatusOr<FileDescriptor> memory = MakeMemfd("hone-blob", bytes);
  if (!memory.ok()) return memory;
  for (uint64_t done = 0; done < bytes;) {
    const ssize_t n = sendfile(memory->get(), source.get(), nullptr, bytes - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return ErrnoStatus(errno, "copying a blob");
    done += static_cast<uint64_t>(n);
  }
  if (absl::Status sealed = SealContents(memory->get()); !sealed.ok()) return sealed;
  absl::StatusOr<Mapping> mapping = Mapping::Map(memory->get(), bytes, false);
  if (!mapping.ok()) return mapping.status();
  if (Sha256Hex({mapping->data(), bytes}) != blob.sha256) {
    unlink(Path(blob).c_str());
    return absl::DataLossError(absl::StrCat("the bytes of blob ", blob.sha256, " do not have that digest"));
  }
  return memory;
}

absl::Status BlobCache::Download(const BlobId& blob) {
  const std::string partial = Path(blob) + ".partial";
  FileDescriptor file(open(partial.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file.valid()) return ErrnoStatus(errno, absl::StrCat("creating ", partial));
  uint64_t received = 0;
  const Sink sink = [&](std::string_view bytes) -> absl::Status {
    received += bytes.size();
    if (received > blob.size)
      return absl::DataLossError(absl::StrCat("blob ", blob.sha256, " is longer than told"));
    return WriteAll(file.get(), bytes);
  };
  absl::Status status;
  for (bool progress = true; progress;) {
    const uint64_t before = received;
    status = fetch_(blob, received, sink);
    if (status.ok() || absl::IsDataLoss(status) || absl::IsNotFound(status)) break;
    progress = received > before;
  }
  if (status.ok() && rename(partial.c_str(), Path(blob).c_str()) != 0)
    status = ErrnoStatus(errno, "keeping a blob");
  if (!status.ok()) unlink(partial.c_str());
  return status;
}

void BlobCache::Evict() {
  struct Entry {
    fs::file_time_type used;
    uint64_t bytes;
    fs::path path;
  };
  std::vector<Entry> entries;
  uint64_t total = 0;
  std::error_code error;
  for (const fs::directory_entry& item : fs::directory_iterator(folder_, error)) {
    if (!IsSha256Hex(item.path().filename().string())) continue;
    entries.push_back({item.last_write_time(error), item.file_size(error), item.path()});
    total += entries.back().bytes;
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.used < b.used; });
  for (size_t i = 0; i + 1 < entries.size() && total > limit_bytes_; ++i) {
    fs::remove(entries[i].path, error);
    total -= entries[i].bytes;
  }
}

}  // namespace hone
