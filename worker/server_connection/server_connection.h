#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "proto/certificates/certificate_request.h"
#include "worker/lease.h"

namespace hone {

// Who this worker is to the server: what it shows when it connects. PEM.
struct Identity {
  std::string worker;  // workers/{id}, as in the certificate
  std::string private_key;
  std::string certificate;
};

struct SynchronizeCall {
  std::optional<Device> device;
  std::vector<std::string> running_leases;
  std::vector<std::string> results;  // SerialiseResult's bytes
  bool accepts_lease = false;
  absl::Duration wait;  // long poll limit
};

struct SynchronizeAnswer {
  struct ReceivedLease {
    std::string lease_id;
    absl::StatusOr<Lease> lease;  // what is wrong with it, if it cannot be understood
  };
  std::vector<std::string> acknowledged;
  std::vector<ReceivedLease> leases;
  std::vector<std::string> abandon;
  bool renew_certificate = false;
};

// The opaque bytes that the worker keeps on disk until they are acknowledged.
std::string SerialiseResult(const LeaseResult& result);

struct ServerConnectionOptions {
  std::string address;      // HOST:PORT
  std::string ca_pem;       // certificates to trust
  std::string server_name;  // expected in the certificate, if not empty; else PinnedName(ca_pem), else HOST
  absl::Duration answer_time = absl::Seconds(20);  // of a call, beyond what it was asked to wait
  // A connection silent for so long is tried, and given up half of it later: with the heartbeat of a third of
  // a lease, one that broke without a word is replaced before the lease is lost.
  absl::Duration keepalive = absl::Seconds(10);
};

// The DNS name in the first certificate of a PEM text, empty if there is none. A certificate with such a name
// is the server's own, not an authority's: trusting it alone pins the server, whatever address it is reached
// by.
std::string PinnedName(const std::string& pem);

// All the worker says over gRPC. Errors are canonical: Unavailable and DeadlineExceeded may be tried again.
// Thread-safe; one Synchronize at a time.
class ServerConnection {
 public:
  explicit ServerConnection(const ServerConnectionOptions& options);
  ~ServerConnection();

  // From now on calls are this worker's; at first, and with an empty identity, they are nobody's.
  void Identify(const Identity& identity);

  // The same request at every attempt of one enrolment: a lost answer makes no second worker. Keys are not
  // sent.
  absl::StatusOr<Identity> Enrol(const std::string& enrol_token, const CertificateRequest& request,
                                 const std::string& display_name, const Device& device);
  absl::StatusOr<Identity> RenewCertificate(const CertificateRequest& request);
  absl::StatusOr<SynchronizeAnswer> Synchronize(const SynchronizeCall& call);
  // Ends the Synchronize under way, or else the next one, with Cancelled.
  void InterruptSynchronize();

  // A channel makes progress towards a connection only while somebody waits in it: back off here, not in a
  // sleep.
  bool IsConnected() const;
  bool AwaitConnected(absl::Duration limit);

  absl::Status Download(const BlobId& blob, uint64_t offset,
                        const std::function<absl::Status(std::string_view)>& sink);
  void CancelDownload();  // the one under way, if any

 private:
  struct Link;
  struct Interruptible;
  std::shared_ptr<Link> CurrentLink() const;

  const ServerConnectionOptions options_;
  mutable std::mutex mutex_;
  std::shared_ptr<Link> link_;  // calls under way keep the one that they began on
  const std::unique_ptr<Interruptible> synchronize_, download_;
};

}  // namespace hone
