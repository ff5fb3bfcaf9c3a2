#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "proto/certificates/openssl.h"

namespace hone {

struct CertificatePem {
  std::string certificate;
  std::string private_key;
};

struct CertificateFields {
  std::string common_name;
  absl::Time begin, end;
  std::vector<std::pair<int, std::string>> extensions;  // by NID, in the words of openssl's x509v3_config
};

// Who signs: nobody but the key itself if there is no certificate.
struct Issuer {
  X509* certificate = nullptr;
  EVP_PKEY* key = nullptr;
};

// X.509 version 3 for `key`, with a random serial number.
absl::StatusOr<CertificatePointer> MakeCertificate(const CertificateFields& fields, EVP_PKEY* key,
                                                   Issuer issuer);
// The same with a new key, EC P-256, that signs itself.
absl::StatusOr<CertificatePem> MakeSelfSigned(const CertificateFields& fields);

// The server's own: ten years, valid for localhost, 127.0.0.1, ::1 and `hostname`. Clients pin it.
absl::StatusOr<CertificatePem> MakeServerCertificate(const std::string& hostname);

}  // namespace hone
