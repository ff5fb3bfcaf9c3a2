#include "server/server.h"

#include <unistd.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "proto/values/certificate_fingerprint.h"
#include "server/backup.h"
#include "server/execution/log.h"
#include "server/execution/status_macros.h"
#include "server/http/dashboard.h"
#include "server/http/health.h"
#include "server/metrics.h"
#include "server/workers/record_message.h"

namespace hone {
namespace {

constexpr int kThreads = 8;  // blocked most of the time: on the disk, or for the writer's next commit
constexpr size_t kQueueLimit = 4096;
constexpr int kInspections = 2;
constexpr size_t kInspectionQueue = 16;
constexpr size_t kBackupQueue = 2;
constexpr double kCallsShare = 0.5;  // of drain-seconds, for the calls under way; children and store need the rest
constexpr uint64_t kOutboxShare = 3;    // one in so many bytes of a job's memory
constexpr absl::Duration kSweepPeriod = absl::Minutes(10);
constexpr char kTimerTopic[] = "timer";  // nobody notifies it

constexpr std::string_view kMetricsType = "text/plain; version=0.0.4; charset=utf-8";
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
  HONE_ASSIGN_OR_RETURN(containment_, JobContainment::Establish(config_.allow_unsandboxed));
  HONE_ASSIGN_OR_RETURN(http_, HttpServer::Start(config_.http, HttpRoutes()));
  HONE_ASSIGN_OR_RETURN(store_, SqliteStore::Open({.path = folder_->PathOf("hone.db"),
                                                   .clock = absl::Now,
                                                   .make_lost_record = MakeLostRecordRow,
                                                   .readers = kThreads / 2}));
  HONE_ASSIGN_OR_RETURN(blobs_, BlobStore::Open({.directory = folder_->PathOf("blobs")}));
  HONE_RETURN_IF_ERROR(folder_->ProvideTokens(*store_));
  HONE_ASSIGN_OR_RETURN(authority_, folder_->Authority(absl::Hours(config_.certificate_hours)));
  workers_ = std::make_unique<WorkerTable>(*store_, *authority_);
  HONE_RETURN_IF_ERROR(workers_->Reload());
  tokens_ = std::make_unique<TokenTable>(*store_, *workers_);
  HONE_RETURN_IF_ERROR(tokens_->Reload());
  hub_ = std::make_unique<ChangeHub>();
  broker_ = std::make_unique<LeaseBroker>(*store_, *hub_, absl::Now,
                                          LeaseBrokerOptions{.lease_seconds = config_.lease_seconds});
  jobs_ = std::make_unique<JobServices>(JobServices{*store_, *blobs_, *hub_, *broker_, JobOptionsOf()});
  return absl::OkStatus();
}

JobOptions Server::JobOptionsOf() const {
  const auto machine = static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  const uint64_t memory = config_.job_memory_gb > 0 ? static_cast<uint64_t>(1e9 * config_.job_memory_gb) : machine;
  return {.child = {.binary = config_.job_binary,
                    .containment = containment_.get(),
                    .address_space_bytes = memory - memory / kOutboxShare,
                    .outbox_bytes = memory / kOutboxShare},
          .log_directory = folder_->PathOf("logs"),
          .max_running = config_.max_jobs,
          .silence_limit = absl::Seconds(config_.job_silence_seconds)};
}

absl::Status Server::Serve() {
  HONE_ASSIGN_OR_RETURN(CertificatePem certificate, folder_->Certificate());
  executor_ = std::make_unique<Executor>(kThreads, kQueueLimit);
  inspections_ = std::make_unique<Executor>(kInspections, kInspectionQueue);
  backups_ = std::make_unique<Executor>(1, kBackupQueue);
  context_ = std::make_unique<ServiceContext>(ServiceContext{*store_, *blobs_, *hub_, *broker_, *tokens_, *workers_,
                                                             *jobs_, calls_, *executor_, *inspections_,
                                                             *backups_, [this] { return BackUp(); }});
  HONE_ASSIGN_OR_RETURN(scheduler_, JobScheduler::Start(*jobs_));
  HONE_ASSIGN_OR_RETURN(edge_, GrpcEdge::Start(*context_, config_.listen, certificate));
  api_ = std::make_unique<JsonApi>(*tokens_, edge_->InProcessChannel());
  phase_ = Phase::kServing;
  Repeat("lease_expiry", std::min(absl::Seconds(1), absl::Seconds(config_.lease_seconds / 4)),
         [this] { return broker_->ExpireLeases(); });
  Repeat("blob_sweep", kSweepPeriod, [this] { return SweepBlobs(); });
  HONE_RETURN_IF_ERROR(folder_->WriteEndpoint(edge_->address(), http_->address()));
  LogEvent("serving", {{"grpc", edge_->address()},
                       {"http", http_->address()},
                       {"certificate", CertificateFingerprint(certificate.certificate).value_or("")},
                       {"data_dir", config_.data_dir}});
  return absl::OkStatus();
}

std::vector<HttpRoute> Server::HttpRoutes() {
  std::vector<HttpRoute> routes = HealthRoutes([this] { return CheckReady(); }, containment_->Gaps());
  for (HttpRoute& page : DashboardRoutes()) routes.push_back(std::move(page));
  routes.push_back({"/metrics", [this](const HttpRequest&) {
                      const absl::StatusOr<std::string> text = Metrics();
                      return text.ok() ? HttpResponse{.content_type = kMetricsType, .body = *text}
                                       : JsonError(text.status());
                    }});
  routes.push_back({std::string(kApiPath), [this](const HttpRequest& request) {
                      if (phase_ == Phase::kStarting) return JsonError(CheckReady());
                      const absl::StatusOr<std::string> json =
                          api_->Call(request.path.substr(kApiPath.size()), request.query, request.authorization);
                      return json.ok() ? HttpResponse{.content_type = "application/json", .body = *json}
                                       : JsonError(json.status());
                    }});
  return routes;
}

absl::Status Server::CheckReady() const {
  switch (phase_) {
    case Phase::kStarting:
      return absl::UnavailableError("the server is starting");
    case Phase::kServing:
      return store_->CheckHealth();
    case Phase::kStopping:
      return absl::UnavailableError("the server is stopping");
  }
  return absl::InternalError("no such phase");
}

absl::StatusOr<std::string> Server::Metrics() {
  std::string text = ProcessMetrics() + ContainmentMetrics(containment_->layers()) + calls_.Text();
  if (phase_ == Phase::kStarting) return text;
  HONE_ASSIGN_OR_RETURN(const StateCounts counts, store_->CountStates());
  const auto size = [this](const char* name) {
    std::error_code error;
    const uintmax_t bytes = std::filesystem::file_size(folder_->PathOf(name), error);
    return error ? 0 : bytes;
  };
  return absl::StrCat(
      text, StateMetrics(counts),
      DiskMetrics({.database_bytes = size("hone.db"), .wal_bytes = size("hone.db-wal"), .blob_bytes = blob_bytes_}));
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
  const absl::StatusOr<FileDescriptor> lock = LockBlobs(config_.data_dir, /*wait=*/false);
  if (absl::IsUnavailable(lock.status())) return absl::OkStatus();  // a backup is being made: next time
  HONE_RETURN_IF_ERROR(lock.status());
  const absl::Time now = absl::Now();
  const absl::Duration grace = absl::Hours(config_.upload_hours);
  BlobRetention retention{.before = now - grace, .disposable_before = now - absl::Hours(config_.object_hours)};
  HONE_RETURN_IF_ERROR(store_->DropClaims(retention.before));
  // Objects of jobs that ended earlier than that are as old as any blob that goes.
  HONE_ASSIGN_OR_RETURN(const std::vector<std::string> ended, store_->ListEndedObjects(now - grace - kSweepPeriod));
  retention.disposable = {ended.begin(), ended.end()};
  HONE_ASSIGN_OR_RETURN(const std::vector<std::string> referenced, store_->ListReferencedBlobs());
  retention.referenced = {referenced.begin(), referenced.end()};
  HONE_ASSIGN_OR_RETURN(const SweptBlobs swept, blobs_->Sweep(retention));
  blob_bytes_ = swept.kept_bytes;
  if (swept.removed > 0) {
    LogEvent("blobs_removed",
             {{"count", absl::StrCat(swept.removed)}, {"bytes", absl::StrCat(swept.removed_bytes)}});
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::Backup> Server::BackUp() const {
  if (config_.backup_dir.empty())
    return absl::FailedPreconditionError("this server has no backup-dir to make copies in");
  const absl::Time begin = absl::Now();
  v1::Backup backup;
  backup.set_path(absl::StrCat(config_.backup_dir, "/",
                               absl::FormatTime("%Y%m%dT%H%M%E6SZ", begin, absl::UTCTimeZone())));
  HONE_ASSIGN_OR_RETURN(const BackupReport report, Backup(config_.data_dir, backup.path()));
  backup.set_files(static_cast<uint32_t>(report.files));
  backup.set_bytes(report.bytes);
  backup.set_seconds(absl::ToDoubleSeconds(absl::Now() - begin));
  return backup;
}

Server::~Server() {
  const bool served = edge_ != nullptr;
  if (served) phase_ = Phase::kStopping;
  if (folder_ != nullptr) folder_->RemoveEndpoint();
  if (hub_ != nullptr) hub_->Stop();  // long polls answer with what they have
  if (edge_ != nullptr) edge_->Drain(absl::Now() + kCallsShare * absl::Seconds(config_.drain_seconds));
  http_.reset();  // until here it says that the server is stopping
  api_.reset();
  edge_.reset();
  scheduler_.reset();
  inspections_.reset();
  backups_.reset();
  // The hub's timers go to the executor, whose work uses the hub: first no more work, then no more timers.
  if (executor_ != nullptr) executor_->Stop();
  hub_.reset();
  if (served) LogEvent("stopped");
}

}  // namespace hone
