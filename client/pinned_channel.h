#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/hone_client.h"
#include "grpcpp/channel.h"
#include "grpcpp/support/status.h"

namespace hone {

// A TLS channel that trusts exactly the endpoint's certificate and sends its token with every call. The
// expected host name is read from the pinned certificate itself, so the server may be reached under any name
// or address.
absl::StatusOr<std::shared_ptr<grpc::Channel>> MakePinnedChannel(const Endpoint& endpoint);

// A gRPC status as ours, with the cause of a failed connection spelt out and the remedy that goes with the
// code.
absl::Status FromGrpc(const grpc::Status& status, const std::string& address);

}  // namespace hone
