#include "server/service/unary_call.h"

namespace hone {

std::string AuthorizationOf(const grpc::CallbackServerContext& context) {
  auto value = context.client_metadata().find("authorization");
  return value == context.client_metadata().end() ? ""
                                                  : std::string(value->second.data(), value->second.size());
}

}  // namespace hone
