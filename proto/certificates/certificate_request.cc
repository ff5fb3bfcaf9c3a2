#include "proto/certificates/certificate_request.h"

#include <openssl/ec.h>

#include "proto/certificates/openssl.h"

namespace hone {

absl::StatusOr<CertificateRequest> MakeCertificateRequest() {
  const KeyPointer key(EVP_EC_gen("P-256"));
  const RequestPointer request(X509_REQ_new());
  if (key == nullptr || request == nullptr || X509_REQ_set_version(request.get(), X509_REQ_VERSION_1) != 1 ||
      X509_REQ_set_pubkey(request.get(), key.get()) != 1 ||
      X509_REQ_sign(request.get(), key.get(), EVP_sha256()) == 0) {
    return OpensslError("making a key and a request for a certificate");
  }
  CertificateRequest made{PemOf(key.get()), PemOf(request.get())};
  if (made.private_key.empty() || made.request.empty()) return OpensslError("writing a key");
  return made;
}

}  // namespace hone
