#include "client/commands/identity.h"

#include "absl/strings/str_cat.h"
#include "client/resource_name.h"

namespace hone {

absl::StatusOr<v1::ServerInfo> WhoAmI(const Endpoint& endpoint) {
  auto client = HoneClient::Connect(endpoint);
  if (!client.ok()) return client.status();
  return (*client)->GetServerInfo();
}

std::string IdentityText(const v1::ServerInfo& info) {
  return absl::StrCat(ShortName(info.subject()), " (", info.role(), ") in project ",
                      ShortName(info.project()));
}

}  // namespace hone
