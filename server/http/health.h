#pragma once

#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "server/http/http_server.h"

namespace hone {

// /healthz (the process answers) and /readyz (`ready` says that its work can be stored; it may block briefly).
std::vector<HttpRoute> HealthRoutes(std::function<absl::Status()> ready);

}  // namespace hone
