#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "server/http/http_server.h"

namespace hone {

// /healthz (the process answers) and /readyz (`ready` says that its work can be stored; it may block briefly), which
// tells the remarks, lines for people, too.
std::vector<HttpRoute> HealthRoutes(std::function<absl::Status()> ready, std::string remarks);

}  // namespace hone
