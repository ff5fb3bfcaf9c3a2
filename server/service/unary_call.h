#pragma once

#include <functional>
#include <string>
#include <utility>

#include "grpcpp/security/auth_context.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/server_callback.h"
#include "proto/values/request_id.h"
#include "server/execution/executor.h"
#include "server/execution/log.h"
#include "server/service/grpc_status.h"
#include "server/service/token_table.h"

namespace hone {

// The certificate, PEM, that the other end of the connection showed; "" if it showed none.
std::string CertificateOf(const grpc::AuthContext* peer);
Credentials CredentialsOf(const grpc::CallbackServerContext& context);

inline constexpr size_t kMaxRequestId = 128;
// What the log calls "request": the caller's x-request-id (metadata), or a new id. The trailing metadata
// tells it to the caller. Once per call, before its first step; the steps run under LogScope("request", id).
std::string BeginRequest(grpc::CallbackServerContext& context);

// Runs `handler` (an absl::Status of const Principal&) on the executor and finishes the call with what it
// returns. Reactors themselves never block. Authorisation has already let the call in; here the principal is
// looked up.
template <typename Handler>
grpc::ServerUnaryReactor* RunUnary(Executor& executor, const TokenTable& tokens,
                                   grpc::CallbackServerContext* context, Handler handler) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const bool accepted = executor.TryRun(
      [&tokens, context, reactor, request = BeginRequest(*context), handler = std::move(handler)] {
        const LogScope scope("request", request);
        const absl::StatusOr<Principal> principal = tokens.Authenticate(CredentialsOf(*context));
        if (!principal.ok()) return reactor->Finish(ToGrpc(principal.status()));
        const LogScope caller("principal", principal->Id());
        reactor->Finish(ToGrpc(handler(*principal)));
      });
  if (!accepted) reactor->Finish(ToGrpc(absl::ResourceExhaustedError("the server is overloaded; try again")));
  return reactor;
}

}  // namespace hone
