#include "tests/worker/fake_server.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <chrono>

#include "absl/time/clock.h"
#include "grpc/grpc_security_constants.h"
#include "proto/values/sha256.h"

namespace hone {
namespace {

std::string TakePem(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string text(data, static_cast<size_t>(size));
  BIO_free(bio);
  return text;
}

std::string TokenOf(const grpc::ServerContext& context) {
  auto found = context.client_metadata().find("authorization");
  return found == context.client_metadata().end() ? ""
                                                  : std::string(found->second.begin(), found->second.end());
}

std::string CertificateOf(const grpc::ServerContext& context) {
  const auto found = context.auth_context()->FindPropertyValues(GRPC_X509_PEM_CERT_PROPERTY_NAME);
  return found.empty() ? "" : std::string(found.front().begin(), found.front().end());
}

std::unique_ptr<CertificateAuthority> MakeAuthority() {
  const CertificatePem own = *CertificateAuthority::Make();
  return *CertificateAuthority::Load(own.certificate + own.private_key, absl::Hours(24));
}

}  // namespace

TestCertificate MakeTestCertificate() {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = X509_new();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
  X509_set_pubkey(certificate, key);
  X509_NAME* name = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("localhost"),
                             -1, -1, 0);
  X509_set_issuer_name(certificate, name);
  X509_EXTENSION* names = X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "DNS:hone.test");
  X509_add_ext(certificate, names, -1);
  X509_EXTENSION_free(names);
  X509_sign(certificate, key, EVP_sha256());
  TestCertificate out;
  BIO* bio = BIO_new(BIO_s_mem());
  PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
  out.key = TakePem(bio);
  bio = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(bio, certificate);
  out.certificate = TakePem(bio);
  X509_free(certificate);
  EVP_PKEY_free(key);
  return out;
}

struct FakeServer::Services {
  struct Workers : v1::WorkerService::Service {
    FakeServer* fake;
    grpc::Status Enrol(grpc::ServerContext* context, const v1::EnrolRequest* request,
                       v1::EnrolResponse* response) override {
      return fake->Enrol(*context, *request, *response);
    }
    grpc::Status Synchronize(grpc::ServerContext* context, const v1::SynchronizeRequest* request,
                             v1::SynchronizeResponse* response) override {
      context->AddTrailingMetadata("x-request-id", "synchronized");
      return fake->Synchronize(*context, *request, *response);
    }
    grpc::Status RenewCertificate(grpc::ServerContext* context, const v1::RenewCertificateRequest* request,
                                  v1::RenewCertificateResponse* response) override {
      return fake->RenewCertificate(*context, *request, *response);
    }
  } workers;
  struct Blobs : v1::BlobService::Service {
    FakeServer* fake;
    grpc::Status DownloadBlob(grpc::ServerContext*, const v1::DownloadBlobRequest* request,
                              grpc::ServerWriter<v1::DownloadBlobResponse>* writer) override {
      return fake->DownloadBlob(*request, *writer);
    }
  } blobs;
};

FakeServer::~FakeServer() { Shutdown(); }

FakeServer::FakeServer() : certificate_(MakeTestCertificate()), authority_(MakeAuthority()) { Start(); }

void FakeServer::Start() {
  down_ = false;
  grpc::SslServerCredentialsOptions ssl(GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_BUT_DONT_VERIFY);
  ssl.pem_key_cert_pairs.push_back({certificate_.key, certificate_.certificate});
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:" + std::to_string(port_), grpc::SslServerCredentials(ssl), &port_);
  services_ = std::make_unique<Services>();
  services_->workers.fake = services_->blobs.fake = this;
  builder.RegisterService(&services_->workers);
  builder.RegisterService(&services_->blobs);
  server_ = builder.BuildAndStart();
}

void FakeServer::Shutdown() {
  if (!server_) return;
  Order([](FakeServer& s) { s.down_ = true; });
  server_->Shutdown(std::chrono::system_clock::now());
  server_.reset();
}

void FakeServer::AddBlob(const std::string& bytes) {
  Order([&](FakeServer& s) { s.blobs_[Sha256Hex(bytes)] = bytes; });
}

void FakeServer::AddLease(const v1::Lease& lease) {
  Order([&](FakeServer& s) { s.leases_.push_back(lease); });
}

void FakeServer::Abandon(const std::string& lease_id) {
  Order([&](FakeServer& s) { s.abandon_.insert(lease_id); });
}

void FakeServer::Order(const std::function<void(FakeServer&)>& order) {
  std::lock_guard lock(mutex_);
  order(*this);
  changed_.notify_all();
}

bool FakeServer::Await(const std::function<bool(FakeServer&)>& condition) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::seconds(30), [&] { return condition(*this); });
}

grpc::Status FakeServer::Enrol(const grpc::ServerContext& context, const v1::EnrolRequest& request,
                               v1::EnrolResponse& response) {
  std::lock_guard lock(mutex_);
  changed_.notify_all();
  const bool former = TokenOf(context) == std::string("Bearer ") + kFormerToken;
  if (!former && TokenOf(context) != std::string("Bearer ") + kEnrolToken) {
    return {grpc::StatusCode::UNAUTHENTICATED, "unknown enrol token"};
  }
  const std::string fresh = former ? "workers/7" : "workers/" + std::to_string(enrolled.size() + 1);
  const std::string worker = enrolled.emplace(request.request_id(), fresh).first->second;
  device = request.device();
  response.set_worker(worker);
  response.set_certificate(*authority_->Issue(request.certificate_request(), worker, absl::Now()));
  return grpc::Status::OK;
}

grpc::Status FakeServer::RenewCertificate(const grpc::ServerContext& context,
                                          const v1::RenewCertificateRequest& request,
                                          v1::RenewCertificateResponse& response) {
  std::lock_guard lock(mutex_);
  changed_.notify_all();
  const std::string worker = WorkerOf(context);
  if (worker.empty() || refuse_renewal) return {grpc::StatusCode::UNAUTHENTICATED, "unknown worker"};
  ++renewals;
  response.set_certificate(*authority_->Issue(request.certificate_request(), worker, absl::Now()));
  return grpc::Status::OK;
}

std::string FakeServer::WorkerOf(const grpc::ServerContext& context) const {
  const auto issued = authority_->Verify(CertificateOf(context));
  return issued.ok() ? issued->subject : "";
}

grpc::Status FakeServer::Synchronize(const grpc::ServerContext& context,
                                     const v1::SynchronizeRequest& request,
                                     v1::SynchronizeResponse& response) {
  std::unique_lock lock(mutex_);
  if (WorkerOf(context) != request.worker() || request.worker().empty() || refuse_identity > 0) {
    if (refuse_identity > 0) --refuse_identity;
    return {grpc::StatusCode::UNAUTHENTICATED, "unknown worker"};
  }
  if (removed) return {grpc::StatusCode::PERMISSION_DENIED, "the worker was removed"};
  workers_seen.insert(request.worker());
  certificates_seen.insert(CertificateOf(context));
  if (request.has_device()) device = request.device();
  running = {request.running_leases().begin(), request.running_leases().end()};
  ever_running.insert(running.begin(), running.end());
  for (const v1::LeaseResult& result : request.results()) {
    results[result.lease_id()].push_back(result);
    response.add_acknowledged(result.lease_id());
  }
  changed_.notify_all();
  if (request.results_size() > 0 && lose_acks > 0) {
    --lose_acks;
    return {grpc::StatusCode::UNAVAILABLE, "the answer got lost"};
  }
  const auto until = std::chrono::steady_clock::now() + std::chrono::duration<double>(request.wait_seconds());
  response.set_renew_certificate(certificates_seen.size() <= replacements);
  const auto news = [&] {
    return down_ || response.renew_certificate() || context.IsCancelled() ||
           (request.accepts_lease() && !leases_.empty()) ||
           std::any_of(abandon_.begin(), abandon_.end(),
                       [&](const auto& id) { return running.contains(id); });
  };
  // Woken now and then to see a cancelled call.
  while (!news() && std::chrono::steady_clock::now() < until)
    changed_.wait_for(lock, std::chrono::milliseconds(20));
  for (const std::string& id : abandon_) {
    if (running.contains(id)) response.add_abandon(id);
  }
  if (request.accepts_lease() && !leases_.empty() && !context.IsCancelled() && !down_) {
    *response.add_leases() = leases_.front();
    leases_.pop_front();
  }
  return grpc::Status::OK;
}

grpc::Status FakeServer::DownloadBlob(const v1::DownloadBlobRequest& request,
                                      grpc::ServerWriter<v1::DownloadBlobResponse>& writer) {
  std::unique_lock lock(mutex_);
  ++downloads;
  auto found = blobs_.find(request.sha256());
  if (found == blobs_.end()) return {grpc::StatusCode::NOT_FOUND, "no such blob"};
  v1::DownloadBlobResponse chunk;
  chunk.set_data(found->second.substr(request.offset(), cut_blobs_at > 0 ? cut_blobs_at : std::string::npos));
  const bool all = request.offset() + chunk.data().size() == found->second.size();
  lock.unlock();
  writer.Write(chunk);
  return all ? grpc::Status::OK : grpc::Status(grpc::StatusCode::UNAVAILABLE, "cut");
}

}  // namespace hone
