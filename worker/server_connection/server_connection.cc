#include "worker/server_connection/server_connection.h"

#include <grpcpp/grpcpp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <chrono>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "hone/v1/blobs.grpc.pb.h"
#include "hone/v1/workers.grpc.pb.h"
#include "proto/values/request_id.h"
#include "proto/values/sha256.h"
#include "proto/values/value_messages.h"
#include "worker/server_connection/lease_messages.h"

namespace hone {
namespace {

constexpr double kSlowestBytesPerSecond = 256 * 1024;
constexpr int kLargestMessage = 16 << 20;

// How a call ended; with the id under which the server's log has it, if it answered.
absl::Status FromGrpc(const grpc::ClientContext& context, const grpc::Status& status,
                      const std::string& what) {
  if (status.ok()) return absl::OkStatus();
  absl::Status result(static_cast<absl::StatusCode>(status.error_code()),
                      absl::StrCat(what, ": ", status.error_message()));
  const auto& told = context.GetServerTrailingMetadata();
  if (const auto id = told.find(kRequestIdKey); id != told.end()) {
    result.SetPayload("request", absl::Cord(absl::string_view(id->second.data(), id->second.size())));
  }
  return result;
}

std::shared_ptr<grpc::Channel> MakeChannel(const ServerConnectionOptions& options, const Identity& identity) {
  grpc::SslCredentialsOptions ssl;
  ssl.pem_root_certs = options.ca_pem;
  ssl.pem_private_key = identity.private_key;
  ssl.pem_cert_chain = identity.certificate;
  grpc::ChannelArguments arguments;
  const std::string name = options.server_name.empty() ? PinnedName(options.ca_pem) : options.server_name;
  if (!name.empty()) arguments.SetSslTargetNameOverride(name);
  arguments.SetMaxReceiveMessageSize(kLargestMessage);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS,
                   static_cast<int>(absl::ToInt64Milliseconds(options.keepalive)));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
                   static_cast<int>(absl::ToInt64Milliseconds(options.keepalive / 2)));
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 200);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 2000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 5000);
  return grpc::CreateCustomChannel(options.address, grpc::SslCredentials(ssl), arguments);
}

void Limit(grpc::ClientContext& context, absl::Duration limit) {
  context.set_deadline(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(limit));
}

}  // namespace

// Lets another thread cancel the call under way.
struct ServerConnection::Interruptible {
 public:
  // False if an interruption was waiting: then the call must not be made.
  bool Begin(grpc::ClientContext* context) {
    std::lock_guard lock(mutex_);
    if (std::exchange(pending_, false)) return false;
    context_ = context;
    return true;
  }
  void End() {
    std::lock_guard lock(mutex_);
    context_ = nullptr;
    pending_ = false;
  }
  void Interrupt(bool also_next) {
    std::lock_guard lock(mutex_);
    pending_ = also_next;
    if (context_) context_->TryCancel();
  }

 private:
  std::mutex mutex_;
  grpc::ClientContext* context_ = nullptr;
  bool pending_ = false;
};

std::string PinnedName(const std::string& pem) {
  std::string name;
  BIO* bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  X509* certificate = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
  BIO_free(bio);
  if (!certificate) return name;
  auto* names =
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; names && name.empty() && i < sk_GENERAL_NAME_num(names); ++i) {
    const GENERAL_NAME* entry = sk_GENERAL_NAME_value(names, i);
    if (entry->type != GEN_DNS) continue;
    const ASN1_IA5STRING* text = entry->d.dNSName;
    name.assign(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                static_cast<size_t>(ASN1_STRING_length(text)));
  }
  GENERAL_NAMES_free(names);
  X509_free(certificate);
  return name;
}

// The certificate is the connection's: with another one there is another connection.
struct ServerConnection::Link {
  Link(const ServerConnectionOptions& options, const Identity& identity)
      : worker(identity.worker),
        channel(MakeChannel(options, identity)),
        workers(v1::WorkerService::NewStub(channel)),
        blobs(v1::BlobService::NewStub(channel)) {}

  const std::string worker;
  const std::shared_ptr<grpc::Channel> channel;
  const std::unique_ptr<v1::WorkerService::Stub> workers;
  const std::unique_ptr<v1::BlobService::Stub> blobs;
};

ServerConnection::ServerConnection(const ServerConnectionOptions& options)
    : options_(options),
      link_(std::make_shared<Link>(options, Identity{})),
      synchronize_(std::make_unique<Interruptible>()),
      download_(std::make_unique<Interruptible>()) {}

ServerConnection::~ServerConnection() = default;

void ServerConnection::Identify(const Identity& identity) {
  auto link = std::make_shared<Link>(options_, identity);
  std::lock_guard lock(mutex_);
  link_ = std::move(link);
}

std::shared_ptr<ServerConnection::Link> ServerConnection::CurrentLink() const {
  std::lock_guard lock(mutex_);
  return link_;
}

std::string SerialiseResult(const LeaseResult& result) { return ToMessage(result).SerializeAsString(); }

absl::StatusOr<Identity> ServerConnection::Enrol(const std::string& enrol_token,
                                                 const CertificateRequest& asked,
                                                 const std::string& display_name, const Device& device) {
  grpc::ClientContext context;
  Limit(context, options_.answer_time);
  context.AddMetadata("authorization", absl::StrCat("Bearer ", enrol_token));
  v1::EnrolRequest request;
  request.set_request_id(Sha256Hex(asked.request));
  request.set_certificate_request(asked.request);
  request.set_display_name(display_name);
  *request.mutable_device() = ToMessage(device);
  v1::EnrolResponse response;
  const grpc::Status status = CurrentLink()->workers->Enrol(&context, request, &response);
  if (!status.ok()) return FromGrpc(context, status, "enrolling");
  if (response.certificate().empty())
    return absl::FailedPreconditionError(
        "enrolling: the server gives no certificate: it is older than this hone-worker");
  return Identity{response.worker(), asked.private_key, response.certificate()};
}

absl::StatusOr<Identity> ServerConnection::RenewCertificate(const CertificateRequest& asked) {
  const std::shared_ptr<Link> link = CurrentLink();
  grpc::ClientContext context;
  Limit(context, options_.answer_time);
  v1::RenewCertificateRequest request;
  request.set_certificate_request(asked.request);
  v1::RenewCertificateResponse response;
  const grpc::Status status = link->workers->RenewCertificate(&context, request, &response);
  if (!status.ok()) return FromGrpc(context, status, "renewing the certificate");
  return Identity{link->worker, asked.private_key, response.certificate()};
}

absl::StatusOr<SynchronizeAnswer> ServerConnection::Synchronize(const SynchronizeCall& call) {
  const std::shared_ptr<Link> link = CurrentLink();
  v1::SynchronizeRequest request;
  request.set_worker(link->worker);
  if (call.device) *request.mutable_device() = ToMessage(*call.device);
  for (const std::string& lease : call.running_leases) request.add_running_leases(lease);
  for (const std::string& bytes : call.results) {
    if (!request.add_results()->ParseFromString(bytes)) request.mutable_results()->RemoveLast();
  }
  request.set_accepts_lease(call.accepts_lease);
  request.set_wait_seconds(absl::ToDoubleSeconds(call.wait));

  grpc::ClientContext context;
  Limit(context, call.wait + options_.answer_time);
  if (!synchronize_->Begin(&context)) return absl::CancelledError("interrupted");
  v1::SynchronizeResponse response;
  const grpc::Status status = link->workers->Synchronize(&context, request, &response);
  synchronize_->End();
  if (!status.ok()) return FromGrpc(context, status, "synchronizing");

  SynchronizeAnswer answer;
  answer.acknowledged.assign(response.acknowledged().begin(), response.acknowledged().end());
  answer.abandon.assign(response.abandon().begin(), response.abandon().end());
  for (const v1::Lease& lease : response.leases())
    answer.leases.push_back({lease.lease_id(), FromMessage(lease)});
  answer.renew_certificate = response.renew_certificate();
  return answer;
}

bool ServerConnection::IsConnected() const {
  return CurrentLink()->channel->GetState(false) == GRPC_CHANNEL_READY;
}

bool ServerConnection::AwaitConnected(absl::Duration limit) {
  return CurrentLink()->channel->WaitForConnected(std::chrono::system_clock::now() +
                                                  absl::ToChronoMilliseconds(limit));
}

void ServerConnection::InterruptSynchronize() { synchronize_->Interrupt(true); }

absl::Status ServerConnection::Download(const BlobId& blob, uint64_t offset,
                                        const std::function<absl::Status(std::string_view)>& sink) {
  const std::shared_ptr<Link> link = CurrentLink();
  grpc::ClientContext context;
  Limit(context,
        options_.answer_time + absl::Seconds(static_cast<double>(blob.size) / kSlowestBytesPerSecond));
  v1::DownloadBlobRequest request;
  request.set_sha256(blob.sha256);
  request.set_offset(offset);
  if (!download_->Begin(&context)) return absl::CancelledError("interrupted");
  auto reader = link->blobs->DownloadBlob(&context, request);
  absl::Status sunk;
  v1::DownloadBlobResponse chunk;
  while (sunk.ok() && reader->Read(&chunk)) sunk = sink(chunk.data());
  if (!sunk.ok()) context.TryCancel();
  const grpc::Status status = reader->Finish();
  download_->End();
  return sunk.ok() ? FromGrpc(context, status, absl::StrCat("downloading blob ", blob.sha256)) : sunk;
}

void ServerConnection::CancelDownload() { download_->Interrupt(false); }

}  // namespace hone
