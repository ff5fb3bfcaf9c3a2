#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace hone {

// What a worker asks for a certificate with, in PEM.
struct CertificateRequest {
  std::string private_key;  // stays with who asks
  std::string request;      // PKCS #10: the public key, signed with the private one; names nobody
};

// With a new key, EC P-256.
absl::StatusOr<CertificateRequest> MakeCertificateRequest();

}  // namespace hone
