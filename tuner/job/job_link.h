#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "hone/v1/job_link.pb.h"
#include "proto/values/file_descriptor.h"

namespace hone {

// A sealed file in memory that rides on a message. Movable.
class MemoryBlob {
 public:
  static absl::StatusOr<MemoryBlob> Make(const std::string& bytes);
  int descriptor() const { return file_.get(); }
  const v1::BlobRef& ref() const { return ref_; }

 private:
  MemoryBlob() = default;
  FileDescriptor file_;
  v1::BlobRef ref_;
};

// hone-job's end of the link to the server (proto/hone/v1/job_link.proto). Blocks; the server never waits for us while
// it sends, so neither end can wait for the other for ever. Not thread-safe.
class JobLink {
 public:
  explicit JobLink(int descriptor) : descriptor_(descriptor) {}

  // Unavailable: the server is gone.
  absl::Status Send(const v1::JobMessage& message, const std::vector<int>& files = {});
  absl::StatusOr<v1::JobMessage> Receive();
  // Whether Receive would not wait.
  bool Waiting() const;
  // Descriptors that have come with the messages so far, in order; the caller owns them now.
  std::vector<int> TakeFiles();

 private:
  absl::Status ReadExactly(char* to, size_t bytes);

  int descriptor_;
  std::vector<int> files_;
};

}  // namespace hone
