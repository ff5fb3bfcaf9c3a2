#include "server/server.h"

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/execution/log.h"
#include "server/execution/status_macros.h"
#include "server/http/dashboard.h"
#include "server/http/health.h"
#include "server/workers/record_message.h"

namespace hone {
namespace {

constexpr int kThreads = 8;  // blocked most of the time: on the disk, or for the writer's next commit
constexpr size_t kQueueLimit = 4096;
constexpr int kInspections = 2;
constexpr size_t kInspectionQueue = 16;
constexpr absl::Duration kShutdownPatience = absl::Seconds(2);  // an idle client may answer GOAWAY late
constexpr absl::Duration kSweepPeriod = absl::Hours(1);
constexpr absl::Duration kBlobGrace = absl::Hours(24);  // between an upload and the model that names it
constexpr char kTimerTopic[] = "timer";                 // nobody notifies it

constexpr std::string_view kApiPath = "/api/";  // then SERVICE/METHOD?FIELD=VALUE&...

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const ServerConfig& config) {
  std::unique_ptr<Server> server(new Server(config));
  HONE_RETURN_IF_ERROR(server->Open());
  HONE_RETURN_IF_ERROR(server->Serve());
  return server;
}

absl::Status Server::Open() {
  HONE_ASSIGN_OR_RETURN(folder_, DataFolder::Open(config_.data_dir));
  HONE_ASSIGN_OR_RETURN(store_, SqliteStore::Open({.path = folder_->PathOf("hone.db"),
                                                   .clock = absl::Now,
                                                   .make_lost_record = MakeLostRecordRow,
                                                   .readers = kThreads / 2}));
  HONE_ASSIGN_OR_RETURN(blobs_, BlobStore::Open({.directory = folder_->PathOf("blobs")}));
  HONE_RETURN_IF_ERROR(folder_->ProvideTokens(*store_));
  tokens_ = std::make_unique<TokenTable>(*store_);
  HONE_RETURN_IF_ERROR(tokens_->Reload());
  hub_ = std::make_unique<ChangeHub>();
  broker_ = std::make_unique<LeaseBroker>(*store_, *hub_, absl::Now,
                                          LeaseBrokerOptions{.lease_seconds = config_.lease_seconds});
  jobs_ = std::make_unique<JobServices>(JobServices{*store_, *blobs_, *hub_, *broker_,
                                                    JobOptions{.child = {.binary = config_.job_binary},
                                                               .log_directory = folder_->PathOf("logs"),
                                                               .max_running = config_.max_jobs}});
  return absl::OkStatus();
}

absl::Status Server::Serve() {
  HONE_ASSIGN_OR_RETURN(CertificatePem certificate, folder_->Certificate());
  executor_ = std::make_unique<Executor>(kThreads, kQueueLimit);
  inspections_ = std::make_unique<Executor>(kInspections, kInspectionQueue);
  context_ = std::make_unique<ServiceContext>(
      ServiceContext{*store_, *blobs_, *hub_, *broker_, *tokens_, *jobs_, *executor_, *inspections_});
  HONE_ASSIGN_OR_RETURN(scheduler_, JobScheduler::Start(*jobs_));
  HONE_ASSIGN_OR_RETURN(edge_, GrpcEdge::Start(*context_, config_.listen, certificate));
  api_ = std::make_unique<JsonApi>(*tokens_, edge_->InProcessChannel());
  HONE_ASSIGN_OR_RETURN(http_, HttpServer::Start(config_.http, HttpRoutes()));
  Repeat("lease_expiry", std::min(absl::Seconds(1), absl::Seconds(config_.lease_seconds / 4)),
         [this] { return broker_->ExpireLeases(); });
  Repeat("blob_sweep", kSweepPeriod, [this] { return SweepBlobs(); });
  HONE_RETURN_IF_ERROR(folder_->WriteEndpoint(edge_->address(), http_->address()));
  LogEvent("serving",
           {{"grpc", edge_->address()}, {"http", http_->address()}, {"data_dir", config_.data_dir}});
  return absl::OkStatus();
}

std::vector<HttpRoute> Server::HttpRoutes() {
  std::vector<HttpRoute> routes = HealthRoutes([this] { return store_->CheckHealth(); });
  for (HttpRoute& page : DashboardRoutes()) routes.push_back(std::move(page));
  routes.push_back({std::string(kApiPath), [this](const HttpRequest& request) {
                      const absl::StatusOr<std::string> json =
                          api_->Call(request.path.substr(kApiPath.size()), request.query, request.authorization);
                      return json.ok() ? HttpResponse{.content_type = "application/json", .body = *json}
                                       : JsonError(json.status());
                    }});
  return routes;
}

void Server::Repeat(const std::string& what, absl::Duration period, std::function<absl::Status()> work) {
  executor_->Continue([this, what, period, work = std::move(work)] {
    if (hub_->stopped()) return;
    const absl::Status status = work();
    if (!status.ok()) LogEvent(LogLevel::kError, what + "_failed", {{"error", std::string(status.message())}});
    hub_->Wait(kTimerTopic, hub_->Stamp(), absl::Now() + period,
               [this, what, period, work] { Repeat(what, period, work); });
  });
}

absl::Status Server::SweepBlobs() {
  const absl::Time before = absl::Now() - kBlobGrace;
  HONE_ASSIGN_OR_RETURN(const std::vector<std::string> referenced, store_->ListReferencedBlobs());
  HONE_ASSIGN_OR_RETURN(const int removed, blobs_->Sweep({referenced.begin(), referenced.end()}, before));
  if (removed > 0) LogEvent("blobs_removed", {{"count", absl::StrCat(removed)}});
  return absl::OkStatus();
}

Server::~Server() {
  const bool served = edge_ != nullptr;
  if (folder_ != nullptr) folder_->RemoveEndpoint();
  http_.reset();
  api_.reset();
  if (hub_ != nullptr) hub_->Stop();  // long polls answer with what they have
  if (edge_ != nullptr) edge_->Stop(absl::Now() + kShutdownPatience);
  edge_.reset();
  scheduler_.reset();
  inspections_.reset();
  // The hub's timers go to the executor, whose work uses the hub: first no more work, then no more timers.
  if (executor_ != nullptr) executor_->Stop();
  hub_.reset();
  if (served) LogEvent("stopped");
}

}  // namespace hone
