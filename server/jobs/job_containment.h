#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "server/jobs/job_cgroup.h"

namespace hone {

// What keeps children from everything else on this machine, apart from their own rlimits: the layers of
// proto/sandbox, which they enter by themselves, and a control group each where there is one to give.
class JobContainment {
 public:
  // Before this process has threads. FailedPrecondition: a layer of the sandbox is refused here, which
  // `allow_unsandboxed` accepts; a want of control groups is only told.
  static absl::StatusOr<std::unique_ptr<JobContainment>> Establish(bool allow_unsandboxed);

  // "namespaces", "files", "calls", "cgroup", each with why it does not hold; empty where it does.
  const std::vector<std::pair<std::string, std::string>>& layers() const { return layers_; }
  // A line for each layer of the sandbox that does not hold, for people.
  std::string Gaps() const;
  bool allows_unsandboxed() const { return allow_unsandboxed_; }
  const std::optional<JobCgroups>& cgroups() const { return cgroups_; }

 private:
  JobContainment() = default;

  bool allow_unsandboxed_ = false;
  std::vector<std::pair<std::string, std::string>> layers_;
  std::optional<JobCgroups> cgroups_;
};

}  // namespace hone
