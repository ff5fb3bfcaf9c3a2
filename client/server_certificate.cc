#include "client/server_certificate.h"

#include <netdb.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cstring>
#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "client/error.h"
#include "proto/certificates/openssl.h"
#include "proto/values/file_descriptor.h"
#include "proto/values/sha256.h"

namespace hone {
namespace {

constexpr unsigned char kHttp2[] = {2, 'h', '2'};  // as gRPC's servers want to be asked

using ContextPointer = std::unique_ptr<SSL_CTX, OpensslDeleter<SSL_CTX, SSL_CTX_free>>;
using SslPointer = std::unique_ptr<SSL, OpensslDeleter<SSL, SSL_free>>;
using AddressesPointer = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

absl::Status NoAnswer(const std::string& address, absl::string_view why) {
  return WithRemedy(absl::UnavailableError(absl::StrCat("no server answers at ", address, " (", why, ")")),
                    "check host and port: endpoint.json in the server's data folder has them");
}

// A connected socket whose reads and writes take at most `timeout` each.
absl::StatusOr<FileDescriptor> Connect(const std::string& address, absl::Duration timeout) {
  const size_t colon = address.rfind(':');
  absl::string_view host = absl::string_view(address).substr(0, colon);
  if (absl::ConsumePrefix(&host, "[")) absl::ConsumeSuffix(&host, "]");
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  const int error = getaddrinfo(std::string(host).c_str(), address.substr(colon + 1).c_str(), &hints, &list);
  if (error != 0) return NoAnswer(address, gai_strerror(error));
  const AddressesPointer addresses(list, freeaddrinfo);
  const timeval limit = absl::ToTimeval(timeout);
  int reason = 0;
  for (const addrinfo* each = list; each != nullptr; each = each->ai_next) {
    FileDescriptor socket(::socket(each->ai_family, each->ai_socktype | SOCK_CLOEXEC, each->ai_protocol));
    if (!socket.valid()) return ErrnoStatus("making a socket");
    setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));  // connect() obeys it too
    setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    if (connect(socket.get(), each->ai_addr, each->ai_addrlen) == 0) return socket;
    reason = errno == EINPROGRESS ? ETIMEDOUT : errno;
  }
  return NoAnswer(address, strerror(reason));
}

}  // namespace

absl::StatusOr<std::string> FetchServerCertificate(const std::string& address, absl::Duration timeout) {
  auto socket = Connect(address, timeout);
  if (!socket.ok()) return socket.status();
  const ContextPointer context(SSL_CTX_new(TLS_client_method()));
  const SslPointer ssl(context == nullptr ? nullptr : SSL_new(context.get()));
  if (ssl == nullptr) return absl::ResourceExhaustedError("no memory for a TLS connection");
  SSL_set_verify(ssl.get(), SSL_VERIFY_NONE, nullptr);  // whom to trust is asked afterwards
  SSL_set_alpn_protos(ssl.get(), kHttp2, sizeof(kHttp2));
  SSL_set_fd(ssl.get(), socket->get());
  if (SSL_connect(ssl.get()) != 1) return NoAnswer(address, "what is there does not speak TLS");
  const CertificatePointer certificate(SSL_get1_peer_certificate(ssl.get()));
  if (certificate == nullptr) return NoAnswer(address, "it shows no certificate");
  return PemOf(certificate.get());
}

std::optional<std::string> ParseFingerprint(absl::string_view text) {
  std::string digits = absl::AsciiStrToLower(text);
  absl::string_view rest = digits;
  absl::ConsumePrefix(&rest, "sha256:");
  digits = absl::StrReplaceAll(rest, {{":", ""}});
  if (!IsSha256Hex(digits)) return std::nullopt;
  return absl::StrCat("sha256:", digits);
}

}  // namespace hone
