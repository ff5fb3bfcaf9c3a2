#pragma once

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "client/arguments.h"
#include "client/hone_client.h"

namespace hone {

// Everything that comes from the environment and from the options all commands share. Read here and nowhere
// else.
struct ClientConfig {
  std::string home;    // state of this user's own server and worker; HONE_HOME
  std::string server;  // host:port of a server somewhere else; HONE_SERVER, --server. Empty = this user's own
  std::string token;   // bearer token for it; HONE_TOKEN, --token-file
  std::string ca_file;  // its certificate; HONE_CA, --ca
  std::string python;   // interpreter that may have onnxruntime; HONE_PYTHON. Empty = look for one
  std::string venv;     // virtual environment that deploy/install makes; HONE_VENV
  std::string
      programs;  // folder of hone-server and hone-worker: HONE_PROGRAMS, default where `hone` itself is
};

// `getenv` is ::getenv outside tests. Options given on the command line win over the environment.
absl::StatusOr<ClientConfig> ReadConfig(const Arguments& arguments,
                                        const std::function<const char*(const char*)>& getenv);

// The endpoint that `config.server` names, with its certificate read.
absl::StatusOr<Endpoint> RemoteEndpoint(const ClientConfig& config);

absl::StatusOr<std::string> ReadTextFile(const std::string& path);  // whole; NotFound, PermissionDenied

}  // namespace hone
