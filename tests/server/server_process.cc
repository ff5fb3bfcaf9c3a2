#include "tests/server/server_process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/security/credentials.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "proto/values/sha256.h"

extern char** environ;

namespace hone {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(20);

class Bearer final : public grpc::MetadataCredentialsPlugin {
 public:
  explicit Bearer(std::string token) : token_(std::move(token)) {}
  grpc::Status GetMetadata(grpc::string_ref, grpc::string_ref, const grpc::AuthContext&,
                           std::multimap<grpc::string, grpc::string>* metadata) override {
    metadata->emplace("authorization", "Bearer " + token_);
    return grpc::Status::OK;
  }

 private:
  const std::string token_;
};

}  // namespace

ServerProcess::ServerProcess(std::string data_dir, std::vector<std::string> flags,
                             std::vector<std::string> wrapper)
    : data_dir_(std::move(data_dir)), flags_(std::move(flags)), wrapper_(std::move(wrapper)) {}

ServerProcess::~ServerProcess() {
  if (pid_ > 0) Stop(SIGKILL);
}

void ServerProcess::Start() {
  ASSERT_TRUE(TryStart()) << "the server ended at start; see " << data_dir_ << ".log";
}

bool ServerProcess::TryStart() {
  std::vector<std::string> words = wrapper_;
  words.insert(words.end(),
               {HONE_SERVER_BINARY, "--data-dir", data_dir_, "--job-binary", HONE_FAKE_JOB_BINARY,
                "--allow-unsandboxed"});  // as far as the machine goes
  words.insert(words.end(), flags_.begin(), flags_.end());
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  std::error_code error;
  std::filesystem::remove(data_dir_ + "/endpoint.json", error);  // a killed server's
  const std::string log = data_dir_ + ".log";
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 2, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  EXPECT_EQ(posix_spawnp(&pid_, words[0].c_str(), &files, nullptr, arguments.data(), environ), 0) << words[0];
  posix_spawn_file_actions_destroy(&files);
  const absl::Time deadline = absl::Now() + kPatience;
  while (!std::filesystem::exists(data_dir_ + "/endpoint.json")) {
    if (!IsRunning()) return false;
    if (absl::Now() > deadline) {
      ADD_FAILURE() << "the server does not come up; see " << log;
      return false;
    }
    absl::SleepFor(absl::Milliseconds(5));  // polls another process's file
  }
  return true;
}

bool ServerProcess::IsRunning() {
  if (pid_ > 0 && waitpid(pid_, nullptr, WNOHANG) == pid_) pid_ = -1;
  return pid_ > 0;
}

int ServerProcess::Stop(int signal) {
  int status = 0;
  kill(pid_, signal);
  waitpid(pid_, &status, 0);
  pid_ = -1;
  return status;
}

std::string ServerProcess::Read(const std::string& name) const {
  std::ifstream in(data_dir_ + "/" + name);
  std::stringstream content;
  content << in.rdbuf();
  return content.str();
}

std::string ServerProcess::Endpoint(const char* key) const {
  const auto json = nlohmann::json::parse(Read("endpoint.json"), nullptr, /*allow_exceptions=*/false);
  return json.is_object() ? json.value(key, "") : "127.0.0.1:1";  // the server is away: nobody answers there
}
std::string ServerProcess::Grpc() const { return Endpoint("grpc"); }
std::string ServerProcess::Http() const { return Endpoint("http"); }
std::string ServerProcess::AdminToken() const {
  return std::string(absl::StripAsciiWhitespace(Read("admin.token")));
}
std::string ServerProcess::EnrolToken() const {
  return std::string(absl::StripAsciiWhitespace(Read("enrol.token")));
}

std::shared_ptr<grpc::Channel> ServerProcess::Channel(const std::string& token,
                                                      const std::string& certificate) const {
  grpc::SslCredentialsOptions tls;
  tls.pem_root_certs = certificate.empty() ? Read("tls/cert.pem") : certificate;
  return Channel(tls, token);
}

std::shared_ptr<grpc::Channel> ServerProcess::Channel(const WorkerIdentity& worker,
                                                      const std::string& token) const {
  return Channel(grpc::SslCredentialsOptions{Read("tls/cert.pem"), worker.private_key, worker.certificate},
                 token);
}

std::shared_ptr<grpc::Channel> ServerProcess::Channel(const grpc::SslCredentialsOptions& tls,
                                                      const std::string& token) const {
  std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::SslCredentials(tls);
  if (!token.empty()) {
    credentials = grpc::CompositeChannelCredentials(
        credentials, grpc::MetadataCredentialsFromPlugin(std::make_unique<Bearer>(token)));
  }
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 200);
  arguments.SetInt("grpc.testing.fixed_reconnect_backoff_ms", 100);
  return grpc::CreateCustomChannel(Grpc(), credentials, arguments);
}

FileDescriptor Connect(const std::string& address) {
  int port = 0;
  EXPECT_TRUE(absl::SimpleAtoi(address.substr(address.rfind(':') + 1), &port));
  FileDescriptor socket(::socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_port = htons(static_cast<uint16_t>(port));
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(socket.get(), reinterpret_cast<sockaddr*>(&name), sizeof(name)), 0);
  return socket;
}

HttpAnswer SendHttp(const std::string& address, const std::string& request) {
  const FileDescriptor socket = Connect(address);
  send(socket.get(), request.data(), request.size(), MSG_NOSIGNAL);
  shutdown(socket.get(), SHUT_WR);
  std::string whole;
  char buffer[4096];
  for (ssize_t got; (got = recv(socket.get(), buffer, sizeof(buffer), 0)) > 0;)
    whole.append(buffer, static_cast<size_t>(got));
  HttpAnswer answer;
  const size_t end = whole.find("\r\n\r\n");
  if (end == std::string::npos || whole.size() < 12) return answer;
  EXPECT_TRUE(absl::SimpleAtoi(whole.substr(9, 3), &answer.status)) << whole;
  answer.head = whole.substr(0, end);
  answer.body = whole.substr(end + 4);
  return answer;
}

HttpAnswer GetHttp(const std::string& address, const std::string& path, const std::string& token) {
  const std::string authorization = token.empty() ? "" : absl::StrCat("Authorization: Bearer ", token, "\r\n");
  return SendHttp(address, absl::StrCat("GET ", path, " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n",
                                        authorization, "\r\n"));
}

grpc::Status Call(const std::shared_ptr<grpc::Channel>& channel, const std::string& path, double seconds,
                  const std::string& request, std::string* response) {
  grpc::GenericStub stub(channel);
  auto context = Caller::Context(seconds);
  grpc::CompletionQueue queue;
  const grpc::Slice bytes(request);
  grpc::ByteBuffer sent(&bytes, 1), received;
  auto call = stub.PrepareUnaryCall(context.get(), path, sent, &queue);
  grpc::Status status;
  call->StartCall();
  call->Finish(&received, &status, &queue);
  void* tag;
  bool ok;
  queue.Next(&tag, &ok);
  grpc::Slice whole;
  if (response != nullptr && status.ok() && received.DumpToSingleSlice(&whole).ok())
    response->assign(reinterpret_cast<const char*>(whole.begin()), whole.size());
  return status;
}

Caller::Caller(std::shared_ptr<grpc::Channel> channel, double patience_seconds)
    : blobs(v1::BlobService::NewStub(channel)),
      models(v1::ModelService::NewStub(channel)),
      jobs(v1::JobService::NewStub(channel)),
      modules(v1::ModuleService::NewStub(channel)),
      records(v1::RecordService::NewStub(channel)),
      workers(v1::WorkerService::NewStub(channel)),
      server(v1::ServerService::NewStub(channel)),
      admin(v1::AdminService::NewStub(channel)),
      patience_seconds_(patience_seconds) {}

std::unique_ptr<grpc::ClientContext> Caller::Context(double seconds) {
  auto context = std::make_unique<grpc::ClientContext>();
  context->set_wait_for_ready(true);
  context->set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(seconds)));
  return context;
}

grpc::Status Caller::Upload(const std::string& content, v1::BlobStatus* status, size_t chunk) {
  auto context = Context(patience_seconds_);
  auto writer = blobs->UploadBlob(context.get(), status);
  v1::UploadBlobRequest request;
  request.mutable_blob()->set_sha256(Sha256Hex(content));
  request.mutable_blob()->set_size(content.size());
  for (size_t at = 0; at < content.size() || at == 0; at += chunk) {
    request.set_data(content.substr(at, chunk));
    if (!writer->Write(request)) break;
    request.clear_blob();
  }
  writer->WritesDone();
  return writer->Finish();
}

std::string Caller::Download(const std::string& sha256) {
  auto context = Context(patience_seconds_);
  v1::DownloadBlobRequest request;
  request.set_sha256(sha256);
  auto reader = blobs->DownloadBlob(context.get(), request);
  std::string content;
  v1::DownloadBlobResponse response;
  while (reader->Read(&response)) content += response.data();
  const grpc::Status status = reader->Finish();
  EXPECT_TRUE(status.ok()) << status.error_message();
  return content;
}

grpc::Status Caller::CheckBlob(const std::string& sha256, double seconds) {
  auto context = Context(seconds);
  v1::DownloadBlobRequest request;
  request.set_sha256(sha256);
  auto reader = blobs->DownloadBlob(context.get(), request);
  Sha256 digest;
  for (v1::DownloadBlobResponse response; reader->Read(&response);) digest.Update(response.data());
  const grpc::Status status = reader->Finish();
  if (!status.ok() || digest.FinishHex() == sha256) return status;
  return {grpc::DATA_LOSS, absl::StrCat("the content of ", sha256, " is another")};
}

v1::Model Caller::CreateModel(const std::string& content, const std::string& name) {
  v1::BlobStatus blob;
  grpc::Status status = Upload(content, &blob);
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_TRUE(blob.complete());
  v1::CreateModelRequest request;
  request.set_display_name(name);
  request.set_main_file("model.onnx");
  request.add_files()->set_name("model.onnx");
  request.mutable_files(0)->mutable_blob()->set_sha256(Sha256Hex(content));
  request.mutable_files(0)->mutable_blob()->set_size(content.size());
  v1::Model model;
  status = models->CreateModel(Context(patience_seconds_).get(), request, &model);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return model;
}

v1::Job Caller::CreateJob(const std::string& model, const std::string& request_id) {
  v1::CreateJobRequest request;
  request.set_request_id(request_id);
  request.mutable_spec()->set_model(model);
  request.mutable_spec()->set_target("x86-64-v3");
  v1::Job job;
  const grpc::Status status = jobs->CreateJob(Context(patience_seconds_).get(), request, &job);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return job;
}

v1::Job Caller::GetJob(const std::string& name) {
  v1::GetJobRequest request;
  request.set_name(name);
  v1::Job job;
  const grpc::Status status = jobs->GetJob(Context(patience_seconds_).get(), request, &job);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return job;
}

v1::Job Caller::WaitForEnd(const std::string& job) {
  v1::WatchJobRequest request;
  request.set_name(job);
  request.set_timeout_seconds(5);
  const absl::Time deadline = absl::Now() + absl::Seconds(60);
  v1::Job answer;
  while (answer.end_time_micros() == 0) {
    const grpc::Status status = jobs->WatchJob(Context(patience_seconds_).get(), request, &answer);
    request.set_after_revision(status.ok() ? answer.revision() : 0);
    if (absl::Now() > deadline) {
      ADD_FAILURE() << job << " does not end: " << answer.DebugString();
      return answer;
    }
  }
  return answer;
}

std::vector<v1::TuningRecord> Caller::Records(const std::string& filter) {
  v1::ListRecordsRequest request;
  request.set_filter(filter);
  request.set_page_size(7);  // several pages even for few records
  std::vector<v1::TuningRecord> all;
  do {
    v1::ListRecordsResponse response;
    const grpc::Status status = records->ListRecords(Context(patience_seconds_).get(), request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    if (!status.ok()) return all;
    all.insert(all.end(), response.records().begin(), response.records().end());
    request.set_page_token(response.next_page_token());
  } while (!request.page_token().empty());
  return all;
}

}  // namespace hone
