#include "server/jobs/job_link.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "proto/values/readable_text.h"
#include "server/execution/status_macros.h"
#include "server/storage/durable_file.h"

namespace hone {
namespace {

constexpr size_t kHeaderBytes = 4;
constexpr size_t kMaxFiles = 253;  // Linux: SCM_MAX_FD
constexpr size_t kReadBytes = 1 << 18;

std::string HeaderOf(size_t length) {
  std::string header(kHeaderBytes, '\0');
  for (size_t i = 0; i < kHeaderBytes; ++i) header[i] = static_cast<char>(length >> (8 * i));
  return header;
}

size_t LengthIn(const char* header) {
  size_t length = 0;
  for (size_t i = 0; i < kHeaderBytes; ++i)
    length |= static_cast<size_t>(static_cast<unsigned char>(header[i])) << (8 * i);
  return length;
}

void AddDistinct(const v1::BlobRef& blob, std::vector<v1::BlobRef>& blobs) {
  if (blob.sha256().empty()) return;
  for (const v1::BlobRef& known : blobs) {
    if (known.sha256() == blob.sha256()) return;
  }
  blobs.push_back(blob);
}

}  // namespace

std::vector<v1::BlobRef> BlobsOf(const v1::JobMessage& message) {
  std::vector<v1::BlobRef> blobs;
  for (const v1::ProposedTrial& trial : message.propose().trials()) AddDistinct(trial.object(), blobs);
  AddDistinct(message.propose().lease().incumbent().object(), blobs);
  AddDistinct(message.propose().lease().oracle_object(), blobs);
  for (const v1::NamedBlob& file : message.module().files()) AddDistinct(file.blob(), blobs);
  return blobs;
}

absl::Status FailureOf(const v1::JobFailed& failed) {
  const bool known =
      failed.code() > 0 && failed.code() <= static_cast<int>(absl::StatusCode::kUnauthenticated);
  return absl::Status(known ? static_cast<absl::StatusCode>(failed.code()) : absl::StatusCode::kInternal,
                      ReadableText(failed.message(), kMaxErrorBytes));
}

absl::StatusOr<size_t> CountFiles(const v1::JobMessage& message) {
  size_t count = 0;
  switch (message.body_case()) {
    case v1::JobMessage::kStart:
      count = static_cast<size_t>(message.start().file_names_size());
      break;
    case v1::JobMessage::kInspect:
      count = static_cast<size_t>(message.inspect().file_names_size());
      break;
    case v1::JobMessage::kExplain:
      count = static_cast<size_t>(message.explain().start().file_names_size());
      break;
    default:
      break;
  }
  if (count <= kMaxFiles) return count;
  return absl::InvalidArgumentError(
      absl::StrCat("a message of ", count, " files; at most ", kMaxFiles, " are possible"));
}

absl::StatusOr<std::pair<FileDescriptor, FileDescriptor>> JobLink::MakePair() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    return ErrnoStatus("making a socketpair");
  std::pair<FileDescriptor, FileDescriptor> pair{FileDescriptor(ends[0]), FileDescriptor(ends[1])};
  if (fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0) return ErrnoStatus("making a socket non-blocking");
  return pair;
}

void JobLink::Send(const v1::JobMessage& message, std::vector<FileDescriptor> files) {
  Outgoing& out = outgoing_.emplace_back();
  out.bytes = HeaderOf(message.ByteSizeLong());
  message.AppendToString(&out.bytes);
  out.files = std::move(files);
}

absl::Status JobLink::Flush() {
  while (!outgoing_.empty()) {
    Outgoing& out = outgoing_.front();
    iovec bytes{out.bytes.data() + out.sent, out.bytes.size() - out.sent};
    msghdr header{};
    header.msg_iov = &bytes;
    header.msg_iovlen = 1;
    alignas(cmsghdr) char control[CMSG_SPACE(kMaxFiles * sizeof(int))];
    if (!out.files.empty()) {
      const size_t payload = out.files.size() * sizeof(int);
      header.msg_control = control;
      header.msg_controllen = CMSG_SPACE(payload);
      cmsghdr* rights = CMSG_FIRSTHDR(&header);
      rights->cmsg_level = SOL_SOCKET;
      rights->cmsg_type = SCM_RIGHTS;
      rights->cmsg_len = CMSG_LEN(payload);
      for (size_t i = 0; i < out.files.size(); ++i) {
        const int file = out.files[i].get();
        std::memcpy(CMSG_DATA(rights) + i * sizeof(int), &file, sizeof(int));
      }
    }
    const ssize_t sent = sendmsg(socket_.get(), &header, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return absl::OkStatus();
    if (sent < 0) return ErrnoStatus("sending to the other end of the job link");
    out.files.clear();  // they rode on the first byte
    out.sent += static_cast<size_t>(sent);
    if (out.sent == out.bytes.size()) outgoing_.pop_front();
  }
  return absl::OkStatus();
}

absl::Status JobLink::Receive() {
  const size_t old_size = incoming_.size();
  incoming_.resize(old_size + kReadBytes);
  iovec bytes{incoming_.data() + old_size, kReadBytes};
  alignas(cmsghdr) char control[CMSG_SPACE(kMaxFiles * sizeof(int))];
  msghdr header{};
  header.msg_iov = &bytes;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = end_ == End::kChild ? sizeof(control) : 0;  // 0: the kernel closes what comes
  const ssize_t got = recvmsg(socket_.get(), &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  incoming_.resize(old_size + static_cast<size_t>(std::max<ssize_t>(got, 0)));
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return absl::OkStatus();
  if (got < 0 && errno != ECONNRESET) return ErrnoStatus("receiving from the job link");
  if (got <= 0) return absl::UnavailableError("the other end of the job link is gone");
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int file;
      std::memcpy(&file, CMSG_DATA(part) + i * sizeof(int), sizeof(int));
      arrived_.emplace_back(file);
    }
  }
  if ((header.msg_flags & MSG_CTRUNC) == 0) return absl::OkStatus();
  return end_ == End::kChild ? absl::ResourceExhaustedError("descriptors of the job link were lost")
                             : absl::InvalidArgumentError("descriptors on a link that takes none");
}

absl::StatusOr<std::optional<JobFrame>> JobLink::Next() {
  const size_t available = incoming_.size() - consumed_;
  if (available < kHeaderBytes) return std::nullopt;
  const size_t length = LengthIn(incoming_.data() + consumed_);
  if (length > kMaxFrameBytes)
    return absl::InvalidArgumentError(absl::StrCat("a job message of ", length, " bytes"));
  if (available < kHeaderBytes + length) return std::nullopt;
  JobFrame frame{.bytes = kHeaderBytes + length};
  if (!frame.message.ParseFromArray(incoming_.data() + consumed_ + kHeaderBytes, static_cast<int>(length))) {
    return absl::InvalidArgumentError("a job message that does not parse");
  }
  consumed_ += kHeaderBytes + length;
  if (consumed_ == incoming_.size() || consumed_ > (size_t{1} << 20)) {
    incoming_.erase(0, consumed_);
    consumed_ = 0;
  }
  HONE_ASSIGN_OR_RETURN(const size_t files, CountFiles(frame.message));
  if (arrived_.size() < files) {
    return absl::InvalidArgumentError(
        absl::StrCat("a job message names ", files, " files but brings ", arrived_.size()));
  }
  for (size_t i = 0; i < files; ++i) {
    frame.files.push_back(std::move(arrived_.front()));
    arrived_.pop_front();
  }
  return frame;
}

absl::StatusOr<JobFrame> JobLink::ReadFrame(absl::Time deadline) {
  for (;;) {
    HONE_RETURN_IF_ERROR(Flush());
    HONE_ASSIGN_OR_RETURN(std::optional<JobFrame> frame, Next());
    if (frame) return *std::move(frame);
    const absl::Duration left = deadline - absl::Now();
    if (left <= absl::ZeroDuration()) return absl::DeadlineExceededError("no answer on the job link in time");
    pollfd wait{socket_.get(), static_cast<short>(wants_write() ? POLLIN | POLLOUT : POLLIN), 0};
    const int timeout =
        deadline == absl::InfiniteFuture()
            ? -1
            : static_cast<int>(std::min<int64_t>(absl::ToInt64Milliseconds(left) + 1, 60'000));
    if (poll(&wait, 1, timeout) < 0 && errno != EINTR) return ErrnoStatus("waiting on the job link");
    if ((wait.revents & (POLLIN | POLLHUP | POLLERR)) == 0) continue;
    const absl::Status received = Receive();
    if (received.ok()) continue;
    HONE_ASSIGN_OR_RETURN(std::optional<JobFrame> last, Next());  // what came before the end
    if (last) return *std::move(last);
    return received;
  }
}

}  // namespace hone
