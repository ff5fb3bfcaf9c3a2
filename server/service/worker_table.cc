#include "server/service/worker_table.h"

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "server/execution/log.h"
#include "server/execution/status_macros.h"

namespace hone {
namespace {

constexpr int kRenewAfter = 3;  // so many parts of its time: the others are for trying again
constexpr char kEnrolAgain[] =
    "start hone-worker again with --enrol-token-file and a token of 'hone token enrol'";

}  // namespace

absl::Status WorkerTable::Reload() {
  std::lock_guard reloading(reload_mutex_);  // what was read last stays
  HONE_ASSIGN_OR_RETURN(const auto holds, store_.ListWorkerHolds());
  std::map<std::string, WorkerHold> by_name;
  for (const auto& [id, hold] : holds) by_name["workers/" + id] = hold;
  std::lock_guard lock(mutex_);
  holds_ = std::move(by_name);
  return absl::OkStatus();
}

absl::StatusOr<Principal> WorkerTable::Authenticate(const std::string& certificate) const {
  HONE_ASSIGN_OR_RETURN(const CertificateAuthority::Issued issued, authority_.Verify(certificate));
  {
    std::lock_guard lock(mutex_);
    const auto hold = holds_.find(issued.subject);
    if (hold == holds_.end()) {
      return absl::UnauthenticatedError(
          absl::StrCat("this server does not know ", issued.subject, " any more: ", kEnrolAgain));
    }
    if (hold->second == WorkerHold::kRemoved)
      return absl::PermissionDeniedError(
          absl::StrCat(issued.subject, " was removed: to let it join, ", kEnrolAgain));
  }
  const absl::Time now = clock_();
  if (now >= issued.end + kRenewable) {
    return absl::UnauthenticatedError(absl::StrCat("the certificate of ", issued.subject, " expired at ",
                                                   absl::FormatTime(issued.end, absl::UTCTimeZone()),
                                                   ", too long ago to be renewed: ", kEnrolAgain));
  }
  return Principal{.role = now < issued.end ? Role::kWorker : Role::kLapsed,
                   .subject = issued.subject,
                   .expire_time = absl::ToUnixMicros(issued.end),
                   .renew_time = issued.begin + (issued.end - issued.begin) / kRenewAfter};
}

absl::StatusOr<std::string> WorkerTable::Issue(const std::string& request, const std::string& worker) const {
  HONE_ASSIGN_OR_RETURN(std::string certificate, authority_.Issue(request, worker, clock_()));
  LogEvent("certificate_issued", {{"worker", worker.substr(worker.find('/') + 1)}});
  return certificate;
}

}  // namespace hone
