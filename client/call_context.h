#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/hone_client.h"
#include "grpcpp/client_context.h"
#include "grpcpp/support/status.h"

namespace hone {

// Of one call: its deadline, and the id under which the server's log has it.
class CallContext : public grpc::ClientContext {
 public:
  explicit CallContext(absl::Duration timeout, const std::string& request_id = NewRequestId());

  // What the call ended with, for people; with its id if the server has seen it. `address`: the server's.
  absl::Status Finish(const grpc::Status& status, const std::string& address) const;
};

// The id under which the server's log has the call that failed; empty if there is none.
absl::Status WithRequestId(absl::Status status, const std::string& id);
std::string RequestIdOf(const absl::Status& status);

}  // namespace hone
