#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace hone {

struct CertificatePem {
  std::string certificate;
  std::string private_key;
};

// A self-signed server certificate: EC P-256, ten years, valid for localhost, 127.0.0.1, ::1 and `hostname`.
// Clients pin it.
absl::StatusOr<CertificatePem> MakeSelfSignedCertificate(const std::string& hostname);

}  // namespace hone
