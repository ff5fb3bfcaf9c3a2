#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "compiler/compile.h"
#include "proto/values/host_lock.h"

namespace hone {

// The code of a job's tasks under traces, compiled once: the module links what was measured. Compiles and links sharing
// the host (HostShare). Not thread-safe.
class TaskCode {
 public:
  // `host` outlives this.
  explicit TaskCode(const HostLockFiles& host) : host_(host) {}

  void Add(Task task);  // numbered from 0
  absl::StatusOr<const CompiledTask*> Of(size_t task, const Trace& trace);
  absl::StatusOr<std::string> CandidateOf(size_t task, const Trace& trace);   // linked, for a worker to measure
  void KeepOnly(size_t task, const std::set<std::string>& traces);            // what nobody will ask for again goes

 private:
  const HostLockFiles& host_;
  std::vector<Task> tasks_;
  std::vector<std::map<std::string, CompiledTask>> compiled_;   // by task, trace
};

}  // namespace hone
