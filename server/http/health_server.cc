#include "server/http/health_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <cerrno>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "server/execution/status_macros.h"
#include "server/storage/durable_file.h"

namespace hone {
namespace {

constexpr size_t kMaxHeadBytes = 4096;
constexpr absl::Duration kPatience = absl::Seconds(2);

std::string Response(const char* status, const std::string& body) {
  return absl::StrCat(
      "HTTP/1.1 ", status, "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ", body.size(),
      "\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n", body);
}

bool WaitFor(int connection, short events, absl::Time deadline) {
  pollfd wait{connection, events, 0};
  const int64_t left = absl::ToInt64Milliseconds(deadline - absl::Now());
  return left > 0 && poll(&wait, 1, static_cast<int>(left)) == 1;
}

}  // namespace

std::string HealthResponse(const std::string& head, const HealthServer::Check& ready) {
  const std::vector<std::string> words = absl::StrSplit(head.substr(0, head.find("\r\n")), ' ');
  if (words.size() != 3 || words[2].rfind("HTTP/1.", 0) != 0)
    return Response("400 Bad Request", "this is no HTTP/1 request\n");
  if (words[0] != "GET") return Response("405 Method Not Allowed", "only GET\n");
  if (words[1] == "/healthz") return Response("200 OK", "ok\n");
  if (words[1] != "/readyz") return Response("404 Not Found", "there are /healthz and /readyz\n");
  const absl::Status status = ready();
  if (status.ok()) return Response("200 OK", "ok\n");
  return Response("503 Service Unavailable", absl::StrCat(std::string(status.message()), "\n"));
}

absl::StatusOr<std::unique_ptr<HealthServer>> HealthServer::Start(const std::string& address, Check ready) {
  const size_t colon = address.rfind(':');
  const std::string host = address.substr(0, colon);
  int port = 0;
  sockaddr_in name{};
  name.sin_family = AF_INET;
  const bool valid =
      colon != std::string::npos && absl::SimpleAtoi(address.substr(colon + 1), &port) && port >= 0 &&
      port < 65536 &&
      inet_pton(AF_INET, host == "localhost" ? "127.0.0.1" : host.c_str(), &name.sin_addr) == 1 &&
      (ntohl(name.sin_addr.s_addr) >> 24) == 127;
  if (!valid)
    return absl::InvalidArgumentError(absl::StrCat("'", address, "': HTTP is served on 127.0.0.1:PORT only"));
  name.sin_port = htons(static_cast<uint16_t>(port));
  std::unique_ptr<HealthServer> server(new HealthServer(std::move(ready)));
  server->socket_ = FileDescriptor(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  server->stop_ = FileDescriptor(eventfd(0, EFD_CLOEXEC));
  const int on = 1;
  setsockopt(server->socket_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (bind(server->socket_.get(), reinterpret_cast<sockaddr*>(&name), sizeof(name)) != 0 ||
      listen(server->socket_.get(), 64) != 0) {
    return ErrnoStatus("listening on " + address);
  }
  socklen_t size = sizeof(name);
  getsockname(server->socket_.get(), reinterpret_cast<sockaddr*>(&name), &size);
  server->address_ = absl::StrCat(host, ":", ntohs(name.sin_port));
  server->thread_ = std::thread([raw = server.get()] { raw->Loop(); });
  return server;
}

HealthServer::~HealthServer() {
  if (!thread_.joinable()) return;
  eventfd_write(stop_.get(), 1);
  thread_.join();
}

void HealthServer::Loop() {
  for (;;) {
    pollfd wait[] = {{socket_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
    poll(wait, 2, -1);
    if ((wait[1].revents & POLLIN) != 0) return;
    FileDescriptor connection(accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (connection.valid()) {
      Answer(connection.get());
    } else if (errno == EMFILE || errno == ENFILE) {
      poll(&wait[1], 1, 100);  // until descriptors come back
    }
  }
}

void HealthServer::Answer(int connection) {
  const absl::Time deadline = absl::Now() + kPatience;
  std::string head;
  while (head.find("\r\n\r\n") == std::string::npos) {
    char buffer[kMaxHeadBytes];
    if (head.size() >= kMaxHeadBytes || !WaitFor(connection, POLLIN, deadline)) return;
    const ssize_t got = recv(connection, buffer, kMaxHeadBytes - head.size(), 0);
    if (got <= 0) return;
    head.append(buffer, static_cast<size_t>(got));
  }
  std::string response = HealthResponse(head, ready_);
  while (!response.empty() && WaitFor(connection, POLLOUT, deadline)) {
    const ssize_t sent = send(connection, response.data(), response.size(), MSG_NOSIGNAL);
    if (sent < 0) return;
    response.erase(0, static_cast<size_t>(sent));
  }
}

}  // namespace hone
