#include "client/pinned_channel.h"

#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/error.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"

namespace hone {
namespace {

constexpr int kMaxMessageBytes = 64 << 20;

template <typename T, void (*Free)(T*)>
struct Deleter {
  void operator()(T* value) const { Free(value); }
};
using X509Pointer = std::unique_ptr<X509, Deleter<X509, X509_free>>;
using NamesPointer = std::unique_ptr<GENERAL_NAMES, Deleter<GENERAL_NAMES, GENERAL_NAMES_free>>;

// The first DNS name of the certificate, else its common name.
absl::StatusOr<std::string> CertificateName(const std::string& pem) {
  std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())),
                                                BIO_free);
  X509Pointer certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  if (certificate == nullptr)
    return absl::InvalidArgumentError("the pinned certificate is not a PEM certificate");
  NamesPointer names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate.get(), NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; names != nullptr && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_DNS) continue;
    const ASN1_IA5STRING* text = name->d.dNSName;
    return std::string(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)), ASN1_STRING_length(text));
  }
  char common_name[256] = {};
  X509_NAME_get_text_by_NID(X509_get_subject_name(certificate.get()), NID_commonName, common_name,
                            sizeof(common_name));
  return std::string(common_name);
}

class BearerToken : public grpc::MetadataCredentialsPlugin {
 public:
  explicit BearerToken(const std::string& token) : header_(absl::StrCat("Bearer ", token)) {}

  grpc::Status GetMetadata(grpc::string_ref, grpc::string_ref, const grpc::AuthContext&,
                           std::multimap<grpc::string, grpc::string>* metadata) override {
    metadata->emplace("authorization", header_);
    return grpc::Status::OK;
  }

 private:
  std::string header_;
};

bool IsToken(const std::string& token) {
  for (unsigned char c : token) {
    if (c <= ' ' || c >= 127) return false;
  }
  return !token.empty();
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::Channel>> MakePinnedChannel(const Endpoint& endpoint) {
  if (endpoint.token.empty()) {
    return WithRemedy(absl::UnauthenticatedError("no token for " + endpoint.address),
                      absl::StrCat("hone login ", endpoint.address,
                                   " saves one; or set HONE_TOKEN, or give --token-file; the server's owner "
                                   "finds it in its data folder, admin.token"));
  }
  if (!IsToken(endpoint.token)) {
    return WithRemedy(absl::InvalidArgumentError("the token holds blanks or control characters"),
                      "copy it again: one line of visible characters");
  }
  auto name = CertificateName(endpoint.ca_pem);
  if (!name.ok()) {
    return WithRemedy(name.status(), "set HONE_CA or --ca to a copy of the server's tls/cert.pem");
  }
  grpc::SslCredentialsOptions ssl;
  ssl.pem_root_certs = endpoint.ca_pem;
  auto credentials = grpc::CompositeChannelCredentials(
      grpc::SslCredentials(ssl),
      grpc::MetadataCredentialsFromPlugin(std::make_unique<BearerToken>(endpoint.token)));
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5000);  // time for a connection, its handshake included
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2000);
  if (!name->empty()) arguments.SetSslTargetNameOverride(*name);
  return grpc::CreateCustomChannel(endpoint.address, credentials, arguments);
}

absl::Status FromGrpc(const grpc::Status& status, const std::string& address) {
  if (status.ok()) return absl::OkStatus();
  const std::string& message = status.error_message();
  absl::Status result(static_cast<absl::StatusCode>(status.error_code()), message);
  switch (status.error_code()) {
    case grpc::StatusCode::UNAVAILABLE:
      // Not every handshake that fails: one may be cut off, or take too long.
      if (absl::StrContains(message, "SSL_ERROR_SSL") || absl::StrContains(message, "peer certificate")) {
        return WithRemedy(absl::UnavailableError(absl::StrCat(
                              "the server at ", address,
                              " does not prove to be the one whose certificate is pinned (", message, ")")),
                          "if that server was set up anew: hone login again; else set HONE_CA or --ca to a "
                          "copy of its tls/cert.pem");
      }
      return WithRemedy(
          absl::UnavailableError(absl::StrCat("no server answers at ", address, " (", message, ")")),
          "check the address, or start one here with 'hone up'");
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return WithRemedy(
          absl::DeadlineExceededError(absl::StrCat("the server at ", address, " did not answer in time")),
          "try again; look at its log and at its /healthz");
    case grpc::StatusCode::UNAUTHENTICATED:
      return WithRemedy(std::move(result),
                        absl::StrCat("get a token that this server knows, then: hone login ", address,
                                     "; or set HONE_TOKEN, or give --token-file"));
    case grpc::StatusCode::PERMISSION_DENIED:
      return WithRemedy(std::move(result),
                        "this token's role does not allow the call; use the admin or a user token");
    case grpc::StatusCode::UNIMPLEMENTED:
      return WithRemedy(std::move(result),
                        "client and server are of different versions: compare with 'hone version'");
    default:
      return result;
  }
}

}  // namespace hone
