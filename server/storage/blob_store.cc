#include "server/storage/blob_store.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "proto/values/sha256.h"
#include "server/execution/status_macros.h"
#include "server/storage/durable_file.h"

namespace hone {
namespace {

constexpr size_t kCopyBytes = 1 << 20;
constexpr char kImportPrefix[] = "import-";

// Reads up to `bytes` of `file` from `at` on, to `sink` (a Status of string_view).
template <typename Sink>
absl::Status ReadThrough(int file, uint64_t at, uint64_t bytes, Sink sink) {
  std::string buffer(std::min<uint64_t>(kCopyBytes, bytes), '\0');
  while (bytes > 0) {
    const ssize_t got = pread(file, buffer.data(), std::min<uint64_t>(buffer.size(), bytes), static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus("reading a blob");
    if (got == 0) return absl::OkStatus();
    HONE_RETURN_IF_ERROR(sink(std::string_view(buffer.data(), static_cast<size_t>(got))));
    at += static_cast<uint64_t>(got);
    bytes -= static_cast<uint64_t>(got);
  }
  return absl::OkStatus();
}

// Nothing if there is no such file, which is not the same as a disk that does not answer.
absl::StatusOr<std::optional<uint64_t>> FileSize(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) == 0) return static_cast<uint64_t>(info.st_size);
  if (errno == ENOENT) return std::nullopt;
  return ErrnoStatus("examining " + path);
}

absl::Status DigestMismatch(const BlobId& blob, const std::string& actual) {
  return absl::InvalidArgumentError(absl::StrCat("the bytes uploaded as ", blob.sha256, " have the SHA-256 ",
                                                 actual, "; upload them again from 0"));
}

// Reads the blob that lies at `offset` to `sink`. InvalidArgument if it is another.
template <typename Sink>
absl::Status ReadBlob(const BlobId& blob, int file, uint64_t offset, Sink sink) {
  Sha256 sha;
  uint64_t size = 0;
  HONE_RETURN_IF_ERROR(ReadThrough(file, offset, blob.size, [&](std::string_view bytes) {
    sha.Update(bytes);
    size += bytes.size();
    return sink(bytes);
  }));
  const std::string actual = sha.FinishHex();
  return actual == blob.sha256 && size == blob.size ? absl::OkStatus() : DigestMismatch(blob, actual);
}

// The file in parts/ that collects a sender's bytes.
std::string PartName(const std::string& sha256, const BlobSender& sender) {
  return sender.project.empty() ? sha256 : absl::StrCat(sha256, "-", sender.project);
}

}  // namespace

absl::Status CheckDigest(const std::string& sha256) {
  if (IsSha256Hex(sha256)) return absl::OkStatus();
  return absl::InvalidArgumentError("a blob is named by its SHA-256 as 64 lower-case hex digits");
}

absl::StatusOr<std::unique_ptr<BlobStore>> BlobStore::Open(BlobStoreOptions options) {
  HONE_RETURN_IF_ERROR(MakeDirectories(options.directory + "/sha256"));
  HONE_RETURN_IF_ERROR(MakeDirectories(options.directory + "/parts"));
  // Imports of a killed server: nobody goes on with them. Uploads stay, their clients may come back.
  std::error_code error;
  for (std::filesystem::directory_iterator entry(options.directory + "/parts", error), end;
       !error && entry != end; entry.increment(error)) {
    if (entry->path().filename().string().starts_with(kImportPrefix))
      std::filesystem::remove(entry->path(), error);
  }
  if (error) return absl::UnavailableError("cleaning " + options.directory + ": " + error.message());
  return std::unique_ptr<BlobStore>(new BlobStore(std::move(options)));
}

std::string BlobStore::FinalPath(const std::string& sha256) const {
  return absl::StrCat(options_.directory, "/sha256/", sha256.substr(0, 2), "/", sha256.substr(2));
}

std::string BlobStore::PartPath(const std::string& part) const {
  return absl::StrCat(options_.directory, "/parts/", part);
}

absl::Status BlobStore::CheckSize(const BlobId& blob) const {
  HONE_RETURN_IF_ERROR(CheckDigest(blob.sha256));
  if (blob.size <= options_.max_blob_bytes) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "a blob of ", blob.size, " bytes exceeds this server's limit of ", options_.max_blob_bytes));
}

absl::StatusOr<BlobState> BlobStore::Query(const std::string& sha256, const BlobSender& sender) {
  HONE_RETURN_IF_ERROR(CheckDigest(sha256));
  BlobState state;
  HONE_ASSIGN_OR_RETURN(const std::optional<uint64_t> size, FileSize(FinalPath(sha256)));
  HONE_ASSIGN_OR_RETURN(const bool complete, Touch(sha256));
  if (size && complete && !sender.must_prove) {
    HONE_RETURN_IF_ERROR(SyncPublished(sha256));
    return BlobState{*size, true};
  }
  const std::string path = PartPath(PartName(sha256, sender));
  absl::StatusOr<FileDescriptor> part = OpenFile(path, O_WRONLY);
  if (absl::IsNotFound(part.status())) return state;
  HONE_RETURN_IF_ERROR(part.status());
  struct stat info;
  if (fstat(part->get(), &info) != 0) return ErrnoStatus("examining an upload");
  if (fdatasync(part->get()) != 0) {
    // The kernel may have dropped the dirty pages: nothing of this part can be trusted any more.
    const absl::Status failed = ErrnoStatus("syncing an upload");
    unlink(path.c_str());
    return failed;
  }
  state.committed_size = static_cast<uint64_t>(info.st_size);
  return state;
}

absl::StatusOr<std::unique_ptr<BlobStore::Upload>> BlobStore::BeginUpload(const BlobId& blob, uint64_t offset,
                                                                          const BlobSender& sender) {
  HONE_RETURN_IF_ERROR(CheckSize(blob));
  std::lock_guard lock(mutex_);
  HONE_ASSIGN_OR_RETURN(const std::optional<uint64_t> complete, FileSize(FinalPath(blob.sha256)));
  if (complete && !sender.must_prove) return absl::AlreadyExistsError("the blob is complete");
  const std::string name = PartName(blob.sha256, sender);
  HONE_ASSIGN_OR_RETURN(FileDescriptor part, OpenFile(PartPath(name), O_RDWR | O_CREAT | O_APPEND));
  HONE_ASSIGN_OR_RETURN(const std::optional<uint64_t> size, FileSize(PartPath(name)));
  if (offset != size) {
    return absl::OutOfRangeError(
        absl::StrCat("this upload goes on at ", size.value_or(0), ", not at ", offset));
  }
  const uint64_t generation = owner_[name] = ++generation_;
  return std::unique_ptr<Upload>(new Upload(*this, blob, sender, std::move(part), offset, generation));
}

absl::Status BlobStore::CopyPart(const BlobId& blob, int source, uint64_t offset, const std::string& part) {
  HONE_ASSIGN_OR_RETURN(FileDescriptor copy, OpenFile(part, O_WRONLY | O_CREAT | O_TRUNC));
  HONE_RETURN_IF_ERROR(
      ReadBlob(blob, source, offset, [&](std::string_view bytes) { return WriteAll(copy.get(), bytes); }));
  if (fdatasync(copy.get()) != 0) return ErrnoStatus("syncing a blob");
  return absl::OkStatus();
}

absl::Status BlobStore::Publish(const std::string& part, const std::string& sha256) {
  const std::string final_path = FinalPath(sha256);
  const std::string directory = final_path.substr(0, final_path.rfind('/'));
  HONE_RETURN_IF_ERROR(MakeDirectories(directory));
  std::lock_guard lock(mutex_);  // who sees the blob also sees that its directory is not synced
  if (rename(part.c_str(), final_path.c_str()) != 0) {
    const absl::Status failed = ErrnoStatus("publishing a blob");
    // Another turn at this upload may have published the part, with the same bytes.
    if (!absl::IsNotFound(failed)) return failed;
    HONE_ASSIGN_OR_RETURN(const std::optional<uint64_t> published, FileSize(final_path));
    if (!published) return failed;
  }
  ++directories_[directory].published;
  return absl::OkStatus();
}

absl::Status BlobStore::SyncPublished(const std::string& sha256) {
  const std::string final_path = FinalPath(sha256);
  const std::string directory = final_path.substr(0, final_path.rfind('/'));
  DirectoryState before;
  {
    std::lock_guard lock(mutex_);
    before = directories_[directory];
  }
  if (before.synced >= before.published) return absl::OkStatus();
  HONE_RETURN_IF_ERROR(SyncDirectory(directory));
  if (before.synced == 0) HONE_RETURN_IF_ERROR(SyncDirectory(options_.directory + "/sha256"));
  std::lock_guard lock(mutex_);
  uint64_t& synced = directories_[directory].synced;
  synced = std::max(synced, before.published);
  return absl::OkStatus();
}

absl::Status BlobStore::Import(const std::vector<BlobId>& blobs, int file) {
  uint64_t offset = 0;
  for (const BlobId& blob : blobs) {
    HONE_RETURN_IF_ERROR(CheckSize(blob));
    const uint64_t begin = std::exchange(offset, offset + blob.size);
    HONE_ASSIGN_OR_RETURN(const bool present, Touch(blob.sha256));
    if (present) {
      HONE_RETURN_IF_ERROR(ReadBlob(blob, file, begin, [](std::string_view) { return absl::OkStatus(); }));
      continue;
    }
    uint64_t serial;
    {
      std::lock_guard lock(mutex_);
      serial = ++generation_;
    }
    const std::string part = absl::StrCat(options_.directory, "/parts/", kImportPrefix, serial);
    absl::Status status = CopyPart(blob, file, begin, part);
    if (status.ok()) status = Publish(part, blob.sha256);
    if (!status.ok()) {
      unlink(part.c_str());
      return status;
    }
  }
  for (const BlobId& blob : blobs) HONE_RETURN_IF_ERROR(SyncPublished(blob.sha256));
  return absl::OkStatus();
}

absl::StatusOr<FileDescriptor> BlobStore::OpenBlob(const std::string& sha256) {
  HONE_RETURN_IF_ERROR(CheckDigest(sha256));
  absl::StatusOr<FileDescriptor> file = OpenFile(FinalPath(sha256), O_RDONLY);
  if (absl::IsNotFound(file.status())) return absl::NotFoundError("there is no complete blob " + sha256);
  return file;
}

absl::StatusOr<bool> BlobStore::Touch(const std::string& sha256) {
  std::lock_guard lock(mutex_);
  if (utimensat(AT_FDCWD, FinalPath(sha256).c_str(), nullptr, 0) == 0) return true;
  if (errno == ENOENT) return false;
  return ErrnoStatus("touching a blob");
}

absl::StatusOr<SweptBlobs> BlobStore::Sweep(const BlobRetention& retention) {
  SweptBlobs swept;
  std::error_code error;
  // increment(error), not ++, which throws when a directory cannot be opened.
  for (std::filesystem::recursive_directory_iterator entry(options_.directory, error), end;
       !error && entry != end; entry.increment(error)) {
    if (std::error_code gone; !entry->is_regular_file(gone)) continue;
    const std::filesystem::path path = entry->path();
    const std::string directory = path.parent_path().filename().string();
    const std::string name = path.filename().string();
    const bool disposable = retention.disposable.contains(directory + name);
    const absl::Time before = disposable ? retention.disposable_before : retention.before;
    std::lock_guard lock(mutex_);  // no use between the look and the removal
    struct stat info;
    if (stat(path.c_str(), &info) != 0) continue;
    const uint64_t size = static_cast<uint64_t>(info.st_size);
    if (retention.referenced.contains(directory + name) || owner_.contains(name) ||
        absl::TimeFromTimespec(info.st_mtim) >= before) {
      swept.kept_bytes += size;
      continue;
    }
    if (unlink(path.c_str()) != 0) return ErrnoStatus("removing a blob");
    ++swept.removed;
    swept.removed_bytes += size;
  }
  if (error) return absl::UnavailableError("sweeping the blobs: " + error.message());
  return swept;
}

BlobStore::Upload::Upload(BlobStore& store, BlobId blob, BlobSender sender, FileDescriptor part,
                          uint64_t offset, uint64_t generation)
    : store_(store),
      blob_(std::move(blob)),
      sender_(std::move(sender)),
      part_name_(PartName(blob_.sha256, sender_)),
      part_(std::move(part)),
      offset_(offset),
      generation_(generation) {}

BlobStore::Upload::~Upload() {
  std::lock_guard lock(store_.mutex_);
  if (Owns()) store_.owner_.erase(part_name_);
}

bool BlobStore::Upload::Owns() const {
  auto owner = store_.owner_.find(part_name_);
  return owner != store_.owner_.end() && owner->second == generation_;
}

absl::Status BlobStore::Upload::Append(std::string_view bytes) {
  if (bytes.size() > blob_.size - offset_) {
    return absl::InvalidArgumentError(absl::StrCat("more bytes than the ", blob_.size, " announced"));
  }
  std::lock_guard lock(store_.mutex_);  // a successor must see a part of stable length
  if (!Owns()) return absl::AbortedError("a later upload of this blob has taken over");
  const absl::Status written = WriteAll(part_.get(), bytes);
  if (!written.ok()) {
    if (ftruncate(part_.get(), static_cast<off_t>(offset_)) != 0)
      return ErrnoStatus("taking back a partial write");
    return written;
  }
  offset_ += bytes.size();
  return absl::OkStatus();
}

absl::StatusOr<BlobState> BlobStore::Upload::Finish(const std::function<absl::Status()>& proven) {
  {
    std::lock_guard lock(store_.mutex_);
    if (!Owns()) return absl::AbortedError("a later upload of this blob has taken over");
  }
  const std::string part = store_.PartPath(part_name_);
  if (offset_ < blob_.size) return store_.Query(blob_.sha256, sender_);
  Sha256 sha;
  HONE_RETURN_IF_ERROR(ReadThrough(part_.get(), 0, UINT64_MAX, [&](std::string_view bytes) {
    sha.Update(bytes);
    return absl::OkStatus();
  }));
  if (const std::string actual = sha.FinishHex(); actual != blob_.sha256) {
    unlink(part.c_str());
    return DigestMismatch(blob_, actual);
  }
  if (fdatasync(part_.get()) != 0) {
    const absl::Status failed = ErrnoStatus("syncing an upload");
    unlink(part.c_str());
    return failed;
  }
  HONE_RETURN_IF_ERROR(proven());
  HONE_RETURN_IF_ERROR(store_.Publish(part, blob_.sha256));
  HONE_RETURN_IF_ERROR(store_.SyncPublished(blob_.sha256));
  return BlobState{blob_.size, true};
}

}  // namespace hone
