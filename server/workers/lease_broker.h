#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "hone/v1/workers.pb.h"
#include "server/execution/change_hub.h"
#include "server/execution/clock.h"
#include "server/storage/store.h"
#include "server/workers/record_message.h"

namespace hone {

struct LeaseBrokerOptions {
  double lease_seconds = 30;  // a worker silent for longer loses its lease
  absl::Duration lost_after =
      absl::Seconds(90);  // of silence, until a worker is shown as lost (a long poll takes 30 s)
};

// Workers' side of the database: enrolment, and Synchronize without its waiting. Thread-safe; calls block.
class LeaseBroker {
 public:
  LeaseBroker(Store& store, ChangeHub& hub, Clock clock, LeaseBrokerOptions options);

  // The worker's name. With the same request_id and certificate_request the same one again.
  absl::StatusOr<std::string> Enrol(const v1::EnrolRequest& request, const std::string& principal);

  // What has to happen once per call: device, heartbeat, results. `worker` is the caller's own id; the ticket
  // makes the worker's later call the only one that may still claim (the earlier one's connection may be
  // dead).
  struct Call {
    std::string worker;
    uint64_t ticket = 0;
    std::string device_class;
    v1::SynchronizeResponse response;
  };
  absl::StatusOr<Call> Begin(const std::string& worker, const v1::SynchronizeRequest& request);
  // Tries to add a lease to the response. Aborted if a later call of this worker has come.
  absl::Status TryClaim(Call& call);
  // Running leases that are lost meanwhile go to the response's `abandon`.
  absl::Status CheckRunning(const v1::SynchronizeRequest& request, Call& call);

  // Loses leases whose time is over and wakes those whom it concerns.
  absl::Status ExpireLeases();

  // kNone ends a hold.
  absl::StatusOr<v1::Worker> Control(const std::string& worker, WorkerHold hold, const std::string& reason);

  v1::Worker WorkerMessage(const WorkerRow& row) const;
  bool IsLost(const WorkerRow& row) const;

 private:
  absl::Status StoreResult(const std::string& worker, const v1::LeaseResult& result);
  absl::Status Judge(const LeaseGrant& grant, const RecordContext& context, const v1::LeaseResult& result,
                     LeaseCompletion& completion);
  // Empty if there is none; `told`: the same lease's measurements so far.
  absl::StatusOr<std::string> FindLie(const std::string& worker, const v1::Lease& lease,
                                      const v1::Measurement& measurement,
                                      const std::vector<const v1::Measurement*>& told);
  absl::StatusOr<bool> IncumbentWasRight(const RecordContext& context);
  absl::Status AfterLies(const std::string& worker, const std::vector<std::string>& lies);
  void NotifyChanged(const std::string& job);

  Store& store_;
  ChangeHub& hub_;
  const Clock clock_;
  const LeaseBrokerOptions options_;
  std::mutex mutex_;
  std::map<std::string, uint64_t> tickets_;  // by worker: its latest call
};

}  // namespace hone
