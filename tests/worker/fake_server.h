#pragma once

#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "hone/v1/blobs.grpc.pb.h"
#include "hone/v1/workers.grpc.pb.h"
#include "server/auth/certificate_authority.h"

namespace hone {

// A key and a self-signed certificate for hone.test, a name nobody connects by: it must be pinned. PEM.
struct TestCertificate {
  std::string key, certificate;
};
TestCertificate MakeTestCertificate();

// The worker-facing half of a server, over real gRPC and TLS, with faults to order. Thread-safe.
class FakeServer {
 public:
  static constexpr char kEnrolToken[] = "let-me-in";
  static constexpr char kFormerToken[] = "i-was-worker-7";  // enrols as workers/7

  FakeServer();
  ~FakeServer();
  void Start();     // again on the same port after Shutdown
  void Shutdown();  // cuts every connection

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  const std::string& ca_pem() const { return certificate_.certificate; }

  void AddBlob(const std::string& bytes);
  void AddLease(const v1::Lease& lease);
  void Abandon(const std::string& lease_id);
  // Runs `order` under the lock, e.g. to set one of the fields below.
  void Order(const std::function<void(FakeServer&)>& order);
  // Waits for something to become true; false after 30 s.
  bool Await(const std::function<bool(FakeServer&)>& condition);

  // Faults and observations; only through Order and Await.
  int lose_acks = 0;        // results are taken, but so many answers to them get lost
  int refuse_identity = 0;  // so many Synchronize calls are UNAUTHENTICATED
  bool refuse_renewal = false;
  bool removed = false;     // every worker: PERMISSION_DENIED
  size_t replacements = 0;  // Synchronize asks for renewals until so many certificates have been replaced
  size_t cut_blobs_at = 0;  // > 0: a download breaks off after so many bytes
  int downloads = 0, renewals = 0;
  std::map<std::string, std::string> enrolled;                  // worker by request_id
  std::map<std::string, std::vector<v1::LeaseResult>> results;  // every time they came, by lease
  std::set<std::string> running;                                // heartbeats of the last call
  std::set<std::string> ever_running;
  v1::Device device;
  std::set<std::string> workers_seen;
  std::set<std::string> certificates_seen;

 private:
  struct Services;  // of one Start
  grpc::Status Enrol(const grpc::ServerContext&, const v1::EnrolRequest&, v1::EnrolResponse&);
  grpc::Status Synchronize(const grpc::ServerContext&, const v1::SynchronizeRequest&,
                           v1::SynchronizeResponse&);
  grpc::Status RenewCertificate(const grpc::ServerContext&, const v1::RenewCertificateRequest&,
                                v1::RenewCertificateResponse&);
  // Whose certificate the caller shows, of this server's authority; empty: none.
  std::string WorkerOf(const grpc::ServerContext& context) const;
  grpc::Status DownloadBlob(const v1::DownloadBlobRequest&, grpc::ServerWriter<v1::DownloadBlobResponse>&);

  const TestCertificate certificate_;
  const std::unique_ptr<CertificateAuthority> authority_;
  int port_ = 0;
  std::unique_ptr<Services> services_;
  std::unique_ptr<grpc::Server> server_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool down_ = false;
  std::map<std::string, std::string> blobs_;
  std::deque<v1::Lease> leases_;
  std::set<std::string> abandon_;
};

}  // namespace hone
