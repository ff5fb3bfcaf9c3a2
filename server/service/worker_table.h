#pragma once

#include <map>
#include <mutex>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "server/auth/certificate_authority.h"
#include "server/execution/clock.h"
#include "server/service/principal.h"
#include "server/storage/store.h"

namespace hone {

// Whom a worker's certificate speaks for. The workers of the database are kept in memory, so that a check
// never blocks. Thread-safe.
class WorkerTable {
 public:
  static constexpr absl::Duration kRenewable = absl::Hours(7 * 24);  // after its end: a device may have slept

  WorkerTable(Store& store, const CertificateAuthority& authority, Clock clock = absl::Now)
      : store_(store), authority_(authority), clock_(std::move(clock)) {}
  absl::Status Reload();  // after one was enrolled or removed

  // Role kWorker; kLapsed within kRenewable after the certificate's end, then Unauthenticated.
  // PermissionDenied for a worker that was removed.
  absl::StatusOr<Principal> Authenticate(const std::string& certificate) const;
  absl::StatusOr<std::string> Issue(const std::string& request, const std::string& worker) const;

 private:
  Store& store_;
  const CertificateAuthority& authority_;
  const Clock clock_;
  std::mutex reload_mutex_;
  mutable std::mutex mutex_;
  std::map<std::string, WorkerHold> holds_;  // by name, workers/{id}
};

}  // namespace hone
