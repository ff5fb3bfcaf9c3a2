#pragma once

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "client/arguments.h"
#include "client/hone_client.h"

namespace hone {

// Everything that comes from the environment and from the options all commands share. Read here and nowhere
// else. Options win over the environment, that over the context in use (contexts.h), and that over this
// user's own server.
struct ClientConfig {
  std::string home;       // state of this user's own server and worker, and what was logged in to; HONE_HOME
  std::string server;     // host:port of a server somewhere else. Empty = this user's own
  std::string context;    // the name under which it is saved, or kLocalContext; empty: it is not saved
  std::string chosen_by;  // what decided: "--server", "HONE_CONTEXT", "hone context use", "default", ...
  Endpoint saved;         // what is saved of it; token and certificate may be empty
  std::string token;      // bearer token for it, if given: --token-file ("-" = stdin), HONE_TOKEN
  std::string ca_file;    // its certificate, if given: --ca, HONE_CA
  std::string python;     // interpreter that may have onnxruntime; HONE_PYTHON. Empty = look for one
  std::string venv;       // virtual environment that deploy/install makes; HONE_VENV
  std::string programs;   // folder of hone-server and hone-worker: HONE_PROGRAMS, default where `hone` is
};

// `getenv` is ::getenv outside tests.
absl::StatusOr<ClientConfig> ReadConfig(const Arguments& arguments,
                                        const std::function<const char*(const char*)>& getenv);

// The endpoint of `config.server`: its certificate and token as given, else as saved.
absl::StatusOr<Endpoint> RemoteEndpoint(const ClientConfig& config);

absl::StatusOr<std::string> ReadTextFile(const std::string& path);  // whole; NotFound, PermissionDenied
absl::Status WriteTextFile(const std::string& path, const std::string& text);  // PermissionDenied

}  // namespace hone
