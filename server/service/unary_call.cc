#include "server/service/unary_call.h"

#include "grpc/grpc_security_constants.h"
#include "server/auth/secrets.h"

namespace hone {

std::string CertificateOf(const grpc::AuthContext* peer) {
  if (peer == nullptr) return "";
  const std::vector<grpc::string_ref> found = peer->FindPropertyValues(GRPC_X509_PEM_CERT_PROPERTY_NAME);
  return found.empty() ? "" : std::string(found.front().data(), found.front().size());
}

Credentials CredentialsOf(const grpc::CallbackServerContext& context) {
  const auto value = context.client_metadata().find("authorization");
  return {
      value == context.client_metadata().end() ? "" : std::string(value->second.data(), value->second.size()),
      CertificateOf(context.auth_context().get())};
}

std::string BeginRequest(grpc::CallbackServerContext& context) {
  const auto given = context.client_metadata().find(kRequestIdKey);
  std::string id;
  if (given != context.client_metadata().end() && given->second.size() <= kMaxRequestId)
    id.assign(given->second.data(), given->second.size());
  if (id.empty()) id = RandomId();
  context.AddTrailingMetadata(kRequestIdKey, id);
  return id;
}

}  // namespace hone
