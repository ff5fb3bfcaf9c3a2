#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "proto/values/file_descriptor.h"

namespace hone {

// A blob's content address: lower-case hex SHA-256 and the size in bytes.
struct BlobId {
  std::string sha256;
  uint64_t size = 0;
  bool operator==(const BlobId&) const = default;
};

// InvalidArgument unless it is 64 lower-case hex digits: the only text from outside that ever becomes part of
// a path.
absl::Status CheckDigest(const std::string& sha256);

struct BlobState {
  uint64_t committed_size = 0;  // durable bytes
  bool complete = false;
};

// Who uploads. Unfinished uploads of different projects have nothing to do with each other.
struct BlobSender {
  std::string project = "";
  // The project has not shown this content yet: it has to send all of it even if the blob is complete, so
  // that nobody gets a content for its digest alone.
  bool must_prove = false;
};

struct BlobStoreOptions {
  std::string directory;                         // made if missing
  uint64_t max_blob_bytes = uint64_t{64} << 30;  // larger blobs are refused
};

// What a sweep keeps: all that is `referenced`, and what somebody asked for, uploaded or imported since `before`, or
// since `disposable_before` if it is `disposable`.
struct BlobRetention {
  std::set<std::string> referenced, disposable;
  absl::Time before, disposable_before;
};

struct SweptBlobs {
  int removed = 0;
  uint64_t removed_bytes = 0, kept_bytes = 0;
};

// Content-addressed files: complete ones in sha256/ab/cdef..., unfinished uploads in parts/. A blob is
// complete only after its bytes, its name and its directory are on disk. Thread-safe. No database: the file's
// presence is the truth.
class BlobStore {
 public:
  class Upload;

  static absl::StatusOr<std::unique_ptr<BlobStore>> Open(BlobStoreOptions options);

  // As the sender sees it.
  absl::StatusOr<BlobState> Query(const std::string& sha256, const BlobSender& sender = {});
  // Goes on at `offset`, which must be the committed size (OutOfRange otherwise). A later upload of the same
  // blob takes it over: the older one's next Append is Aborted. AlreadyExists: nothing more to send.
  absl::StatusOr<std::unique_ptr<Upload>> BeginUpload(const BlobId& blob, uint64_t offset,
                                                      const BlobSender& sender = {});
  // Stores blobs that lie one behind the other from the start of a file, which somebody else may still write (a
  // child's outbox): what is hashed is the copy, or for a blob that is there already what was read; nobody gets a
  // content for its digest. InvalidArgument when one is not what its id says. One sync per directory for the lot.
  absl::Status Import(const std::vector<BlobId>& blobs, int file);
  absl::StatusOr<FileDescriptor> OpenBlob(const std::string& sha256);
  // Removes complete blobs and uploads that stand still, as far as `retention` lets them go. Files go one by one,
  // so a kill leaves the rest to the next sweep.
  absl::StatusOr<SweptBlobs> Sweep(const BlobRetention& retention);

 private:
  explicit BlobStore(BlobStoreOptions options) : options_(std::move(options)) {}
  std::string FinalPath(const std::string& sha256) const;
  std::string PartPath(const std::string& part) const;
  absl::Status CheckSize(const BlobId& blob) const;
  absl::Status CopyPart(const BlobId& blob, int source, uint64_t offset, const std::string& part);
  // Whether the blob is complete; if so it counts as used now, so that no sweep takes it from under its user.
  absl::StatusOr<bool> Touch(const std::string& sha256);
  absl::Status Publish(const std::string& part, const std::string& sha256);
  // Before a blob is called complete: its name must be on the disk too. A killed server, or a sync that failed,
  // may have left it renamed and not synced.
  absl::Status SyncPublished(const std::string& sha256);

  const BlobStoreOptions options_;
  std::mutex mutex_;
  // How often blobs were renamed into a directory, and how many of these a sync has covered; the first counts
  // what earlier servers renamed.
  struct DirectoryState {
    uint64_t published = 1, synced = 0;
  };
  std::map<std::string, DirectoryState> directories_;
  std::map<std::string, uint64_t> owner_;  // of a part, by its file name: the generation that may append
  uint64_t generation_ = 0;
};

// One stream's turn at a blob. Not thread-safe. What was appended stays for the next turn when this one is
// dropped.
class BlobStore::Upload {
 public:
  ~Upload();
  absl::Status Append(std::string_view bytes);
  // Once all bytes are there: checks the digest (InvalidArgument, and the part is thrown away) and publishes.
  // Before that: syncs what there is. Returns the durable state. `proven` is called once the content is known
  // to be right and before it is published, which its failure prevents.
  absl::StatusOr<BlobState> Finish(const std::function<absl::Status()>& proven = [] {
    return absl::OkStatus();
  });

 private:
  friend class BlobStore;
  Upload(BlobStore& store, BlobId blob, BlobSender sender, FileDescriptor part, uint64_t offset,
         uint64_t generation);
  bool Owns() const;  // store_.mutex_ held

  BlobStore& store_;
  const BlobId blob_;
  const BlobSender sender_;
  const std::string part_name_;
  FileDescriptor part_;
  uint64_t offset_;
  const uint64_t generation_;
};

}  // namespace hone
