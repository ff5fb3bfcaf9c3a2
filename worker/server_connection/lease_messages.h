#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "hone/v1/workers.pb.h"
#include "worker/lease.h"

// Leases and their results between values and messages.
namespace hone {

// InvalidArgument: unknown kind or dtype, no id, tensors of absurd size. Unset numbers get the defaults of
// Lease.
absl::StatusOr<Lease> FromMessage(const v1::Lease& message);
v1::LeaseResult ToMessage(const LeaseResult& result);

}  // namespace hone
