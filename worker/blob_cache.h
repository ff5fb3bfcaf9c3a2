#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "proto/values/file_descriptor.h"
#include "worker/lease.h"

namespace hone {

// Content-addressed files in a folder, fetched when missing, dropped least recently used first. One process
// uses a folder. Not thread-safe.
class BlobCache {
 public:
  // Streams a blob from `offset` on into `sink`, in order; a failure may come after some bytes.
  using Sink = std::function<absl::Status(std::string_view)>;
  using Fetch = std::function<absl::Status(const BlobId&, uint64_t offset, const Sink&)>;

  // limit_bytes: of all files together; the newest stays whatever its size.
  BlobCache(std::string folder, uint64_t limit_bytes, Fetch fetch);

  // The blob in a sealed memfd whose bytes have the digest: checked after they can no longer change. A broken
  // download goes on where it stopped while it makes progress. DataLoss if what the source gives has another
  // digest.
  absl::StatusOr<FileDescriptor> Open(const BlobId& blob);

 private:
  std::string Path(const BlobId& blob) const { return folder_ + "/" + blob.sha256; }
  absl::Status Download(const BlobId& blob);
  absl::StatusOr<FileDescriptor> LoadVerified(const BlobId& blob);
  void Evict();

  const std::string folder_;
  const uint64_t limit_bytes_;
  const Fetch fetch_;
};

}  // namespace hone
