#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace hone {

// The command line of hone-server; nothing else reads flags or the environment.
struct ServerConfig {
  std::string data_dir;                // everything that the server remembers; made with mode 0700
  std::string listen = "127.0.0.1:0";  // gRPC over TLS; port 0 = any free one, told by endpoint.json
  std::string http = "127.0.0.1:0";    // /healthz, /readyz, the dashboard; loopback only
  std::string job_binary;              // hone-job; default: beside hone-server
  double lease_seconds = 30;           // a worker silent for longer loses its lease
  int max_jobs = 2;                    // with a hone-job child at a time; the others wait
  bool help = false;
};

std::string UsageText();
// InvalidArgument names the flag. `program` = argv[0], beside which hone-job is looked for.
absl::StatusOr<ServerConfig> ParseCommandLine(int argc, char** argv);

}  // namespace hone
