#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/model_manifest.h"
#include "client/pages.h"
#include "hone/v1/admin.pb.h"
#include "hone/v1/jobs.pb.h"
#include "hone/v1/models.pb.h"
#include "hone/v1/modules.pb.h"
#include "hone/v1/records.pb.h"
#include "hone/v1/server.pb.h"
#include "hone/v1/workers.pb.h"

namespace hone {

// Where a server is and how to prove both sides: the client pins the server's certificate (its host name does
// not matter), the server checks the bearer token.
struct Endpoint {
  std::string address;  // host:port
  std::string ca_pem;   // the certificate, as PEM text
  std::string token;
};

struct ClientOptions {
  absl::Duration connect_timeout = absl::Seconds(5);
  absl::Duration call_timeout = absl::Seconds(30);    // of unary calls that only look something up
  absl::Duration inspect_timeout = absl::Minutes(2);  // the server imports the whole model for these
  absl::Duration backup_timeout = absl::Hours(6);
  int transfer_attempts = 8;  // at one blob that move none of it, in a row: 25 s for a server that restarts
};

// Bytes of one file transferred so far, of `total`.
using TransferProgress = std::function<void(const std::string& name, uint64_t done, uint64_t total)>;

// A connection to a Hone server. Every failure is a canonical status with a cause, and where there is one a
// remedy (error.h). Thread-safe; InterruptWatch may be called from any thread.
class HoneClient {
 public:
  // Connects and proves both sides with one call. Unavailable: nobody answers, or the certificate is not the
  // pinned one; Unauthenticated: no token, or one that the server does not know.
  static absl::StatusOr<std::unique_ptr<HoneClient>> Connect(const Endpoint& endpoint,
                                                             const ClientOptions& options = {});
  ~HoneClient();

  absl::StatusOr<v1::ServerInfo> GetServerInfo();

  // Uploads what the server lacks of each file, then makes the model. Uploading again costs one look-up per
  // file.
  absl::StatusOr<v1::Model> UploadModel(const ModelManifest& manifest, const TransferProgress& progress = {});
  absl::StatusOr<v1::ListModelsResponse> ListModels(int page_size, const std::string& page_token);
  absl::Status DeleteModel(const std::string& name);  // FailedPrecondition: a job under way uses it
  absl::StatusOr<v1::InspectModelResponse> InspectModel(const v1::InspectModelRequest& request);

  absl::StatusOr<v1::Job> CreateJob(const v1::JobSpec& spec);
  absl::StatusOr<v1::Job> GetJob(const std::string& name);
  absl::StatusOr<v1::Job> CancelJob(const std::string& name);
  // With `budget` on top of what it has spent; without, with what is left of its own. FailedPrecondition: it
  // has not ended, or has nothing left.
  absl::StatusOr<v1::Job> ResumeJob(const std::string& name, const std::optional<v1::Budget>& budget);
  absl::Status DeleteJob(const std::string& name);  // FailedPrecondition: it has not ended
  absl::StatusOr<v1::ListJobsResponse> ListJobs(int page_size, const std::string& page_token);
  // Waits for a revision above `after_revision`, at most `timeout`; the unchanged job is an answer too.
  absl::StatusOr<v1::Job> WatchJob(const std::string& name, uint64_t after_revision, absl::Duration timeout);
  // Ends a WatchJob under way, and any later one, with Cancelled.
  void InterruptWatch();

  absl::StatusOr<v1::Module> GetModule(const std::string& name);
  absl::StatusOr<v1::ListModulesResponse> ListModules(const std::string& job, int page_size,
                                                      const std::string& page_token);
  // Writes the files of a module into `folder` (made if need be). Each file appears under its name only after
  // its digest was checked. DataLoss: a digest does not match; InvalidArgument: a file name that leaves the
  // folder.
  absl::Status DownloadModule(const v1::Module& module, const std::filesystem::path& folder,
                              const TransferProgress& progress = {});

  absl::StatusOr<v1::ListWorkersResponse> ListWorkers(int page_size, const std::string& page_token);
  absl::StatusOr<v1::Worker> ControlWorker(const std::string& name, v1::WorkerAction action);
  absl::StatusOr<v1::ListRecordsResponse> ListRecords(const v1::ListRecordsRequest& request);
  absl::StatusOr<v1::RecordExplanation> ExplainRecord(const std::string& name);

  absl::StatusOr<v1::User> CreateUser(const v1::CreateUserRequest& request);  // AlreadyExists
  absl::StatusOr<v1::ListUsersResponse> ListUsers(int page_size, const std::string& page_token);
  absl::StatusOr<v1::User> UpdateUser(const v1::UpdateUserRequest& request);
  absl::StatusOr<v1::Project> CreateProject(const v1::CreateProjectRequest& request);  // AlreadyExists
  absl::StatusOr<v1::ListProjectsResponse> ListProjects(const v1::ListProjectsRequest& request);
  absl::StatusOr<v1::Project> UpdateProject(const v1::UpdateProjectRequest& request);
  absl::StatusOr<v1::CreateTokenResponse> CreateToken(const v1::CreateTokenRequest& request);
  absl::StatusOr<v1::CreateTokenResponse> CreateEnrolToken(const v1::CreateEnrolTokenRequest& request);
  absl::StatusOr<v1::ListTokensResponse> ListTokens(int page_size, const std::string& page_token);
  absl::StatusOr<v1::Token> RevokeToken(const std::string& name);
  absl::StatusOr<v1::Backup> CreateBackup();  // FailedPrecondition: the server has nowhere to put it

 private:
  struct Stubs;
  class Context;

  HoneClient(std::unique_ptr<Stubs> stubs, const ClientOptions& options);
  absl::Status UploadFile(const ManifestFile& file, const TransferProgress& progress);
  absl::Status UploadFrom(const ManifestFile& file, uint64_t offset, const TransferProgress& progress);
  absl::Status DownloadFile(const v1::NamedBlob& file, const std::filesystem::path& folder,
                            const TransferProgress& progress);

  std::unique_ptr<Stubs> stubs_;
  ClientOptions options_;
  std::mutex watch_mutex_;
  Context* watching_ = nullptr;  // guarded by watch_mutex_
  bool interrupted_ = false;     // guarded by watch_mutex_
};

// Of a listing's records, those rows; page size and token of the request do not matter.
absl::StatusOr<v1::ListRecordsResponse> FetchRecords(HoneClient& client, v1::ListRecordsRequest request,
                                                     const Rows& rows);

// 128 random bits as hex: the request_id that makes a mutation safe to repeat.
std::string NewRequestId();

}  // namespace hone
