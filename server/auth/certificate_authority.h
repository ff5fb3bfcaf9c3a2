#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/auth/certificate.h"

namespace hone {

// InvalidArgument unless it is a request (PKCS #10, PEM) of one who has its key, EC P-256.
absl::Status CheckCertificateRequest(const std::string& request);

// The server's authority over its workers' certificates: what it did not sign tells nothing. Its key signs
// nothing else, and certificates are of one kind: a worker's name as the common name, for TLS clients.
// Thread-safe.
class CertificateAuthority {
 public:
  static absl::StatusOr<CertificatePem> Make();
  // `pem`: its certificate and key. `lifetime`: of what it issues.
  static absl::StatusOr<std::unique_ptr<CertificateAuthority>> Load(const std::string& pem,
                                                                    absl::Duration lifetime);
  ~CertificateAuthority();

  // The certificate, PEM. InvalidArgument as CheckCertificateRequest.
  absl::StatusOr<std::string> Issue(const std::string& request, const std::string& subject,
                                    absl::Time begin) const;

  struct Issued {
    std::string subject;
    absl::Time begin, end;
  };
  // What a certificate (PEM) says. Unauthenticated unless this authority issued it; its time may be over.
  absl::StatusOr<Issued> Verify(const std::string& certificate) const;

 private:
  struct Parts;
  explicit CertificateAuthority(std::unique_ptr<const Parts> parts);

  const std::unique_ptr<const Parts> parts_;
};

}  // namespace hone
