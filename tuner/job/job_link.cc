#include "tuner/job/job_link.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "proto/values/file_descriptor.h"
#include "proto/values/sha256.h"

namespace hone {
namespace {

constexpr size_t kMaxFiles = 253;                         // SCM_MAX_FD of Linux
constexpr uint32_t kMaxFrameBytes = uint32_t{1} << 30;    // from our own server
constexpr size_t kMaxSentBytes = size_t{4} << 20;         // to it

absl::Status Gone() { return absl::UnavailableError("the server has closed the link"); }

}  // namespace

absl::Status Cargo::Add(std::string_view bytes, v1::BlobRef* ref) {
  ref->set_sha256(Sha256Hex(bytes));
  ref->set_size(bytes.size());
  if (!mentioned_.insert(ref->sha256()).second) return absl::OkStatus();
  struct stat outbox {};
  if (fstat(outbox_, &outbox) != 0) return ErrnoStatus("examining the outbox");
  if (used_ + bytes.size() > static_cast<uint64_t>(outbox.st_size)) {
    return absl::ResourceExhaustedError(absl::StrCat("what is built has more than ", outbox.st_size,
                                                     " bytes, a third of the server's job-memory-gb: raise that"));
  }
  while (!bytes.empty()) {
    const ssize_t written = pwrite(outbox_, bytes.data(), bytes.size(), static_cast<off_t>(used_));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return ErrnoStatus("writing to the outbox");
    bytes.remove_prefix(static_cast<size_t>(written));
    used_ += static_cast<uint64_t>(written);
  }
  return absl::OkStatus();
}

absl::Status JobLink::Send(const v1::JobMessage& message) {
  const std::string body = message.SerializeAsString();
  if (body.size() > kMaxSentBytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("an answer of ", body.size(), " bytes; at most ", kMaxSentBytes, " can be sent"));
  }
  const uint32_t size = static_cast<uint32_t>(body.size());
  std::string frame(4, '\0');
  for (int i = 0; i < 4; ++i) frame[static_cast<size_t>(i)] = static_cast<char>(size >> (8 * i));
  frame += body;
  for (size_t sent = 0; sent < frame.size();) {
    iovec data{frame.data() + sent, frame.size() - sent};
    msghdr header{};
    header.msg_iov = &data;
    header.msg_iovlen = 1;
    const ssize_t n = sendmsg(descriptor_, &header, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return Gone();
    sent += static_cast<size_t>(n);
  }
  return absl::OkStatus();
}

absl::Status JobLink::ReadExactly(char* to, size_t bytes) {
  while (bytes > 0) {
    iovec data{to, bytes};
    alignas(cmsghdr) char control[CMSG_SPACE(kMaxFiles * sizeof(int))];
    msghdr header{};
    header.msg_iov = &data;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = sizeof(control);
    const ssize_t n = recvmsg(descriptor_, &header, MSG_CMSG_CLOEXEC);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return Gone();
    for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
      if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
      const size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
      const size_t before = files_.size();
      files_.resize(before + count);
      std::memcpy(files_.data() + before, CMSG_DATA(part), count * sizeof(int));
    }
    to += n;
    bytes -= static_cast<size_t>(n);
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::JobMessage> JobLink::Receive() {
  unsigned char head[4];
  if (absl::Status status = ReadExactly(reinterpret_cast<char*>(head), sizeof(head)); !status.ok()) return status;
  const uint32_t size = head[0] | head[1] << 8 | head[2] << 16 | static_cast<uint32_t>(head[3]) << 24;
  if (size > kMaxFrameBytes) return absl::InvalidArgumentError("a frame of the server is too long");
  std::string body(size, '\0');
  if (absl::Status status = ReadExactly(body.data(), size); !status.ok()) return status;
  v1::JobMessage message;
  if (!message.ParseFromString(body)) return absl::InvalidArgumentError("a frame of the server does not parse");
  return message;
}

bool JobLink::Waiting() const {
  pollfd wait{descriptor_, POLLIN, 0};
  return poll(&wait, 1, 0) > 0;
}

std::vector<int> JobLink::TakeFiles() { return std::exchange(files_, {}); }

}  // namespace hone
