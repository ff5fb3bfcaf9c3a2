#include "server/service/grpc_edge.h"

#include "absl/time/time.h"
#include "absl/time/clock.h"
#include "grpcpp/security/auth_metadata_processor.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"
#include "server/execution/log.h"
#include "server/execution/status_macros.h"
#include "server/service/blob_service.h"
#include "server/service/catalogue_services.h"
#include "server/service/grpc_status.h"
#include "server/service/job_service.h"
#include "server/service/listener.h"
#include "server/service/worker_service.h"

namespace hone {
namespace {

constexpr int kMaxMessageBytes = 64 << 20;
constexpr int kMaxStreamsPerConnection = 100;
constexpr int kKeepaliveMilliseconds = 30'000;
constexpr int kMinClientPingMilliseconds = 5'000;

// The one place where a call is let in: gRPC asks it before any method, known or not, is called.
class TokenProcessor final : public grpc::AuthMetadataProcessor {
 public:
  explicit TokenProcessor(const TokenTable& tokens) : tokens_(tokens) {}
  bool IsBlocking() const override { return false; }   // a look into a map

  grpc::Status Process(const InputMetadata& metadata, grpc::AuthContext*, OutputMetadata*, OutputMetadata*) override {
    const absl::StatusOr<Principal> principal = tokens_.Authorise(Value(metadata, "authorization"), Value(metadata, ":path"));
    if (!principal.ok()) LogEvent("call_refused", {{"path", std::string(Value(metadata, ":path"))}, {"reason", std::string(principal.status().message())}});
    return ToGrpc(principal.status());
  }

 private:
  static std::string_view Value(const InputMetadata& metadata, const char* key) {
    auto found = metadata.find(key);
    return found == metadata.end() ? std::string_view() : std::string_view(found->second.data(), found->second.size());
  }

  const TokenTable& tokens_;
};

class Edge final : public GrpcEdge {
 public:
  Edge(ServiceContext& context, std::unique_ptr<Listener> listener)
      : listener_(std::move(listener)), models_(context), modules_(context), records_(context), server_info_(context),
        jobs_(context), workers_(context), blobs_(context) {}
  ~Edge() override { Stop(absl::Now()); }

  absl::Status Serve(const TokenTable& tokens, const CertificatePem& certificate) {
    grpc::SslServerCredentialsOptions options;
    options.pem_key_cert_pairs.push_back({certificate.private_key, certificate.certificate});
    std::shared_ptr<grpc::ServerCredentials> credentials = grpc::SslServerCredentials(options);
    credentials->SetAuthMetadataProcessor(std::make_shared<TokenProcessor>(tokens));
    grpc::ServerBuilder builder;
    builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
    builder.SetMaxSendMessageSize(kMaxMessageBytes);
    builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMaxStreamsPerConnection);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMilliseconds);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, kMinClientPingMilliseconds);
    for (grpc::Service* service : {static_cast<grpc::Service*>(&models_), static_cast<grpc::Service*>(&modules_),
                                   static_cast<grpc::Service*>(&records_), static_cast<grpc::Service*>(&server_info_),
                                   static_cast<grpc::Service*>(&jobs_), static_cast<grpc::Service*>(&workers_),
                                   static_cast<grpc::Service*>(&blobs_)}) {
      builder.RegisterService(service);
    }
    acceptor_ = builder.experimental().AddExternalConnectionAcceptor(
        grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD, credentials);
    server_ = builder.BuildAndStart();
    if (server_ == nullptr) return absl::InternalError("gRPC did not start (is the certificate valid?)");
    listener_->Start([this](FileDescriptor connection) {
      grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters parameters;
      parameters.fd = connection.Release();   // gRPC closes it
      acceptor_->HandleNewConnection(&parameters);
    });
    return absl::OkStatus();
  }

  const std::string& address() const override { return listener_->address(); }

  void Stop(absl::Time deadline) override {
    if (server_ == nullptr) return;
    listener_->Stop();
    server_->Shutdown(absl::ToChronoTime(deadline));
    server_.reset();
  }

 private:
  std::unique_ptr<Listener> listener_;
  ModelService models_;
  ModuleService modules_;
  RecordService records_;
  ServerService server_info_;
  JobService jobs_;
  WorkerService workers_;
  BlobService blobs_;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<GrpcEdge>> GrpcEdge::Start(ServiceContext& context, const std::string& address,
                                                          const CertificatePem& certificate) {
  HONE_ASSIGN_OR_RETURN(std::unique_ptr<Listener> listener, Listener::Open(address));
  auto edge = std::make_unique<Edge>(context, std::move(listener));
  HONE_RETURN_IF_ERROR(edge->Serve(context.tokens, certificate));
  return edge;
}

}  // namespace hone
