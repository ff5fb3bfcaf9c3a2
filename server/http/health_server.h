#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/values/file_descriptor.h"

namespace hone {

// GET /healthz (the process answers) and /readyz (its work can be stored) over plain HTTP/1.1, for probes on
// this host. One thread, one connection at a time, one request per connection, 2 s and 4 KiB each: a stalled
// or hostile peer costs little. Debian's cpp-httplib would bring open CVEs for less than this does.
class HealthServer {
 public:
  using Check = std::function<absl::Status()>;  // of /readyz; may block briefly

  // `address` is HOST:PORT; InvalidArgument unless the host is the loopback.
  static absl::StatusOr<std::unique_ptr<HealthServer>> Start(const std::string& address, Check ready);
  ~HealthServer();

  const std::string& address() const { return address_; }  // with the real port

 private:
  explicit HealthServer(Check ready) : ready_(std::move(ready)) {}
  void Loop();
  void Answer(int connection);

  const Check ready_;
  std::string address_;
  FileDescriptor socket_;
  FileDescriptor stop_;
  std::thread thread_;
};

// The whole response to a request's head ("GET /healthz HTTP/1.1\r\n...").
std::string HealthResponse(const std::string& head, const HealthServer::Check& ready);

}  // namespace hone
