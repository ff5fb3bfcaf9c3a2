#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "client/hone_client.h"
#include "grpcpp/grpcpp.h"

namespace hone {

// A self-signed certificate for localhost, made on the spot.
struct TestCertificate {
  std::string certificate_pem;
  std::string key_pem;
};
TestCertificate MakeTestCertificate();

// What the fake holds; tests set it up and look at it. Guarded by `mutex` while the server runs.
struct FakeState {
  std::mutex mutex;
  std::map<std::string, std::string> blobs;    // complete, by sha256
  std::map<std::string, std::string> partial;  // uploads so far
  size_t upload_breaks_after = 0;  // 0 = never; else that many bytes are kept, then UNAVAILABLE
  int upload_breaks = 1;           // so often, each that many bytes later
  uint64_t resumed_at = 0;         // largest offset an upload started from
  bool corrupt_downloads = false;  // one byte is wrong
  std::string inspect_json = "{}";
  std::string dump_text;
  std::vector<v1::CreateModelRequest> models;
  std::vector<v1::Model> listed_models;
  std::vector<v1::JobSpec> created;
  std::vector<v1::Job> job_script;  // answers of WatchJob, the last one for ever
  size_t watched = 0;
  std::map<std::string, v1::Job> jobs;
  std::map<std::string, v1::Module> modules;
  std::vector<v1::Worker> workers;
  std::vector<v1::TuningRecord> records;  // ListRecords answers pages of these
  std::vector<std::string> filters;       // asked for
  std::vector<std::string> explained;
  std::vector<std::string> cancelled;
  std::vector<v1::ResumeJobRequest> resumed;
};

// A Hone server in this process over real TLS on a free loopback port; answers from FakeState.
class FakeServer {
 public:
  explicit FakeServer(const std::string& token = "secret", const std::string& listen = "127.0.0.1:0");
  ~FakeServer();

  FakeState& state() { return state_; }
  Endpoint endpoint() const { return {address_, certificate_.certificate_pem, token_}; }
  bool listening() const { return server_ != nullptr; }
  const std::string& address() const { return address_; }
  const TestCertificate& certificate() const { return certificate_; }

  struct Services;

 private:
  std::string token_;
  TestCertificate certificate_;
  FakeState state_;
  std::unique_ptr<Services> services_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

}  // namespace hone
