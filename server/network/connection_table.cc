#include "server/network/connection_table.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "server/execution/status_macros.h"
#include "server/storage/durable_file.h"

namespace hone {
namespace {

constexpr int kEventsAtOnce = 64;
constexpr absl::Duration kPaceSlack = absl::Milliseconds(5);              // what a late timer is forgiven
constexpr int kTlsHeader = 5, kTlsHandshake = 22, kTlsLongest = 1 << 14;  // RFC 8446, 5.1
constexpr int kEstablished = 1;  // TCP_ESTABLISHED of netinet/tcp.h, which linux/tcp.h excludes

// "ipv4:127.0.0.1:5000", "ipv6:[::1]:5000"; addresses of IPv4 inside IPv6 are IPv4.
std::string PeerOf(int socket) {
  sockaddr_in6 name{};
  socklen_t size = sizeof(name);
  if (getpeername(socket, reinterpret_cast<sockaddr*>(&name), &size) != 0) return "";
  const void* v4 = nullptr;
  if (name.sin6_family == AF_INET) v4 = &reinterpret_cast<const sockaddr_in&>(name).sin_addr;
  if (name.sin6_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&name.sin6_addr)) v4 = &name.sin6_addr.s6_addr[12];
  char text[INET6_ADDRSTRLEN] = "";
  if (v4 == nullptr) {
    inet_ntop(AF_INET6, &name.sin6_addr, text, sizeof(text));
    return absl::StrCat("ipv6:[", text, "]:", ntohs(name.sin6_port));
  }
  inet_ntop(AF_INET, v4, text, sizeof(text));
  return absl::StrCat("ipv4:", text, ":", ntohs(name.sin6_port));  // the port is in the same place
}

std::optional<tcp_info> InfoOf(int socket) {
  tcp_info info{};
  socklen_t size = sizeof(info);
  if (getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return std::nullopt;
  return info;
}

// Until so much is there the kernel says nothing of it.
void WakeAt(int socket, int bytes) { setsockopt(socket, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof(bytes)); }

// How long the TLS record is that a connection begins with, as far as that is known; 0 if it is none.
int FirstRecordBytes(int socket) {
  uint8_t header[kTlsHeader];
  const ssize_t got = recv(socket, header, sizeof(header), MSG_PEEK | MSG_DONTWAIT);
  if (got == 0 || (got > 0 && header[0] != kTlsHandshake)) return 0;
  if (got < kTlsHeader) return kTlsHeader;
  const int content = header[3] << 8 | header[4];
  return content <= kTlsLongest ? kTlsHeader + content : 0;
}

}  // namespace

absl::Status ConnectionTable::Open() {
  events_ = FileDescriptor(epoll_create1(EPOLL_CLOEXEC));
  return events_.valid() ? absl::OkStatus() : ErrnoStatus("making an epoll instance");
}

absl::Duration ConnectionTable::MakeRoom(absl::Time now) {
  std::lock_guard lock(mutex_);
  if (entries_.size() < limits_.count) return absl::ZeroDuration();
  if (now < next_room_) return next_room_ - now;
  absl::Duration least = absl::InfiniteDuration();
  for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
    if (entry->second.trusted) continue;
    const absl::Duration grace = GraceOf(entry->second), left = entry->second.since + grace - now;
    if (left > absl::ZeroDuration()) {
      least = std::min(least, left);
      continue;
    }
    next_room_ = std::max(next_room_, now - kPaceSlack) + grace / limits_.count;
    End(entry);
    return absl::ZeroDuration();
  }
  return least;
}

absl::Duration ConnectionTable::GraceOf(const Entry& entry) const {
  if (!entry.handed_over) return std::min(kSilentGrace, limits_.grace);
  const std::optional<tcp_info> info = InfoOf(entry.socket.get());
  return info && info->tcpi_state != kEstablished ? absl::ZeroDuration() : limits_.grace;
}

bool ConnectionTable::CheckStrangers(absl::Time now) {
  std::lock_guard lock(mutex_);
  if (now < checked_ + kCheckPeriod) return strangers_;
  checked_ = now;
  strangers_ = false;
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    const auto current = entry++;
    if (!current->second.handed_over || current->second.trusted) continue;
    strangers_ = true;
    const std::optional<tcp_info> info = InfoOf(current->second.socket.get());
    if (info && info->tcpi_bytes_received > limits_.stranger_bytes) End(current);
  }
  return strangers_;
}

absl::Status ConnectionTable::Add(FileDescriptor connection, absl::Time now) {
  std::lock_guard lock(mutex_);
  epoll_event event{};
  event.events = EPOLLIN | EPOLLRDHUP;
  event.data.u64 = next_;
  if (epoll_ctl(events_.get(), EPOLL_CTL_ADD, connection.get(), &event) != 0)
    return ErrnoStatus("watching a connection");
  if (limits_.tls) WakeAt(connection.get(), kTlsHeader);
  std::string peer = PeerOf(connection.get());
  by_peer_[peer] = next_;
  entries_.emplace(next_++, Entry{std::move(connection), std::move(peer), now});
  return absl::OkStatus();
}

ConnectionTable::Word ConnectionTable::WordOf(int socket, bool left) const {
  int here = 0;
  if (ioctl(socket, FIONREAD, &here) != 0 || (left && here == 0)) return Word::kNone;
  if (!limits_.tls) return Word::kWhole;
  const int wanted = FirstRecordBytes(socket);
  if (wanted == 0 || (left && here < wanted)) return Word::kNone;
  WakeAt(socket, here < wanted ? wanted : 1);
  return here < wanted ? Word::kPart : Word::kWhole;
}

std::vector<FileDescriptor> ConnectionTable::TakeSpoken() {
  std::vector<FileDescriptor> spoken;
  std::lock_guard lock(mutex_);
  epoll_event events[kEventsAtOnce];
  const int count = epoll_wait(events_.get(), events, kEventsAtOnce, 0);
  for (int i = 0; i < count; ++i) {
    const auto entry = entries_.find(events[i].data.u64);
    const bool left = (events[i].events & EPOLLRDHUP) != 0;
    FileDescriptor duplicate;
    if ((events[i].events & (EPOLLHUP | EPOLLERR)) == 0) {
      switch (WordOf(entry->second.socket.get(), left)) {
        case Word::kPart:
          continue;
        case Word::kWhole:
          duplicate = FileDescriptor(fcntl(entry->second.socket.get(), F_DUPFD_CLOEXEC, 0));
          break;
        case Word::kNone:
          break;
      }
    }
    if (!duplicate.valid()) {
      End(entry);
      continue;
    }
    epoll_event none{};  // the end of both directions is told all the same
    none.data.u64 = entry->first;
    epoll_ctl(events_.get(), EPOLL_CTL_MOD, entry->second.socket.get(), &none);
    entry->second.handed_over = strangers_ = true;
    spoken.push_back(std::move(duplicate));
  }
  return spoken;
}

void ConnectionTable::Trust(const std::string& peer) {
  const std::string plain = absl::StrReplaceAll(peer, {{"%5B", "["}, {"%5D", "]"}});
  std::lock_guard lock(mutex_);
  const auto number = by_peer_.find(plain);
  if (number != by_peer_.end()) entries_.at(number->second).trusted = true;
}

void ConnectionTable::End(Entries::iterator entry) {
  shutdown(entry->second.socket.get(), SHUT_RDWR);
  Forget(entry);
}

void ConnectionTable::Forget(Entries::iterator entry) {
  const auto number = by_peer_.find(entry->second.peer);
  if (number != by_peer_.end() && number->second == entry->first) by_peer_.erase(number);
  // Another descriptor of the socket is open elsewhere: closing ours would leave it in the set.
  epoll_ctl(events_.get(), EPOLL_CTL_DEL, entry->second.socket.get(), nullptr);
  entries_.erase(entry);
}

}  // namespace hone
