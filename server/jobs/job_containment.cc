#include "server/jobs/job_containment.h"

#include "absl/strings/str_cat.h"
#include "proto/sandbox/sandbox_status.h"
#include "server/execution/log.h"

namespace hone {
namespace {

constexpr char kCgroup[] = "cgroup";

}  // namespace

absl::StatusOr<std::unique_ptr<JobContainment>> JobContainment::Establish(bool allow_unsandboxed) {
  const HoneSandboxFaults faults = HoneSandboxProbe();
  const absl::Status sandbox = SandboxStatus(faults, "jobs");
  if (!sandbox.ok() && !allow_unsandboxed) return sandbox;
  std::unique_ptr<JobContainment> containment(new JobContainment);
  containment->allow_unsandboxed_ = allow_unsandboxed;
  containment->layers_ = SandboxLayers(faults);
  absl::StatusOr<JobCgroups> cgroups = JobCgroups::Open(JobCgroups::OwnFolder());
  containment->layers_.emplace_back(kCgroup, std::string(cgroups.status().message()));
  if (cgroups.ok()) containment->cgroups_ = *std::move(cgroups);
  for (const auto& [layer, reason] : containment->layers_) {
    const bool missing = !reason.empty() && layer != kCgroup;
    LogEvent(missing ? LogLevel::kWarning : LogLevel::kInfo, "job_containment",
             {{"layer", layer}, {"state", reason.empty() ? "on" : "off"}, {"reason", reason}});
  }
  return containment;
}

std::string JobContainment::Gaps() const {
  std::string text;
  for (const auto& [layer, reason] : layers_) {
    if (!reason.empty() && layer != kCgroup)
      absl::StrAppend(&text, "jobs run without the sandbox's layer '", layer, "': ", reason, "\n");
  }
  return text;
}

}  // namespace hone
