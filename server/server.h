#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "server/config.h"
#include "server/data_folder.h"
#include "server/http/http_server.h"
#include "server/jobs/job_containment.h"
#include "server/jobs/job_scheduler.h"
#include "server/service/grpc_edge.h"
#include "server/service/json_api.h"
#include "server/storage/sqlite_store.h"

namespace hone {

// The composition of hone-server. Start() returns once it serves and endpoint.json says where.
class Server {
 public:
  static absl::StatusOr<std::unique_ptr<Server>> Start(const ServerConfig& config);
  // Graceful: new calls refused, long polls answered, calls under way finished, children ended (their jobs go on
  // at the next start), store closed.
  ~Server();

 private:
  explicit Server(const ServerConfig& config) : config_(config) {}
  absl::Status Open();
  JobOptions JobOptionsOf() const;
  absl::Status Serve();
  // Runs `work` on the executor, now and again after each period, until the hub stops.
  void Repeat(const std::string& what, absl::Duration period, std::function<absl::Status()> work);
  std::vector<HttpRoute> HttpRoutes();
  absl::Status SweepBlobs();
  absl::StatusOr<v1::Backup> BackUp() const;
  absl::Status CheckReady() const;
  absl::StatusOr<std::string> Metrics();

  // In the order of their dependence: each is used by those below it.
  const ServerConfig config_;
  std::unique_ptr<DataFolder> folder_;
  std::unique_ptr<JobContainment> containment_;
  std::unique_ptr<SqliteStore> store_;
  std::unique_ptr<BlobStore> blobs_;
  std::unique_ptr<ChangeHub> hub_;
  std::unique_ptr<LeaseBroker> broker_;
  std::unique_ptr<CertificateAuthority> authority_;
  std::unique_ptr<WorkerTable> workers_;
  std::unique_ptr<TokenTable> tokens_;
  std::unique_ptr<JobServices> jobs_;
  CallMetrics calls_;
  std::atomic<uint64_t> blob_bytes_ = 0;  // at the last sweep
  std::unique_ptr<Executor> executor_;
  std::unique_ptr<Executor> inspections_;
  std::unique_ptr<Executor> backups_;
  std::unique_ptr<ServiceContext> context_;
  std::unique_ptr<JobScheduler> scheduler_;
  std::unique_ptr<GrpcEdge> edge_;
  std::unique_ptr<JsonApi> api_;
  std::unique_ptr<HttpServer> http_;
  enum class Phase { kStarting, kServing, kStopping };
  std::atomic<Phase> phase_ = Phase::kStarting;
};

}  // namespace hone
