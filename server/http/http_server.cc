#include "server/http/http_server.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "server/execution/status_macros.h"
#include "server/storage/durable_file.h"

namespace hone {
namespace {

constexpr unsigned kMaxConnections = 64;
// The listener limits them: MHD 0.9.75 keeps a lock for ever when it refuses a connection that it was handed.
constexpr unsigned kNoLimit = 1 << 20;
// A request comes in one piece, and MHD bounds what it takes of one.
constexpr ConnectionLimits kLimits = {
    .count = kMaxConnections, .grace = absl::Milliseconds(50), .stranger_bytes = UINT64_MAX};
constexpr unsigned kPatienceSeconds = 10;
constexpr size_t kConnectionBytes = 32 << 10;
constexpr size_t kStackBytes = 1 << 20;

constexpr std::pair<const char*, const char*> kHeaders[] = {
    {"Cache-Control", "no-store"},
    {"Content-Security-Policy",
     "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
     "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
     "trusted-types 'none'"},
    {"Cross-Origin-Opener-Policy", "same-origin"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {"Referrer-Policy", "no-referrer"},
    {"X-Content-Type-Options", "nosniff"},
};

int HttpStatus(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
      return 400;
    case absl::StatusCode::kUnauthenticated:
      return 401;
    case absl::StatusCode::kPermissionDenied:
      return 403;
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kUnimplemented:
      return 404;
    case absl::StatusCode::kResourceExhausted:
      return 429;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kCancelled:
      return 503;
    case absl::StatusCode::kDeadlineExceeded:
      return 504;
    default:
      return 500;
  }
}

MHD_Result AddToQuery(void* query, MHD_ValueKind, const char* key, const char* value) {
  (*static_cast<std::map<std::string, std::string>*>(query))[key] = value == nullptr ? "" : value;
  return MHD_YES;
}

MHD_Result Send(MHD_Connection* connection, const HttpResponse& answer) {
  MHD_Response* response = MHD_create_response_from_buffer(
      answer.body.size(), const_cast<char*>(answer.body.data()), MHD_RESPMEM_MUST_COPY);
  if (response == nullptr) return MHD_NO;
  MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, std::string(answer.content_type).c_str());
  for (const auto& [name, value] : kHeaders) MHD_add_response_header(response, name, value);
  if (answer.status == 401) MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
  if (answer.status == 405) MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET");
  const MHD_Result queued = MHD_queue_response(connection, static_cast<unsigned>(answer.status), response);
  MHD_destroy_response(response);
  return queued;
}

// Called with the head of a request; an answer now refuses whatever body would follow.
MHD_Result Handle(void* server, MHD_Connection* connection, const char* url, const char* method, const char*,
                  const char*, size_t*, void**) {
  HttpRequest request{.path = url};
  MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, AddToQuery, &request.query);
  const char* authorization = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Authorization");
  if (authorization != nullptr) request.authorization = authorization;
  return Send(connection, static_cast<const HttpServer*>(server)->Answer(method, request));
}

absl::Status CheckLoopback(const std::string& address) {
  const std::string host = address.substr(0, address.rfind(':'));
  in_addr name{};
  const bool loopback = host == "localhost" || (inet_pton(AF_INET, host.c_str(), &name) == 1 &&
                                                (ntohl(name.s_addr) >> 24) == 127);
  if (loopback) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("'", address, "': HTTP is served on 127.0.0.1:PORT only"));
}

}  // namespace

HttpResponse JsonError(const absl::Status& error) {
  const nlohmann::json body = {{"code", absl::StatusCodeToString(error.code())},
                               {"message", std::string(error.message())}};
  return {HttpStatus(error.code()), "application/json",
          body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)};
}

HttpResponse HttpServer::Answer(const std::string& method, const HttpRequest& request) const {
  if (method != "GET") return {.status = 405, .body = "only GET\n"};
  for (const HttpRoute& route : routes_) {
    const bool folder = route.path.size() > 1 && route.path.back() == '/';
    if (folder ? absl::StartsWith(request.path, route.path) : request.path == route.path)
      return route.handler(request);
  }
  return {.status = 404, .body = "nothing here\n"};
}

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(const std::string& address,
                                                              std::vector<HttpRoute> routes) {
  HONE_RETURN_IF_ERROR(CheckLoopback(address));
  std::unique_ptr<HttpServer> server(new HttpServer(std::move(routes)));
  HONE_ASSIGN_OR_RETURN(server->listener_, Listener::Open(address, kLimits));
  server->daemon_ = MHD_start_daemon(
      MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL | MHD_USE_ITC |
          MHD_USE_NO_LISTEN_SOCKET,
      0, nullptr, nullptr, Handle, server.get(), MHD_OPTION_CONNECTION_LIMIT, kNoLimit,
      MHD_OPTION_CONNECTION_TIMEOUT, kPatienceSeconds, MHD_OPTION_CONNECTION_MEMORY_LIMIT, kConnectionBytes,
      MHD_OPTION_THREAD_STACK_SIZE, kStackBytes, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
  if (server->daemon_ == nullptr) return ErrnoStatus("starting HTTP");
  server->listener_->Start([daemon = server->daemon_](FileDescriptor connection) {
    sockaddr_storage peer{};
    socklen_t size = sizeof(peer);
    getpeername(connection.get(), reinterpret_cast<sockaddr*>(&peer), &size);
    MHD_add_connection(daemon, connection.Release(), reinterpret_cast<sockaddr*>(&peer), size);  // closes it
  });
  return server;
}

HttpServer::~HttpServer() {
  if (listener_ != nullptr) listener_->Stop();
  if (daemon_ != nullptr) MHD_stop_daemon(daemon_);
}

}  // namespace hone
