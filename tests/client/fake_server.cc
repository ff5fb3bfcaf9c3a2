#include "tests/client/fake_server.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <optional>

#include "hone/v1/blobs.grpc.pb.h"
#include "hone/v1/jobs.grpc.pb.h"
#include "hone/v1/models.grpc.pb.h"
#include "hone/v1/modules.grpc.pb.h"
#include "hone/v1/records.grpc.pb.h"
#include "hone/v1/server.grpc.pb.h"
#include "hone/v1/workers.grpc.pb.h"
#include "proto/values/sha256.h"

namespace hone {
namespace {

using grpc::ServerContext;
using grpc::Status;
using grpc::StatusCode;

std::string PemOf(const std::function<void(BIO*)>& write) {
  BIO* bio = BIO_new(BIO_s_mem());
  write(bio);
  char* data;
  const long size = BIO_get_mem_data(bio, &data);
  std::string text(data, size);
  BIO_free(bio);
  return text;
}

// What every service does first.
class Guard {
 public:
  Guard(FakeState& state, std::string token) : state(state), header_("Bearer " + token) {}

  std::optional<Status> Refuse(ServerContext* context) const {
    if (auto id = context->client_metadata().find("x-request-id"); id != context->client_metadata().end())
      context->AddTrailingMetadata("x-request-id", {id->second.data(), id->second.size()});
    auto range = context->client_metadata().equal_range("authorization");
    if (range.first != range.second && range.first->second == header_) return std::nullopt;
    return Status(StatusCode::UNAUTHENTICATED, "unknown token");
  }

  FakeState& state;

 private:
  std::string header_;
};

#define HONE_CHECK_TOKEN()                                    \
  if (auto refusal = guard_.Refuse(context)) return *refusal; \
  std::lock_guard lock(guard_.state.mutex);                   \
  FakeState& state = guard_.state

class FakeServerService : public v1::ServerService::Service {
 public:
  explicit FakeServerService(Guard& guard) : guard_(guard) {}
  Status GetServerInfo(ServerContext* context, const v1::GetServerInfoRequest*,
                       v1::ServerInfo* info) override {
    HONE_CHECK_TOKEN();
    (void)state;
    info->set_version("9.9.9");
    info->set_compiler_build("fake");
    info->add_targets("x86-64-v3");
    info->set_subject("users/ann");
    info->set_role("operator");
    info->set_project("projects/vision");
    return Status::OK;
  }

 private:
  Guard& guard_;
};

class FakeBlobService : public v1::BlobService::Service {
 public:
  explicit FakeBlobService(Guard& guard) : guard_(guard) {}

  Status QueryBlob(ServerContext* context, const v1::QueryBlobRequest* request,
                   v1::BlobStatus* status) override {
    HONE_CHECK_TOKEN();
    status->set_sha256(request->sha256());
    status->set_complete(state.blobs.count(request->sha256()) > 0);
    status->set_committed_size(status->complete() ? state.blobs[request->sha256()].size()
                                                  : state.partial[request->sha256()].size());
    return Status::OK;
  }

  Status UploadBlob(ServerContext* context, grpc::ServerReader<v1::UploadBlobRequest>* reader,
                    v1::BlobStatus* status) override {
    HONE_CHECK_TOKEN();
    v1::UploadBlobRequest request;
    if (!reader->Read(&request)) return Status(StatusCode::INVALID_ARGUMENT, "no first message");
    const v1::BlobRef blob = request.blob();
    std::string& data = state.partial[blob.sha256()];
    if (request.offset() != data.size()) return Status(StatusCode::OUT_OF_RANGE, "wrong offset");
    state.resumed_at = std::max(state.resumed_at, request.offset());
    const size_t breaks_at = data.size() + state.upload_breaks_after;
    do {
      data += request.data();
      if (state.upload_breaks_after > 0 && state.upload_breaks > 0 && data.size() > breaks_at) {
        data.resize(breaks_at);
        --state.upload_breaks;
        return Status(StatusCode::UNAVAILABLE, "the line broke");
      }
    } while (reader->Read(&request));
    if (Sha256Hex(data) != blob.sha256()) return Status(StatusCode::INVALID_ARGUMENT, "digest mismatch");
    state.blobs[blob.sha256()] = data;
    status->set_complete(true);
    status->set_committed_size(data.size());
    return Status::OK;
  }

  Status DownloadBlob(ServerContext* context, const v1::DownloadBlobRequest* request,
                      grpc::ServerWriter<v1::DownloadBlobResponse>* writer) override {
    HONE_CHECK_TOKEN();
    if (state.blobs.count(request->sha256()) == 0) return Status(StatusCode::NOT_FOUND, "no such blob");
    v1::DownloadBlobResponse response;
    response.set_data(state.blobs[request->sha256()].substr(request->offset()));
    if (state.corrupt_downloads && !response.data().empty()) (*response.mutable_data())[0] ^= 1;
    writer->Write(response);
    return Status::OK;
  }

 private:
  Guard& guard_;
};

class FakeModelService : public v1::ModelService::Service {
 public:
  explicit FakeModelService(Guard& guard) : guard_(guard) {}

  Status CreateModel(ServerContext* context, const v1::CreateModelRequest* request,
                     v1::Model* model) override {
    HONE_CHECK_TOKEN();
    for (const v1::NamedBlob& file : request->files()) {
      if (state.blobs.count(file.blob().sha256()) == 0)
        return Status(StatusCode::FAILED_PRECONDITION, file.name());
    }
    state.models.push_back(*request);
    model->set_name("models/m1");
    return Status::OK;
  }
  Status ListModels(ServerContext* context, const v1::ListModelsRequest*,
                    v1::ListModelsResponse* response) override {
    HONE_CHECK_TOKEN();
    response->mutable_models()->Assign(state.listed_models.begin(), state.listed_models.end());
    return Status::OK;
  }
  Status DeleteModel(ServerContext* context, const v1::DeleteModelRequest* request,
                     v1::DeleteModelResponse*) override {
    HONE_CHECK_TOKEN();
    std::erase_if(state.listed_models,
                  [&](const v1::Model& model) { return model.name() == request->name(); });
    return Status::OK;
  }
  Status InspectModel(ServerContext* context, const v1::InspectModelRequest* request,
                      v1::InspectModelResponse* response) override {
    HONE_CHECK_TOKEN();
    response->set_report_json(state.inspect_json);
    if (!request->dump_after().empty()) response->set_dump_text(state.dump_text);
    return Status::OK;
  }

 private:
  Guard& guard_;
};

class FakeJobService : public v1::JobService::Service {
 public:
  explicit FakeJobService(Guard& guard) : guard_(guard) {}

  Status CreateJob(ServerContext* context, const v1::CreateJobRequest* request, v1::Job* job) override {
    HONE_CHECK_TOKEN();
    if (request->request_id().empty()) return Status(StatusCode::INVALID_ARGUMENT, "no request_id");
    state.created.push_back(request->spec());
    job->set_name("jobs/j1");
    job->set_state(v1::JOB_STATE_QUEUED);
    *job->mutable_spec() = request->spec();
    state.jobs[job->name()] = *job;
    return Status::OK;
  }
  Status GetJob(ServerContext* context, const v1::GetJobRequest* request, v1::Job* job) override {
    HONE_CHECK_TOKEN();
    auto it = state.jobs.find(request->name());
    if (it == state.jobs.end()) return Status(StatusCode::NOT_FOUND, "no such job");
    *job = it->second;
    return Status::OK;
  }
  Status ListJobs(ServerContext* context, const v1::ListJobsRequest*,
                  v1::ListJobsResponse* response) override {
    HONE_CHECK_TOKEN();
    for (const auto& [name, job] : state.jobs) *response->add_jobs() = job;
    return Status::OK;
  }
  Status WatchJob(ServerContext* context, const v1::WatchJobRequest* request, v1::Job* job) override {
    HONE_CHECK_TOKEN();
    if (state.job_script.empty()) return Status(StatusCode::NOT_FOUND, "no such job");
    *job = state.job_script[std::min(state.watched++, state.job_script.size() - 1)];
    return Status::OK;
  }
  Status CancelJob(ServerContext* context, const v1::CancelJobRequest* request, v1::Job* job) override {
    HONE_CHECK_TOKEN();
    state.cancelled.push_back(request->name());
    *job = state.jobs[request->name()];
    return Status::OK;
  }
  Status ResumeJob(ServerContext* context, const v1::ResumeJobRequest* request, v1::Job* job) override {
    HONE_CHECK_TOKEN();
    *job = state.jobs[request->name()];
    if (job->end_time_micros() == 0) return Status(StatusCode::FAILED_PRECONDITION, "it has not ended");
    state.resumed.push_back(*request);
    job->set_state(v1::JOB_STATE_QUEUED);
    return Status::OK;
  }

 private:
  Guard& guard_;
};

class FakeModuleService : public v1::ModuleService::Service {
 public:
  explicit FakeModuleService(Guard& guard) : guard_(guard) {}

  Status GetModule(ServerContext* context, const v1::GetModuleRequest* request, v1::Module* module) override {
    HONE_CHECK_TOKEN();
    auto it = state.modules.find(request->name());
    if (it == state.modules.end()) return Status(StatusCode::NOT_FOUND, "no such module");
    *module = it->second;
    return Status::OK;
  }
  Status ListModules(ServerContext* context, const v1::ListModulesRequest*,
                     v1::ListModulesResponse* response) override {
    HONE_CHECK_TOKEN();
    for (const auto& [name, module] : state.modules) *response->add_modules() = module;
    return Status::OK;
  }

 private:
  Guard& guard_;
};

class FakeWorkerService : public v1::WorkerService::Service {
 public:
  explicit FakeWorkerService(Guard& guard) : guard_(guard) {}

  Status ListWorkers(ServerContext* context, const v1::ListWorkersRequest*,
                     v1::ListWorkersResponse* response) override {
    HONE_CHECK_TOKEN();
    for (const v1::Worker& worker : state.workers) *response->add_workers() = worker;
    return Status::OK;
  }

  Status ControlWorker(ServerContext* context, const v1::ControlWorkerRequest* request,
                       v1::Worker* response) override {
    HONE_CHECK_TOKEN();
    for (v1::Worker& worker : state.workers) {
      if (worker.name() != request->name()) continue;
      worker.set_hold(request->action() == v1::WORKER_ACTION_DRAIN ? "draining" : "");
      *response = worker;
    }
    return Status::OK;
  }

 private:
  Guard& guard_;
};

class FakeRecordService : public v1::RecordService::Service {
 public:
  explicit FakeRecordService(Guard& guard) : guard_(guard) {}

  Status ListRecords(ServerContext* context, const v1::ListRecordsRequest* request,
                     v1::ListRecordsResponse* response) override {
    HONE_CHECK_TOKEN();
    state.filters.push_back(request->filter());
    if (request->filter() == "bad(")
      return Status(StatusCode::INVALID_ARGUMENT, "filter: ')' expected at byte 4");
    constexpr size_t kPage = 2;
    const size_t from = request->page_token().empty() ? 0 : std::stoul(request->page_token());
    for (size_t i = from; i < std::min(from + kPage, state.records.size()); ++i) {
      *response->add_records() = state.records[i];
    }
    if (from + kPage < state.records.size()) response->set_next_page_token(std::to_string(from + kPage));
    return Status::OK;
  }
  Status ExplainRecord(ServerContext* context, const v1::ExplainRecordRequest* request,
                       v1::RecordExplanation* explanation) override {
    HONE_CHECK_TOKEN();
    state.explained.push_back(request->name());
    explanation->mutable_record()->set_name(request->name());
    explanation->set_prior_seconds(1e-3);
    explanation->set_predicted_seconds(1e-3);
    return Status::OK;
  }

 private:
  Guard& guard_;
};

}  // namespace

TestCertificate MakeTestCertificate() {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* x509 = X509_new();
  X509_set_version(x509, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
  X509_gmtime_adj(X509_getm_notBefore(x509), -60);
  X509_gmtime_adj(X509_getm_notAfter(x509), 3600);
  X509_set_pubkey(x509, key);
  X509_NAME* name = X509_get_subject_name(x509);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("hone"), -1, -1,
                             0);
  X509_set_issuer_name(x509, name);
  for (auto [nid, value] : {std::pair(NID_subject_alt_name, "DNS:hone-server"),
                            std::pair(NID_basic_constraints, "critical,CA:TRUE")}) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value);
    X509_add_ext(x509, extension, -1);
    X509_EXTENSION_free(extension);
  }
  X509_sign(x509, key, EVP_sha256());
  TestCertificate made{PemOf([&](BIO* bio) { PEM_write_bio_X509(bio, x509); }), PemOf([&](BIO* bio) {
                         PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
                       })};
  X509_free(x509);
  EVP_PKEY_free(key);
  return made;
}

struct FakeServer::Services {
  explicit Services(FakeState& state, const std::string& token) : guard(state, token) {}
  Guard guard;
  FakeServerService server{guard};
  FakeBlobService blobs{guard};
  FakeModelService models{guard};
  FakeJobService jobs{guard};
  FakeModuleService modules{guard};
  FakeWorkerService workers{guard};
  FakeRecordService records{guard};
};

FakeServer::FakeServer(const std::string& token, const std::string& listen)
    : token_(token), certificate_(MakeTestCertificate()) {
  services_ = std::make_unique<Services>(state_, token);
  grpc::SslServerCredentialsOptions ssl;
  ssl.pem_key_cert_pairs.push_back({certificate_.key_pem, certificate_.certificate_pem});
  grpc::ServerBuilder builder;
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  int port = 0;
  builder.AddListeningPort(listen, grpc::SslServerCredentials(ssl), &port);
  for (grpc::Service* service : std::initializer_list<grpc::Service*>{
           &services_->server, &services_->blobs, &services_->models, &services_->jobs, &services_->modules,
           &services_->workers, &services_->records}) {
    builder.RegisterService(service);
  }
  server_ = builder.BuildAndStart();
  address_ = "127.0.0.1:" + std::to_string(port);
}

FakeServer::~FakeServer() {
  if (server_ != nullptr) server_->Shutdown();
}

}  // namespace hone
