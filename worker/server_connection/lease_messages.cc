#include "worker/server_connection/lease_messages.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "proto/values/value_messages.h"

namespace hone {
namespace {

constexpr uint32_t kMostThreads = 1024, kMostWindows = 1000;

BlobId FromMessage(const v1::BlobRef& message) { return {message.sha256(), message.size()}; }

LeaseTrial FromMessage(const v1::LeaseTrial& message) {
  return {message.trial_id(), FromMessage(message.object())};
}

absl::StatusOr<LeaseKind> FromMessage(v1::LeaseKind kind) {
  switch (kind) {
    case v1::LEASE_KIND_CALIBRATE:
      return LeaseKind::kCalibrate;
    case v1::LEASE_KIND_CANDIDATES:
      return LeaseKind::kCandidates;
    case v1::LEASE_KIND_MODULE:
      return LeaseKind::kModule;
    default:
      return absl::InvalidArgumentError(absl::StrCat("unknown lease kind ", static_cast<int>(kind)));
  }
}

template <typename Messages>
absl::Status Append(const Messages& messages, std::vector<TensorSpec>& specs) {
  for (const v1::TensorSpec& message : messages) {
    absl::StatusOr<TensorSpec> spec = hone::FromMessage(message);
    if (!spec.ok()) return spec.status();
    specs.push_back(*std::move(spec));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Lease> FromMessage(const v1::Lease& message) {
  Lease lease{.lease_id = message.lease_id(), .task_key = message.task_key(), .seed = message.seed()};
  if (lease.lease_id.empty()) return absl::InvalidArgumentError("a lease without an id");
  absl::StatusOr<LeaseKind> kind = FromMessage(message.kind());
  if (!kind.ok()) return kind.status();
  lease.kind = *kind;
  lease.threads = std::clamp(message.threads(), 1u, kMostThreads);
  for (absl::Status status :
       {Append(message.inputs(), lease.inputs), Append(message.constants(), lease.constants),
        Append(message.outputs(), lease.outputs)}) {
    if (!status.ok()) return status;
  }
  for (const v1::LeaseTrial& trial : message.trials()) lease.trials.push_back(FromMessage(trial));
  if (message.has_incumbent()) lease.incumbent = FromMessage(message.incumbent());
  lease.oracle = FromMessage(message.oracle_object());
  for (const v1::OracleSample& sample : message.oracle_samples()) {
    lease.oracle_samples.push_back({sample.output(),
                                    {sample.element().begin(), sample.element().end()},
                                    {sample.value().begin(), sample.value().end()}});
  }
  if (message.tolerance() > 0) lease.tolerance = message.tolerance();
  if (message.windows() > 0) lease.windows = std::min(message.windows(), kMostWindows);
  if (message.run_limit_seconds() > 0) lease.run_limit_seconds = message.run_limit_seconds();
  if (message.lease_seconds() > 0) lease.lease_seconds = message.lease_seconds();
  lease.model_constant_bytes = message.model_constant_bytes();
  return lease;
}

v1::LeaseResult ToMessage(const LeaseResult& result) {
  v1::LeaseResult message;
  message.set_lease_id(result.lease_id);
  for (const TrialResult& trial : result.trials) {
    v1::TrialResult* out = message.add_trials();
    out->set_trial_id(trial.trial_id);
    *out->mutable_measurement() = ToMessage(trial.measurement);
  }
  if (result.incumbent) *message.mutable_incumbent() = ToMessage(*result.incumbent);
  if (result.device) *message.mutable_device() = ToMessage(*result.device);
  message.set_outcome(ToMessage(result.outcome));
  message.set_message(result.message);
  return message;
}

}  // namespace hone
