#pragma once

#include "absl/status/status.h"
#include "grpcpp/support/status.h"
#include "proto/values/readable_text.h"

namespace hone {

// The two have the same codes. A message longer than gRPC can carry would be lost, and the code with it.
inline grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()),
                      ReadableText(std::string(status.message()), kMaxErrorBytes));
}

}  // namespace hone
