#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "hone/v1/job_link.pb.h"

namespace hone {

// The blobs of one message, put into the outbox (proto/hone/v1/job_link.proto) one behind the other, each distinct
// content once. The server has taken those of the message before.
class Cargo {
 public:
  explicit Cargo(int outbox) : outbox_(outbox) {}

  // Sets `ref` to the bytes' name. ResourceExhausted: the outbox is full.
  absl::Status Add(std::string_view bytes, v1::BlobRef* ref);

 private:
  const int outbox_;
  uint64_t used_ = 0;   // bytes
  std::set<std::string> mentioned_;
};

// hone-job's end of the link to the server (proto/hone/v1/job_link.proto). Blocks; the server never waits for us while
// it sends, so neither end can wait for the other for ever. Not thread-safe.
class JobLink {
 public:
  explicit JobLink(int socket, int outbox = -1) : descriptor_(socket), outbox_(outbox) {}

  // Unavailable: the server is gone. ResourceExhausted: the message is longer than the server takes.
  absl::Status Send(const v1::JobMessage& message);
  absl::StatusOr<v1::JobMessage> Receive();
  // Whether Receive would not wait.
  bool Waiting() const;
  int outbox() const { return outbox_; }
  // Descriptors that have come with the messages so far, in order; the caller owns them now.
  std::vector<int> TakeFiles();

 private:
  absl::Status ReadExactly(char* to, size_t bytes);

  const int descriptor_, outbox_;
  std::vector<int> files_;
};

}  // namespace hone
