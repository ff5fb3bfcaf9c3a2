#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "server/network/listener.h"

struct MHD_Daemon;

namespace hone {

struct HttpRequest {
  std::string path;                          // "/api/JobService/GetJob"
  std::map<std::string, std::string> query;  // decoded; of a name given twice the last
  std::string authorization;                 // header; "" if there is none
};

struct HttpResponse {
  int status = 200;
  std::string_view content_type = "text/plain; charset=utf-8";  // outlives the server
  std::string body;
};

// {"code","message"} with the HTTP status of the canonical code.
HttpResponse JsonError(const absl::Status& error);

// What answers GET of one path, or, if `path` ends with '/' and is not just that, of all paths below it.
// Called by many threads at once; may block for seconds.
struct HttpRoute {
  std::string path;
  std::function<HttpResponse(const HttpRequest&)> handler;
};

// Read-only HTTP/1.1 on the loopback, parsed by GNU libmicrohttpd: probes, metrics, dashboard. At most 64
// connections, each a thread of its own, closed after 10 s of silence, and sooner when others wait (Listener); heads
// of at most 32 KiB; no request bodies.
// Every answer forbids scripts, frames and requests of other origins.
class HttpServer {
 public:
  // `address` is HOST:PORT; InvalidArgument unless the host is the loopback.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(const std::string& address,
                                                           std::vector<HttpRoute> routes);
  ~HttpServer();  // waits for the answers under way

  const std::string& address() const { return listener_->address(); }  // with the real port
  HttpResponse Answer(const std::string& method, const HttpRequest& request) const;

 private:
  explicit HttpServer(std::vector<HttpRoute> routes) : routes_(std::move(routes)) {}

  const std::vector<HttpRoute> routes_;
  std::unique_ptr<Listener> listener_;
  MHD_Daemon* daemon_ = nullptr;
};

}  // namespace hone
