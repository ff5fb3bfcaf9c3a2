#pragma once

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "hone/v1/job_link.pb.h"
#include "proto/values/file_descriptor.h"

namespace hone {

struct JobFrame {
  v1::JobMessage message;
  size_t bytes = 0;                   // of the frame
  std::vector<FileDescriptor> files;  // in the order in which the message names them; at the child's end only
};

// How many descriptors ride on a message; InvalidArgument if it names more than one frame can carry.
absl::StatusOr<size_t> CountFiles(const v1::JobMessage& message);
// The distinct blobs of a message in order of first mention (of a batch: trials, incumbent, oracle): what lies in
// the outbox.
std::vector<v1::BlobRef> BlobsOf(const v1::JobMessage& message);
// What the child says of its failure; Internal if its code is none (the child may be anything by then). Never
// OK.
absl::Status FailureOf(const v1::JobFailed& failed);

// One end of the socketpair between server and hone-job: frames { u32 little-endian length; JobMessage },
// descriptors to the child by SCM_RIGHTS on a frame's first byte. Never blocks except in ReadFrame: what does not
// fit is queued, so two ends that both send cannot deadlock. Not thread-safe.
class JobLink {
 public:
  enum class End { kServer, kChild };  // the server's takes no descriptors

  // What the server receives; a longer one is InvalidArgument. A parsed message takes up to 50 times its bytes.
  static constexpr size_t kMaxFrameBytes = size_t{4} << 20;

  // A connected pair: ours, close-on-exec and non-blocking, and the child's, close-on-exec.
  static absl::StatusOr<std::pair<FileDescriptor, FileDescriptor>> MakePair();

  explicit JobLink(FileDescriptor socket, End end = End::kServer) : socket_(std::move(socket)), end_(end) {}

  int descriptor() const { return socket_.get(); }
  void Send(const v1::JobMessage& message, std::vector<FileDescriptor> files = {});
  void Close() { socket_.Close(); }
  bool wants_write() const { return !outgoing_.empty(); }
  absl::Status Flush();    // as much as the socket takes
  // Part of what has arrived: never more than a piece, however fast the other end sends. Unavailable once that is
  // gone, InvalidArgument if it brings descriptors that this end does not take.
  absl::Status Receive();
  // The next complete frame; nullopt if there is none yet. InvalidArgument: the other end does not speak the
  // protocol.
  absl::StatusOr<std::optional<JobFrame>> Next();
  // Sends what waits and blocks for a frame. DeadlineExceeded; Unavailable once the other end is gone.
  absl::StatusOr<JobFrame> ReadFrame(absl::Time deadline);

 private:
  struct Outgoing {
    std::string bytes;
    size_t sent = 0;
    std::vector<FileDescriptor> files;
  };

  FileDescriptor socket_;
  const End end_;
  std::deque<Outgoing> outgoing_;
  std::string incoming_;
  size_t consumed_ = 0;  // of incoming_
  std::deque<FileDescriptor> arrived_;
};

}  // namespace hone
