#include "tuner/job/task_code.h"

#include "absl/strings/str_cat.h"

namespace hone {

void TaskCode::Add(Task task) {
  tasks_.push_back(std::move(task));
  compiled_.emplace_back();
}

absl::StatusOr<const CompiledTask*> TaskCode::Of(size_t task, const Trace& trace) {
  const std::string key = trace.ToString();
  const auto known = compiled_[task].find(key);
  if (known != compiled_[task].end()) return &known->second;
  absl::StatusOr<HostShare> share = HostShare::Begin(host_);
  if (!share.ok()) return share.status();
  absl::StatusOr<CompiledTask> compiled = CompileTask(tasks_[task], trace, absl::StrCat("hone_task_", task));
  if (!compiled.ok()) return compiled.status();
  return &compiled_[task].emplace(key, *std::move(compiled)).first->second;
}

absl::StatusOr<std::string> TaskCode::CandidateOf(size_t task, const Trace& trace) {
  const absl::StatusOr<const CompiledTask*> compiled = Of(task, trace);
  if (!compiled.ok()) return compiled.status();
  absl::StatusOr<HostShare> share = HostShare::Begin(host_);
  if (!share.ok()) return share.status();
  return LinkCandidate(tasks_[task], **compiled);
}

void TaskCode::KeepOnly(size_t task, const std::set<std::string>& traces) {
  std::erase_if(compiled_[task], [&](const auto& entry) { return !traces.contains(entry.first); });
}

}  // namespace hone
