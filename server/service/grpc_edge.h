#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "grpcpp/channel.h"
#include "server/auth/certificate.h"
#include "server/service/service_context.h"

namespace hone {

// The gRPC server: API v1 over TLS on one address, every call authorised by its token or its worker's
// certificate before a service sees it.
class GrpcEdge {
 public:
  static absl::StatusOr<std::unique_ptr<GrpcEdge>> Start(ServiceContext& context, const std::string& address,
                                                         const CertificatePem& certificate);
  ~GrpcEdge();

  const std::string& address() const;  // with the real port
  // Reaches the services without TLS and without the token check: callers authorise first (JsonApi).
  std::shared_ptr<grpc::Channel> InProcessChannel() const;
  // From now on new calls are refused (UNAVAILABLE). Returns when those under way have ended, or at `deadline`: the
  // destructor cancels the others. Long polls end when the hub is stopped.
  void Drain(absl::Time deadline);

 private:
  struct Parts;
  explicit GrpcEdge(std::unique_ptr<Parts> parts);

  std::unique_ptr<Parts> parts_;
};

}  // namespace hone
