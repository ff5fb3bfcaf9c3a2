#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/certificates/certificate_request.h"
#include "worker/server_connection/server_connection.h"

namespace hone {

// This worker's identity in its data directory. Each file is its owner's alone and replaced as a whole, so
// that a kill at any moment leaves what can be gone on with:
//   identity.pem   private key and certificate
//   enrolment.pem  private key and request of an enrolment that was not answered yet
class IdentityStore {
 public:
  explicit IdentityStore(const std::string& data_dir);

  // NotFound if there is none; DataLoss if it is damaged.
  absl::StatusOr<Identity> Load() const;
  absl::Status Store(const Identity& identity) const;  // durable when it returns; ends the enrolment
  void Forget() const;                                 // also an enrolment under way

  // The request of the enrolment under way: the same until Store, so that the server knows it again.
  absl::StatusOr<CertificateRequest> ProvideEnrolment() const;
  // The token that this worker had when workers had tokens, good for enrolling as the worker that it was;
  // empty: none.
  std::string FormerToken() const;

 private:
  const std::string identity_, enrolment_, former_;  // paths
};

}  // namespace hone
