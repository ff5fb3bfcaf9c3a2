#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/config.h"
#include "client/console.h"
#include "client/hone_client.h"
#include "client/process.h"

namespace hone {

// This user's own server and worker, kept under HONE_HOME:
//   up.lock          flock held by whoever starts or stops them
//   processes.json   {"server": {"pid", "start_ticks", "grpc", "http"}, "worker": {"pid", "start_ticks",
//   "grpc"}}; the
//                    addresses stay when they are stopped: the next server takes them again
//   server/          data folder of hone-server (endpoint.json, admin.token, enrol.token, tls/cert.pem, ...)
//   worker/          data folder of hone-worker
//   backups/         copies of server/ that 'hone admin backup' made
//   logs/            server.log, worker.log
struct LocalState {
  Endpoint endpoint;
  std::string http;  // host:port of health, metrics, dashboard; may be empty
  std::string token_file;
  std::string certificate;
  ProcessId server;
  ProcessId worker;
  bool started = false;  // by this call
};

class LocalService {
 public:
  LocalService(const ClientConfig& config, const Console& console);

  // Finds both processes or starts what is missing, and waits until the server answers and a worker is at
  // work. Two callers at once start one service. A server started again keeps its port if it is still free.
  absl::StatusOr<LocalState> Up(absl::Duration patience = absl::Seconds(90));
  // Stops both, the worker first. True if anything ran.
  absl::StatusOr<bool> Down();
  // Of the server that runs; NotFound if none does. Starts nothing.
  absl::StatusOr<Endpoint> RunningEndpoint();

 private:
  absl::StatusOr<int> Lock() const;  // descriptor that holds up.lock
  absl::Status FindProcesses();
  absl::Status SaveProcesses() const;
  absl::StatusOr<LocalState> ReadEndpoint() const;
  absl::StatusOr<LocalState> StartServer(absl::Time deadline);
  absl::StatusOr<LocalState> StartServerAt(const std::string& listen, const std::string& http,
                                           absl::Time deadline);
  absl::Status StartWorker(const LocalState& state);
  absl::Status WaitForWorker(const LocalState& state, absl::Time deadline);
  absl::StatusOr<std::string> Program(const std::string& name) const;
  absl::Status Died(const std::string& program, const std::string& log) const;
  std::string PathOf(const std::string& name) const { return home_ + "/" + name; }

  std::string home_;
  std::string programs_;
  const Console& console_;
  ProcessId server_;
  std::string grpc_, http_;  // its addresses, or those of the last one
  ProcessId worker_;
  std::string worker_address_;  // of the server that the worker dials
};

}  // namespace hone
