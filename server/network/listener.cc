#include "server/network/listener.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/execution/log.h"
#include "server/execution/status_macros.h"
#include "server/storage/durable_file.h"

namespace hone {
namespace {

constexpr int kBacklog = 256;            // the longer, the longer callers wait behind a flood
constexpr int kRetryMilliseconds = 100;  // after accept failed for want of something
constexpr size_t kDescriptorsEach = 2;   // a connection's own, and the table's
constexpr size_t kForOthers = 64;        // listeners of the process
constexpr size_t kFewest = 8;
constexpr uint64_t kLoggedPerSecond = 10;

// Descriptors are given out lowest first, so their number tells how many are in use.
size_t HighestDescriptor() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024 - Listener::kReservedDescriptors;
  const rlim_t count = std::min<rlim_t>(limit.rlim_cur, 1 << 20);
  const rlim_t reserved = std::min<rlim_t>(Listener::kReservedDescriptors, count / 2);
  return count - reserved;
}

absl::StatusOr<FileDescriptor> Bind(const std::string& host, const std::string& port,
                                    const std::string& address) {
  addrinfo hints{};
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int code = getaddrinfo(host.c_str(), port.c_str(), &hints, &found);
  if (code != 0)
    return absl::InvalidArgumentError(absl::StrCat("cannot listen on '", address, "': ", gai_strerror(code)));
  FileDescriptor socket(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int on = 1;
  setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  const bool bound = socket.valid() && bind(socket.get(), found->ai_addr, found->ai_addrlen) == 0 &&
                     listen(socket.get(), kBacklog) == 0;
  freeaddrinfo(found);
  if (!bound) return ErrnoStatus("listening on " + address);
  return socket;
}

int PortOf(int socket) {
  sockaddr_storage name{};
  socklen_t size = sizeof(name);
  getsockname(socket, reinterpret_cast<sockaddr*>(&name), &size);
  return ntohs(name.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6*>(&name)->sin6_port
                                          : reinterpret_cast<sockaddr_in*>(&name)->sin_port);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Listener>> Listener::Open(const std::string& address,
                                                         ConnectionLimits limits) {
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos)
    return absl::InvalidArgumentError(absl::StrCat("'", address, "' is not HOST:PORT"));
  const std::string host = address.substr(0, colon);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  limits.count =
      std::min(limits.count, std::max(kFewest, HighestDescriptor() / kDescriptorsEach - kForOthers));
  std::unique_ptr<Listener> listener(new Listener(limits));
  HONE_RETURN_IF_ERROR(listener->connections_.Open());
  HONE_ASSIGN_OR_RETURN(listener->socket_, Bind(bracketed ? host.substr(1, host.size() - 2) : host,
                                                address.substr(colon + 1), address));
  listener->stop_ = FileDescriptor(eventfd(0, EFD_CLOEXEC));
  if (!listener->stop_.valid()) return ErrnoStatus("making an eventfd");
  HONE_ASSIGN_OR_RETURN(listener->spare_, OpenFile("/dev/null", O_RDONLY));
  listener->address_ = absl::StrCat(host, ":", PortOf(listener->socket_.get()));
  return listener;
}

Listener::~Listener() { Stop(); }

void Listener::Start(std::function<void(FileDescriptor)> accept) {
  accept_ = std::move(accept);
  thread_ = std::thread([this] { Loop(); });
}

void Listener::Stop() {
  if (!thread_.joinable()) return;
  eventfd_write(stop_.get(), 1);
  thread_.join();
  hand_over_.Stop();
  socket_.Close();
}

void Listener::Loop() {
  const int highest = static_cast<int>(HighestDescriptor());
  absl::Duration patience = absl::InfiniteDuration();
  bool room = true;  // or whoever comes waits in the backlog, in order
  for (;;) {
    pollfd wait[] = {
        {stop_.get(), POLLIN, 0}, {connections_.descriptor(), POLLIN, 0}, {socket_.get(), POLLIN, 0}};
    const bool ever = patience != absl::InfiniteDuration();
    poll(wait, room ? 3 : 2, ever ? static_cast<int>(absl::ToInt64Milliseconds(patience)) + 1 : -1);
    if ((wait[0].revents & POLLIN) != 0) return;
    for (FileDescriptor& connection : connections_.TakeSpoken()) {
      auto held = std::make_shared<FileDescriptor>(std::move(connection));
      if (!hand_over_.TryRun([this, held] { accept_(std::move(*held)); })) shutdown(held->get(), SHUT_RDWR);
    }
    const absl::Time now = absl::Now();
    patience = connections_.CheckStrangers(now) ? ConnectionTable::kCheckPeriod : absl::InfiniteDuration();
    room = true;
    if ((wait[2].revents & POLLIN) == 0) continue;
    const absl::Duration until_room = connections_.MakeRoom(now);
    room = until_room == absl::ZeroDuration();
    if (room) Accept(highest);
    if (!room) patience = std::min(patience, until_room);
  }
}

void Listener::Accept(int highest) {
  static LogLimit log_limit(kLoggedPerSecond);
  FileDescriptor connection(accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!connection.valid() && errno != EMFILE && errno != ENFILE && errno != ENOMEM && errno != ENOBUFS)
    return;
  const bool accepted = connection.valid();
  absl::Status status = accepted ? absl::OkStatus() : ErrnoStatus("accept");
  if (accepted && connection.get() >= highest)
    status = absl::ResourceExhaustedError("too many open descriptors");
  if (accepted && status.ok()) {
    const int on = 1;
    setsockopt(connection.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    status = connections_.Add(std::move(connection), absl::Now());
  }
  if (status.ok()) return;
  if (log_limit.Admits()) LogEvent("connection_refused", {{"reason", std::string(status.message())}});
  if (accepted) return;
  spare_.Close();
  FileDescriptor(accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC)).Close();
  spare_ = FileDescriptor(open("/dev/null", O_RDONLY | O_CLOEXEC));
  pollfd stop{stop_.get(), POLLIN, 0};
  poll(&stop, 1, kRetryMilliseconds);
}

}  // namespace hone
