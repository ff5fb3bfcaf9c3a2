#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "proto/values/sha256.h"
#include "server/service/token_table.h"
#include "server/service/unary_call.h"
#include "server/storage/rows.h"

namespace hone {

// The idempotency key of a mutation: who, what, its request_id, and a digest of the rest. InvalidArgument:
// too long an id.
template <typename Request>
absl::StatusOr<RequestKey> KeyOf(const Principal& principal, const char* method, const Request& request) {
  if (request.request_id().size() > kMaxRequestId)
    return absl::InvalidArgumentError("request_id has more than 128 bytes");
  Request rest = request;
  rest.clear_request_id();
  return RequestKey{principal.Id(), method, request.request_id(), Sha256Hex(rest.SerializeAsString())};
}

}  // namespace hone
