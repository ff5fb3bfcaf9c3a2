#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "worker/blob_cache.h"
#include "worker/cancellation.h"
#include "worker/identity_store.h"
#include "worker/lease_executor.h"
#include "worker/result_store.h"
#include "worker/server_connection/server_connection.h"
#include "worker/stopwatch.h"

namespace hone {

struct WorkerSessionOptions {
  ServerConnectionOptions server;
  std::string enrol_token;  // needed until there is a certificate, and again if that can be renewed no more
  std::string display_name;
  std::string data_dir;  // identity, results, blobs; one process at a time
  std::string runner_path;
  bool allow_unsandboxed = false;  // measures even where a layer of the sandbox cannot be had
  std::string host_lock_path;
  uint64_t blob_cache_bytes = uint64_t{2} << 30;
  absl::Duration poll = absl::Seconds(30);  // longest long poll
  absl::Duration first_backoff = absl::Milliseconds(100);
  absl::Duration longest_backoff = absl::Seconds(10);
  // A device without work is calibrated again after so long, then after twice as long, up to an hour: the
  // first time there may have been other programs beside it. Zero: never.
  absl::Duration idle_calibration = absl::Minutes(1);
  absl::Duration stop_grace = absl::Seconds(5);  // a lease under way may take this much longer after Stop
  // Carries out leases instead of hone-runner, if set: a simulated device.
  std::function<LeaseResult(const Lease&, const Cancellation&)> measure;

  std::string calibration_path() const { return data_dir + "/calibration.json"; }  // see calibration_store.h
};

// A worker at work: one thread talks to the server (enrols, renews its certificate, polls, heartbeats, hands
// in results), the caller of Run carries out leases. A result is on disk before the server hears of it and
// stays there until it is acknowledged, so a kill at any moment repeats nothing that was finished.
class WorkerSession {
 public:
  // Fails if another process has the data directory.
  static absl::StatusOr<std::unique_ptr<WorkerSession>> Create(const WorkerSessionOptions& options,
                                                               const Device& device);

  // Until Stop (then Ok) or until the server will not have this worker any more.
  absl::Status Run();
  void Stop();  // any thread

 private:
  WorkerSession(const WorkerSessionOptions& options, const Device& device, FileDescriptor directory_lock);

  // The talking thread.
  void Talk();
  absl::Status EnsureEnrolled();
  absl::StatusOr<Identity> Enrol();
  absl::Status RenewCertificate();
  void Forget();  // the identity, which is good for nothing any more
  SynchronizeCall MakeCall(bool* last);
  void Handle(const SynchronizeAnswer& answer);
  void Accept(const SynchronizeAnswer::ReceivedLease& received);
  // What an error means: true = try again later. Otherwise fatal_ is set.
  bool MayRetry(const absl::Status& status);
  bool Fail(const absl::Status& status);  // sets fatal_; false
  void BackOff();

  void CalibrateAgain();
  void Finish(const LeaseResult& result);
  void Tell(const Device& device);  // the server, of a new calibration; keeps it, too

  const WorkerSessionOptions options_;
  FileDescriptor directory_lock_;
  const IdentityStore identities_;
  ServerConnection connection_;
  ResultStore results_;
  BlobCache blobs_;
  LeaseExecutor executor_;

  std::mt19937_64 jitter_{std::random_device{}()};  // talking thread only
  int failures_ = 0;                                // in a row; talking thread only
  std::string last_error_;                          // logged already; talking thread only
  bool device_known_ = false;                       // the server has device_
  std::string worker_;                              // its name; empty: not enrolled. Talking thread only

  std::mutex mutex_;  // of everything below
  std::condition_variable changed_;
  Device device_;
  std::optional<Lease> next_;                   // accepted, not begun
  std::string current_lease_;                   // accepted, not finished
  std::shared_ptr<Cancellation> cancellation_;  // of current_lease_
  absl::Duration heartbeat_;                    // of current_lease_: longest silence
  bool abandoned_ = false;                      // current_lease_ is no longer ours: drop its result
  std::optional<Stopwatch> stopping_;
  bool talking_ = true;
  absl::Status fatal_;
};

}  // namespace hone
