#pragma once

#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "grpcpp/channel.h"
#include "server/service/token_table.h"

namespace hone {

// The reading RPCs as JSON: the very services and role checks of the gRPC API, reached within the process, with
// messages in protobuf's JSON (field names as in the .proto files, defaults written). Thread-safe.
class JsonApi {
 public:
  // `channel` leads to the gRPC server of this process; `tokens` outlive this.
  JsonApi(const TokenTable& tokens, std::shared_ptr<grpc::Channel> channel)
      : tokens_(tokens), channel_(std::move(channel)) {}

  // `method` is "JobService/GetJob", `fields` the request's scalar fields, `authorization` "Bearer TOKEN". NotFound
  // for what does not read. Blocks for at most 8 s.
  absl::StatusOr<std::string> Call(const std::string& method, const std::map<std::string, std::string>& fields,
                                   const std::string& authorization) const;

 private:
  const TokenTable& tokens_;
  const std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace hone
