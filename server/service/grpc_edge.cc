#include "server/service/grpc_edge.h"

#include <atomic>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "grpcpp/security/auth_metadata_processor.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"
#include "server/execution/log.h"
#include "server/execution/status_macros.h"
#include "server/network/listener.h"
#include "server/service/admin_service.h"
#include "server/service/blob_service.h"
#include "server/service/catalogue_services.h"
#include "server/service/grpc_status.h"
#include "server/service/job_service.h"
#include "server/service/unary_call.h"
#include "server/service/worker_service.h"

namespace hone {
namespace {

constexpr int kMaxMessageBytes = 64 << 20;
constexpr int kMaxStreamsPerConnection = 100;
constexpr int kKeepaliveMilliseconds = 30'000;
// gRPC 1.51 counts pings that come too often by nesting one error into the last, each a copy of all before: a
// flood costs hundreds of MiB. Uncounted, it costs what any other stranger may send.
constexpr int kPingStrikesUncounted = 0;
constexpr absl::Duration kGoodbyePatience = absl::Seconds(2);  // an idle client may answer GOAWAY late
constexpr uint64_t kLoggedPerSecond = 10;  // calls refused

// The one place where a call is let in: gRPC asks it before any method, known or not, is called.
class CredentialsProcessor final : public grpc::AuthMetadataProcessor {
 public:
  CredentialsProcessor(const TokenTable& tokens, CallMetrics& calls, const std::atomic<bool>& draining)
      : tokens_(tokens), calls_(calls), draining_(draining) {}
  bool IsBlocking() const override { return false; }  // a look into a map, at most a signature is verified

  grpc::Status Process(const InputMetadata& metadata, grpc::AuthContext* peer, OutputMetadata*,
                       OutputMetadata*) override {
    const absl::Status status = Check(metadata, peer);
    if (!status.ok()) {
      calls_.CountRefused(status.code());
      if (log_limit_.Admits())
        LogEvent("call_refused",
                 {{"request", std::string(Value(metadata, kRequestIdKey).substr(0, kMaxRequestId))},
                  {"path", std::string(Value(metadata, ":path"))},
                  {"reason", std::string(status.message())}});
    }
    return ToGrpc(status);
  }

 private:
  absl::Status Check(const InputMetadata& metadata, const grpc::AuthContext* peer) const {
    if (draining_) return absl::UnavailableError("the server is stopping; call again in a few seconds");
    return tokens_
        .Authorise({std::string(Value(metadata, "authorization")), CertificateOf(peer)},
                   Value(metadata, ":path"))
        .status();
  }
  static std::string_view Value(const InputMetadata& metadata, const char* key) {
    auto found = metadata.find(key);
    return found == metadata.end() ? std::string_view()
                                   : std::string_view(found->second.data(), found->second.size());
  }

  const TokenTable& tokens_;
  CallMetrics& calls_;
  const std::atomic<bool>& draining_;
  LogLimit log_limit_{kLoggedPerSecond};
};

// Sees the calls that were let in, and nothing else of them: whose they are keeps its connection.
class TrustFactory final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  explicit TrustFactory(Listener& listener) : listener_(listener) {}
  grpc::experimental::Interceptor* CreateServerInterceptor(grpc::experimental::ServerRpcInfo* call) override {
    listener_.Trust(call->server_context()->peer());
    return nullptr;
  }

 private:
  Listener& listener_;
};

}  // namespace

struct GrpcEdge::Parts {
  Parts(ServiceContext& context, std::unique_ptr<Listener> opened)
      : listener(std::move(opened)),
        calls(context.calls),
        models(context),
        modules(context),
        records(context),
        info(context),
        jobs(context),
        workers(context),
        blobs(context),
        admin(context) {}

  std::unique_ptr<Listener> listener;
  CallMetrics& calls;
  std::atomic<bool> draining = false;
  ModelService models;
  ModuleService modules;
  RecordService records;
  ServerService info;
  JobService jobs;
  WorkerService workers;
  BlobService blobs;
  AdminService admin;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor;
  std::unique_ptr<grpc::Server> server;
};

GrpcEdge::GrpcEdge(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

GrpcEdge::~GrpcEdge() {
  Drain(absl::Now());
  if (parts_->server != nullptr) parts_->server->Shutdown(absl::ToChronoTime(absl::Now() + kGoodbyePatience));
}

absl::StatusOr<std::unique_ptr<GrpcEdge>> GrpcEdge::Start(ServiceContext& context, const std::string& address,
                                                          const CertificatePem& certificate) {
  HONE_ASSIGN_OR_RETURN(std::unique_ptr<Listener> listener, Listener::Open(address, {.tls = true}));
  auto owned = std::make_unique<Parts>(context, std::move(listener));
  Parts& parts = *owned;
  // Workers show certificates, people none. TLS asks for the proof that a caller has its certificate's key;
  // what the certificate is good for the table decides, which can say why not: a failed handshake only looks
  // like a bad network.
  grpc::SslServerCredentialsOptions options(GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_BUT_DONT_VERIFY);
  options.pem_key_cert_pairs.push_back({certificate.private_key, certificate.certificate});
  std::shared_ptr<grpc::ServerCredentials> credentials = grpc::SslServerCredentials(options);
  credentials->SetAuthMetadataProcessor(
      std::make_shared<CredentialsProcessor>(context.tokens, context.calls, parts.draining));
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
  builder.SetMaxSendMessageSize(kMaxMessageBytes);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMaxStreamsPerConnection);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMilliseconds);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, kPingStrikesUncounted);
  const std::initializer_list<grpc::Service*> services = {&parts.models, &parts.modules, &parts.records,
                                                          &parts.info,   &parts.jobs,    &parts.workers,
                                                          &parts.blobs,  &parts.admin};
  for (grpc::Service* service : services) builder.RegisterService(service);
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> interceptors;
  interceptors.push_back(context.calls.Interceptors());
  interceptors.push_back(std::make_unique<TrustFactory>(*parts.listener));
  builder.experimental().SetInterceptorCreators(std::move(interceptors));
  parts.acceptor = builder.experimental().AddExternalConnectionAcceptor(
      grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD, credentials);
  parts.server = builder.BuildAndStart();
  if (parts.server == nullptr) return absl::InternalError("gRPC did not start (is the certificate valid?)");
  parts.listener->Start([&parts](FileDescriptor connection) {
    grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters parameters;
    parameters.fd = connection.Release();  // gRPC closes it
    parts.acceptor->HandleNewConnection(&parameters);
  });
  return std::unique_ptr<GrpcEdge>(new GrpcEdge(std::move(owned)));
}

const std::string& GrpcEdge::address() const { return parts_->listener->address(); }

std::shared_ptr<grpc::Channel> GrpcEdge::InProcessChannel() const {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  return parts_->server->InProcessChannel(arguments);
}

void GrpcEdge::Drain(absl::Time deadline) {
  parts_->draining = true;
  parts_->listener->Stop();
  parts_->calls.WaitForNone(deadline);
}

}  // namespace hone
