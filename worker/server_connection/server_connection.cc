#include "worker/server_connection/server_connection.h"

#include <grpcpp/grpcpp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <chrono>

#include "absl/strings/str_cat.h"
#include "hone/v1/blobs.grpc.pb.h"
#include "hone/v1/workers.grpc.pb.h"
#include "proto/values/value_messages.h"
#include "worker/server_connection/lease_messages.h"

namespace hone {
namespace {

constexpr double kSlowestBytesPerSecond = 256 * 1024;
constexpr int kLargestMessage = 16 << 20;

absl::Status FromGrpc(const grpc::Status& status, const std::string& what) {
  if (status.ok()) return absl::OkStatus();
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                      absl::StrCat(what, ": ", status.error_message()));
}

std::shared_ptr<grpc::Channel> MakeChannel(const ServerConnectionOptions& options) {
  grpc::SslCredentialsOptions ssl;
  ssl.pem_root_certs = options.ca_pem;
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

void Prepare(grpc::ClientContext& context, const std::string& token, absl::Duration limit) {
  context.AddMetadata("authorization", absl::StrCat("Bearer ", token));
  context.set_deadline(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(limit));
}

// Lets another thread cancel the call under way.
class Interruptible {
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

}  // namespace

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

struct ServerConnection::Stubs {
  absl::Duration answer_time;
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<v1::WorkerService::Stub> workers;
  std::unique_ptr<v1::BlobService::Stub> blobs;
  Interruptible synchronize, download;
};

ServerConnection::ServerConnection(const ServerConnectionOptions& options)
    : stubs_(std::make_unique<Stubs>()) {
  stubs_->answer_time = options.answer_time;
  stubs_->channel = MakeChannel(options);
  stubs_->workers = v1::WorkerService::NewStub(stubs_->channel);
  stubs_->blobs = v1::BlobService::NewStub(stubs_->channel);
}

ServerConnection::~ServerConnection() = default;

std::string SerialiseResult(const LeaseResult& result) { return ToMessage(result).SerializeAsString(); }

absl::StatusOr<Credentials> ServerConnection::Enrol(const std::string& enrol_token,
                                                    const std::string& request_id,
                                                    const std::string& display_name, const Device& device) {
  grpc::ClientContext context;
  Prepare(context, enrol_token, stubs_->answer_time);
  v1::EnrolRequest request;
  request.set_request_id(request_id);
  request.set_display_name(display_name);
  *request.mutable_device() = ToMessage(device);
  v1::EnrolResponse response;
  const grpc::Status status = stubs_->workers->Enrol(&context, request, &response);
  if (!status.ok()) return FromGrpc(status, "enrolling");
  return Credentials{response.worker(), response.token()};
}

absl::StatusOr<SynchronizeAnswer> ServerConnection::Synchronize(const Credentials& credentials,
                                                                const SynchronizeCall& call) {
  v1::SynchronizeRequest request;
  request.set_worker(credentials.worker);
  if (call.device) *request.mutable_device() = ToMessage(*call.device);
  for (const std::string& lease : call.running_leases) request.add_running_leases(lease);
  for (const std::string& bytes : call.results) {
    if (!request.add_results()->ParseFromString(bytes)) request.mutable_results()->RemoveLast();
  }
  request.set_accepts_lease(call.accepts_lease);
  request.set_wait_seconds(absl::ToDoubleSeconds(call.wait));

  grpc::ClientContext context;
  Prepare(context, credentials.token, call.wait + stubs_->answer_time);
  if (!stubs_->synchronize.Begin(&context)) return absl::CancelledError("interrupted");
  v1::SynchronizeResponse response;
  const grpc::Status status = stubs_->workers->Synchronize(&context, request, &response);
  stubs_->synchronize.End();
  if (!status.ok()) return FromGrpc(status, "synchronizing");

  SynchronizeAnswer answer;
  answer.acknowledged.assign(response.acknowledged().begin(), response.acknowledged().end());
  answer.abandon.assign(response.abandon().begin(), response.abandon().end());
  for (const v1::Lease& lease : response.leases())
    answer.leases.push_back({lease.lease_id(), FromMessage(lease)});
  return answer;
}

bool ServerConnection::IsConnected() const { return stubs_->channel->GetState(false) == GRPC_CHANNEL_READY; }

bool ServerConnection::AwaitConnected(absl::Duration limit) {
  return stubs_->channel->WaitForConnected(std::chrono::system_clock::now() +
                                           absl::ToChronoMilliseconds(limit));
}

void ServerConnection::InterruptSynchronize() { stubs_->synchronize.Interrupt(true); }

absl::Status ServerConnection::Download(const Credentials& credentials, const BlobId& blob, uint64_t offset,
                                        const std::function<absl::Status(std::string_view)>& sink) {
  grpc::ClientContext context;
  Prepare(context, credentials.token,
          stubs_->answer_time + absl::Seconds(static_cast<double>(blob.size) / kSlowestBytesPerSecond));
  v1::DownloadBlobRequest request;
  request.set_sha256(blob.sha256);
  request.set_offset(offset);
  if (!stubs_->download.Begin(&context)) return absl::CancelledError("interrupted");
  auto reader = stubs_->blobs->DownloadBlob(&context, request);
  absl::Status sunk;
  v1::DownloadBlobResponse chunk;
  while (sunk.ok() && reader->Read(&chunk)) sunk = sink(chunk.data());
  if (!sunk.ok()) context.TryCancel();
  const grpc::Status status = reader->Finish();
  stubs_->download.End();
  return sunk.ok() ? FromGrpc(status, absl::StrCat("downloading blob ", blob.sha256)) : sunk;
}

void ServerConnection::CancelDownload() { stubs_->download.Interrupt(false); }

}  // namespace hone
