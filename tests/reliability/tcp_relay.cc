#include "tests/reliability/tcp_relay.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdlib>

namespace hone {
namespace {

constexpr int kLookMilliseconds = 20;  // whether to stop
constexpr size_t kPiece = 64 << 10;

sockaddr_in Loopback(int port) {
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_port = htons(static_cast<uint16_t>(port));
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return name;
}

void SendAtOnce(const FileDescriptor& socket) {
  const int on = 1;
  setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

}  // namespace

TcpRelay::TcpRelay(const std::string& address, uint64_t cut_every)
    : cut_every_(cut_every),
      server_port_(std::atoi(address.substr(address.rfind(':') + 1).c_str())),
      listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in name = Loopback(0);
  socklen_t size = sizeof(name);
  if (bind(listener_.get(), reinterpret_cast<sockaddr*>(&name), size) != 0 ||
      listen(listener_.get(), 256) != 0) {
    std::abort();
  }
  getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&name), &size);
  port_ = ntohs(name.sin_port);
  thread_ = std::thread([this] { Loop(); });
}

TcpRelay::~TcpRelay() {
  stopping_ = true;
  thread_.join();
}

std::string TcpRelay::address() const { return "127.0.0.1:" + std::to_string(port_); }

bool TcpRelay::Silence(std::mt19937& random) {
  std::lock_guard lock(mutex_);
  std::vector<Connection*> speaking;
  for (Connection& connection : connections_) {
    if (!connection.silent) speaking.push_back(&connection);
  }
  if (speaking.empty()) return false;
  return speaking[random() % speaking.size()]->silent = true;
}

void TcpRelay::Accept() {
  Connection connection;
  connection.ends[0] = FileDescriptor(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  connection.ends[1] = FileDescriptor(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in server = Loopback(server_port_);
  if (connect(connection.ends[1].get(), reinterpret_cast<const sockaddr*>(&server), sizeof(server)) != 0)
    return;
  for (const FileDescriptor& end : connection.ends) SendAtOnce(end);
  std::lock_guard lock(mutex_);
  connections_.push_back(std::move(connection));
}

bool TcpRelay::Carry(Connection& connection, int from) {
  char piece[kPiece];
  const ssize_t read = recv(connection.ends[from].get(), piece, sizeof(piece), MSG_DONTWAIT);
  if (read < 0) return errno == EAGAIN || errno == EINTR;
  for (ssize_t sent = 0; sent < read;) {
    const ssize_t now =
        send(connection.ends[1 - from].get(), piece + sent, static_cast<size_t>(read - sent), MSG_NOSIGNAL);
    if (now <= 0) return false;
    sent += now;
  }
  if (from == 0) connection.carried += static_cast<uint64_t>(read), carried_ += static_cast<uint64_t>(read);
  if (connection.carried < cut_every_) return read > 0;
  ++cuts_;
  return false;
}

void TcpRelay::Loop() {
  while (!stopping_) {
    std::vector<pollfd> wait = {{listener_.get(), POLLIN, 0}};
    {
      std::lock_guard lock(mutex_);
      for (const Connection& connection : connections_) {
        for (const FileDescriptor& end : connection.ends)
          wait.push_back({connection.silent ? -1 : end.get(), POLLIN, 0});
      }
    }
    poll(wait.data(), wait.size(), kLookMilliseconds);
    {
      std::lock_guard lock(mutex_);
      std::vector<bool> closed(connections_.size());
      for (size_t i = 0; i < connections_.size(); ++i) {
        for (int end = 0; end < 2 && !connections_[i].silent && !closed[i]; ++end) {
          if (wait[1 + 2 * i + end].revents != 0) closed[i] = !Carry(connections_[i], end);
        }
      }
      size_t at = 0;
      std::erase_if(connections_, [&](const Connection&) { return closed[at++]; });
    }
    if (wait[0].revents != 0) Accept();
  }
}

}  // namespace hone
