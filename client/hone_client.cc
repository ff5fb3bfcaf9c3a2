#include "client/hone_client.h"

#include <openssl/rand.h>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/call_context.h"
#include "client/error.h"
#include "client/pinned_channel.h"
#include "client/stubs.h"

namespace hone {

// A call's context that InterruptWatch can reach.
class HoneClient::Context : public CallContext {
 public:
  using CallContext::CallContext;
};

namespace {

// One unary call: deadline, status conversion. All calls are safe to repeat, the mutations by their
// request_id.
template <typename Stub, typename Request, typename Response>
absl::StatusOr<Response> Call(Stub& stub,
                              grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                              const Request& request, absl::Duration timeout, const std::string& address) {
  std::string id;
  if constexpr (requires { request.request_id(); }) id = request.request_id();
  CallContext context(timeout, id.empty() ? NewRequestId() : id);
  Response response;
  absl::Status status = context.Finish((stub.*method)(&context, request, &response), address);
  if (!status.ok()) return status;
  return response;
}

}  // namespace

HoneClient::HoneClient(std::unique_ptr<Stubs> stubs, const ClientOptions& options)
    : stubs_(std::move(stubs)), options_(options) {}
HoneClient::~HoneClient() = default;

absl::StatusOr<std::unique_ptr<HoneClient>> HoneClient::Connect(const Endpoint& endpoint,
                                                                const ClientOptions& options) {
  auto channel = MakePinnedChannel(endpoint);
  if (!channel.ok()) return channel.status();
  std::unique_ptr<HoneClient> client(
      new HoneClient(std::make_unique<Stubs>(*channel, endpoint.address), options));
  v1::GetServerInfoRequest request;
  auto info = Call(*client->stubs_->server, &v1::ServerService::Stub::GetServerInfo, request,
                   options.connect_timeout, endpoint.address);
  if (!info.ok()) return info.status();
  return client;
}

absl::StatusOr<v1::ServerInfo> HoneClient::GetServerInfo() {
  return Call(*stubs_->server, &v1::ServerService::Stub::GetServerInfo, v1::GetServerInfoRequest(),
              options_.call_timeout, stubs_->address);
}

absl::StatusOr<v1::InspectModelResponse> HoneClient::InspectModel(const v1::InspectModelRequest& request) {
  return Call(*stubs_->models, &v1::ModelService::Stub::InspectModel, request, options_.inspect_timeout,
              stubs_->address);
}

absl::StatusOr<v1::ListModelsResponse> HoneClient::ListModels(int page_size, const std::string& page_token) {
  v1::ListModelsRequest request;
  request.set_page_size(page_size);
  request.set_page_token(page_token);
  return Call(*stubs_->models, &v1::ModelService::Stub::ListModels, request, options_.call_timeout,
              stubs_->address);
}

absl::Status HoneClient::DeleteModel(const std::string& name) {
  v1::DeleteModelRequest request;
  request.set_name(name);
  request.set_request_id(NewRequestId());
  return Call(*stubs_->models, &v1::ModelService::Stub::DeleteModel, request, options_.call_timeout,
              stubs_->address)
      .status();
}

absl::StatusOr<v1::Job> HoneClient::CreateJob(const v1::JobSpec& spec) {
  v1::CreateJobRequest request;
  request.set_request_id(NewRequestId());
  *request.mutable_spec() = spec;
  return Call(*stubs_->jobs, &v1::JobService::Stub::CreateJob, request, options_.call_timeout,
              stubs_->address);
}

absl::StatusOr<v1::Job> HoneClient::GetJob(const std::string& name) {
  v1::GetJobRequest request;
  request.set_name(name);
  return Call(*stubs_->jobs, &v1::JobService::Stub::GetJob, request, options_.call_timeout, stubs_->address);
}

absl::StatusOr<v1::Job> HoneClient::CancelJob(const std::string& name) {
  v1::CancelJobRequest request;
  request.set_name(name);
  request.set_request_id(NewRequestId());
  return Call(*stubs_->jobs, &v1::JobService::Stub::CancelJob, request, options_.call_timeout,
              stubs_->address);
}

absl::StatusOr<v1::Job> HoneClient::ResumeJob(const std::string& name,
                                              const std::optional<v1::Budget>& budget) {
  v1::ResumeJobRequest request;
  request.set_name(name);
  request.set_request_id(NewRequestId());
  if (budget) *request.mutable_budget() = *budget;
  return Call(*stubs_->jobs, &v1::JobService::Stub::ResumeJob, request, options_.call_timeout,
              stubs_->address);
}

absl::Status HoneClient::DeleteJob(const std::string& name) {
  v1::DeleteJobRequest request;
  request.set_name(name);
  request.set_request_id(NewRequestId());
  return Call(*stubs_->jobs, &v1::JobService::Stub::DeleteJob, request, options_.call_timeout,
              stubs_->address)
      .status();
}

absl::StatusOr<v1::ListJobsResponse> HoneClient::ListJobs(int page_size, const std::string& page_token) {
  v1::ListJobsRequest request;
  request.set_page_size(page_size);
  request.set_page_token(page_token);
  return Call(*stubs_->jobs, &v1::JobService::Stub::ListJobs, request, options_.call_timeout,
              stubs_->address);
}

absl::StatusOr<v1::Job> HoneClient::WatchJob(const std::string& name, uint64_t after_revision,
                                             absl::Duration timeout) {
  v1::WatchJobRequest request;
  request.set_name(name);
  request.set_after_revision(after_revision);
  request.set_timeout_seconds(absl::ToDoubleSeconds(timeout));
  Context context(timeout + options_.call_timeout);
  {
    std::lock_guard lock(watch_mutex_);
    if (interrupted_) return absl::CancelledError("interrupted");
    watching_ = &context;
  }
  v1::Job job;
  const grpc::Status status = stubs_->jobs->WatchJob(&context, request, &job);
  std::lock_guard lock(watch_mutex_);
  watching_ = nullptr;
  if (interrupted_) return absl::CancelledError("interrupted");
  if (!status.ok()) return context.Finish(status, stubs_->address);
  return job;
}

void HoneClient::InterruptWatch() {
  std::lock_guard lock(watch_mutex_);
  interrupted_ = true;
  if (watching_ != nullptr) watching_->TryCancel();
}

absl::StatusOr<v1::Module> HoneClient::GetModule(const std::string& name) {
  v1::GetModuleRequest request;
  request.set_name(name);
  return Call(*stubs_->modules, &v1::ModuleService::Stub::GetModule, request, options_.call_timeout,
              stubs_->address);
}

absl::StatusOr<v1::ListModulesResponse> HoneClient::ListModules(const std::string& job, int page_size,
                                                                const std::string& page_token) {
  v1::ListModulesRequest request;
  request.set_job(job);
  request.set_page_size(page_size);
  request.set_page_token(page_token);
  return Call(*stubs_->modules, &v1::ModuleService::Stub::ListModules, request, options_.call_timeout,
              stubs_->address);
}

absl::StatusOr<v1::ListWorkersResponse> HoneClient::ListWorkers(int page_size,
                                                                const std::string& page_token) {
  v1::ListWorkersRequest request;
  request.set_page_size(page_size);
  request.set_page_token(page_token);
  return Call(*stubs_->workers, &v1::WorkerService::Stub::ListWorkers, request, options_.call_timeout,
              stubs_->address);
}

absl::StatusOr<v1::Worker> HoneClient::ControlWorker(const std::string& name, v1::WorkerAction action) {
  v1::ControlWorkerRequest request;
  request.set_name(name);
  request.set_action(action);
  request.set_request_id(NewRequestId());
  return Call(*stubs_->workers, &v1::WorkerService::Stub::ControlWorker, request, options_.call_timeout,
              stubs_->address);
}

absl::StatusOr<v1::ListRecordsResponse> HoneClient::ListRecords(const v1::ListRecordsRequest& request) {
  return Call(*stubs_->records, &v1::RecordService::Stub::ListRecords, request, options_.call_timeout,
              stubs_->address);
}

absl::StatusOr<v1::RecordExplanation> HoneClient::ExplainRecord(const std::string& name) {
  v1::ExplainRecordRequest request;
  request.set_name(name);
  return Call(*stubs_->records, &v1::RecordService::Stub::ExplainRecord, request, options_.inspect_timeout,
              stubs_->address);
}

absl::StatusOr<v1::User> HoneClient::CreateUser(const v1::CreateUserRequest& request) {
  return Call(*stubs_->admin, &v1::AdminService::Stub::CreateUser, request, options_.call_timeout,
              stubs_->address);
}

absl::StatusOr<v1::ListUsersResponse> HoneClient::ListUsers(int page_size, const std::string& page_token) {
  v1::ListUsersRequest request;
  request.set_page_size(page_size);
  request.set_page_token(page_token);
  return Call(*stubs_->admin, &v1::AdminService::Stub::ListUsers, request, options_.call_timeout,
              stubs_->address);
}

absl::StatusOr<v1::User> HoneClient::UpdateUser(const v1::UpdateUserRequest& request) {
  return Call(*stubs_->admin, &v1::AdminService::Stub::UpdateUser, request, options_.call_timeout,
              stubs_->address);
}

absl::StatusOr<v1::Project> HoneClient::CreateProject(const v1::CreateProjectRequest& request) {
  return Call(*stubs_->admin, &v1::AdminService::Stub::CreateProject, request, options_.call_timeout,
              stubs_->address);
}

absl::StatusOr<v1::ListProjectsResponse> HoneClient::ListProjects(const v1::ListProjectsRequest& request) {
  return Call(*stubs_->admin, &v1::AdminService::Stub::ListProjects, request, options_.call_timeout,
              stubs_->address);
}

absl::StatusOr<v1::Project> HoneClient::UpdateProject(const v1::UpdateProjectRequest& request) {
  return Call(*stubs_->admin, &v1::AdminService::Stub::UpdateProject, request, options_.call_timeout,
              stubs_->address);
}

absl::StatusOr<v1::CreateTokenResponse> HoneClient::CreateToken(const v1::CreateTokenRequest& request) {
  return Call(*stubs_->admin, &v1::AdminService::Stub::CreateToken, request, options_.call_timeout,
              stubs_->address);
}

absl::StatusOr<v1::CreateTokenResponse> HoneClient::CreateEnrolToken(
    const v1::CreateEnrolTokenRequest& request) {
  return Call(*stubs_->admin, &v1::AdminService::Stub::CreateEnrolToken, request, options_.call_timeout,
              stubs_->address);
}

absl::StatusOr<v1::ListTokensResponse> HoneClient::ListTokens(int page_size, const std::string& page_token) {
  v1::ListTokensRequest request;
  request.set_page_size(page_size);
  request.set_page_token(page_token);
  return Call(*stubs_->admin, &v1::AdminService::Stub::ListTokens, request, options_.call_timeout,
              stubs_->address);
}

absl::StatusOr<v1::Token> HoneClient::RevokeToken(const std::string& name) {
  v1::RevokeTokenRequest request;
  request.set_name(name);
  return Call(*stubs_->admin, &v1::AdminService::Stub::RevokeToken, request, options_.call_timeout,
              stubs_->address);
}

absl::StatusOr<v1::Backup> HoneClient::CreateBackup() {
  return Call(*stubs_->admin, &v1::AdminService::Stub::CreateBackup, v1::CreateBackupRequest(),
              options_.backup_timeout, stubs_->address);
}

absl::StatusOr<v1::Model> HoneClient::UploadModel(const ModelManifest& manifest,
                                                  const TransferProgress& progress) {
  v1::CreateModelRequest request;
  request.set_request_id(NewRequestId());
  request.set_display_name(manifest.display_name);
  if (manifest.files.empty()) return absl::InvalidArgumentError("a manifest without files");
  request.set_main_file(manifest.files.front().name);
  for (const ManifestFile& file : manifest.files) {
    absl::Status status = UploadFile(file, progress);
    if (!status.ok()) return WithContext(status, "uploading " + file.name);
    v1::NamedBlob& blob = *request.add_files();
    blob.set_name(file.name);
    blob.mutable_blob()->set_sha256(file.sha256);
    blob.mutable_blob()->set_size(file.size);
  }
  return Call(*stubs_->models, &v1::ModelService::Stub::CreateModel, request, options_.inspect_timeout,
              stubs_->address);
}

absl::StatusOr<v1::ListRecordsResponse> FetchRecords(HoneClient& client, v1::ListRecordsRequest request,
                                                     const Rows& rows) {
  return FetchRows(rows, &v1::ListRecordsResponse::records_size, [&](int size, const std::string& token) {
    request.set_page_size(size);
    request.set_page_token(token);
    return client.ListRecords(request);
  });
}

std::string NewRequestId() {
  unsigned char bytes[16];
  if (RAND_bytes(bytes, sizeof(bytes)) != 1) return absl::StrCat("time-", absl::ToUnixNanos(absl::Now()));
  return absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(bytes), sizeof(bytes)));
}

}  // namespace hone
