#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "client/hone_client.h"

namespace hone {

// Connects once, which proves both sides, and asks for whom the token speaks.
absl::StatusOr<v1::ServerInfo> WhoAmI(const Endpoint& endpoint);

std::string IdentityText(const v1::ServerInfo& info);  // "ann (operator) in project vision"

}  // namespace hone
