#pragma once

#include <vector>

#include "server/http/http_server.h"

namespace hone {

// The dashboard's page, style and scripts, which travel inside the binary. They hold nothing secret: the page asks
// for a token and reads all data through /api/.
std::vector<HttpRoute> DashboardRoutes();

}  // namespace hone
