#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "grpcpp/security/credentials.h"
#include "hone/v1/admin.grpc.pb.h"
#include "hone/v1/blobs.grpc.pb.h"
#include "hone/v1/jobs.grpc.pb.h"
#include "hone/v1/models.grpc.pb.h"
#include "hone/v1/modules.grpc.pb.h"
#include "hone/v1/records.grpc.pb.h"
#include "hone/v1/server.grpc.pb.h"
#include "hone/v1/workers.grpc.pb.h"
#include "proto/values/file_descriptor.h"
#include "tests/server/temporary_folder.h"

namespace hone {

// Who a worker is: its name, and what it connects with (PEM).
struct WorkerIdentity {
  std::string name, private_key, certificate;
};

// hone-server as a process, with the fake hone-job, over one data folder: starting it again goes on where it
// was.
class ServerProcess {
 public:
  // `wrapper`: words before the program's own, e.g. strace's.
  explicit ServerProcess(std::string data_dir, std::vector<std::string> flags = {},
                         std::vector<std::string> wrapper = {});
  ~ServerProcess();  // SIGKILL if it runs

  void Start();          // returns once it serves; fails the test after 20 s
  bool TryStart();       // the same, but false if the process ends before it serves
  bool IsRunning();      // and reaps it if not
  int Stop(int signal);  // and waits; the wait status
  pid_t pid() const { return pid_; }
  const std::string& data_dir() const { return data_dir_; }
  std::string Grpc() const;  // address; one that nobody answers at while the server is away
  std::string Http() const;
  std::string Read(const std::string& name) const;  // a file of the data folder
  // A channel of its own that trusts this server's certificate; the token rides on each call.
  std::shared_ptr<grpc::Channel> Channel(const std::string& token, const std::string& certificate = "") const;
  std::shared_ptr<grpc::Channel> Channel(const WorkerIdentity& worker, const std::string& token = "") const;
  std::string AdminToken() const;
  std::string EnrolToken() const;

 private:
  std::string Endpoint(const char* key) const;
  std::shared_ptr<grpc::Channel> Channel(const grpc::SslCredentialsOptions& tls,
                                         const std::string& token) const;

  const std::string data_dir_;
  const std::vector<std::string> flags_;
  const std::vector<std::string> wrapper_;
  pid_t pid_ = -1;
};

// A TCP connection to 127.0.0.1; `address` is HOST:PORT.
FileDescriptor Connect(const std::string& address);

struct HttpAnswer {
  int status = 0;  // 0: none
  std::string head, body;
};
HttpAnswer SendHttp(const std::string& address, const std::string& request);
HttpAnswer GetHttp(const std::string& address, const std::string& path, const std::string& token = "");

// Calls any RPC by its path, with serialised messages.
grpc::Status Call(const std::shared_ptr<grpc::Channel>& channel, const std::string& path, double seconds = 10,
                  const std::string& request = "", std::string* response = nullptr);

// All stubs over one channel, and the few calls that tests make again and again. Calls wait until the server
// is up, for at most 20 s; failures fail the test.
class Caller {
 public:
  explicit Caller(std::shared_ptr<grpc::Channel> channel, double patience_seconds = 20);

  static std::unique_ptr<grpc::ClientContext> Context(double seconds = 20);
  grpc::Status Upload(const std::string& content, v1::BlobStatus* status, size_t chunk = 1 << 16);
  std::string Download(const std::string& sha256);
  grpc::Status CheckBlob(const std::string& sha256, double seconds = 60);  // DATA_LOSS: its content is another
  v1::Model CreateModel(const std::string& content, const std::string& name = "fake");
  v1::Job CreateJob(const std::string& model, const std::string& request_id = "");
  v1::Job GetJob(const std::string& name);
  v1::Job WaitForEnd(const std::string& job);  // by WatchJob
  std::vector<v1::TuningRecord> Records(const std::string& filter);

  std::unique_ptr<v1::BlobService::Stub> blobs;
  std::unique_ptr<v1::ModelService::Stub> models;
  std::unique_ptr<v1::JobService::Stub> jobs;
  std::unique_ptr<v1::ModuleService::Stub> modules;
  std::unique_ptr<v1::RecordService::Stub> records;
  std::unique_ptr<v1::WorkerService::Stub> workers;
  std::unique_ptr<v1::ServerService::Stub> server;
  std::unique_ptr<v1::AdminService::Stub> admin;

 private:
  const double patience_seconds_;
};

}  // namespace hone
