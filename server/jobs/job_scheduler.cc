#include "server/jobs/job_scheduler.h"

#include <poll.h>

#include "server/execution/log.h"
#include "server/execution/status_macros.h"

namespace hone {
namespace {

constexpr int kRetryMilliseconds = 1000;  // after the database or the system refused something

}  // namespace

absl::StatusOr<std::unique_ptr<JobScheduler>> JobScheduler::Start(JobServices services) {
  HONE_ASSIGN_OR_RETURN(std::unique_ptr<WakeUp> wake_up, WakeUp::Make(services.hub, {kQueueTopic}));
  return std::unique_ptr<JobScheduler>(new JobScheduler(std::move(services), std::move(wake_up)));
}

JobScheduler::JobScheduler(JobServices services, std::unique_ptr<WakeUp> wake_up)
    : services_(std::move(services)), wake_up_(std::move(wake_up)), thread_([this] { Loop(); }) {}

JobScheduler::~JobScheduler() {
  wake_up_->Stop();
  thread_.join();
}

void JobScheduler::Loop() {
  while (!wake_up_->stopped()) {
    wake_up_->Arm();
    const absl::Status status = Step();
    if (!status.ok()) LogEvent(LogLevel::kError, "scheduling_failed", {{"error", std::string(status.message())}});
    pollfd wait{wake_up_->descriptor(), POLLIN, 0};
    poll(&wait, 1, status.ok() ? -1 : kRetryMilliseconds);
  }
  runners_.clear();
}

absl::Status JobScheduler::Step() {
  std::erase_if(runners_, [](const auto& entry) { return entry.second->finished(); });
  HONE_ASSIGN_OR_RETURN(std::vector<std::string> running, services_.store.ListJobIds(JobState::kRunning));
  for (const std::string& job : running) HONE_RETURN_IF_ERROR(Run(job));
  HONE_ASSIGN_OR_RETURN(std::vector<std::string> queued, services_.store.ListJobIds(JobState::kQueued));
  for (const std::string& job : queued) {
    if (static_cast<int>(runners_.size()) >= services_.options.max_running) break;
    const absl::Status started = services_.store.StartJob(job);
    if (absl::IsFailedPrecondition(started)) continue;  // cancelled meanwhile
    HONE_RETURN_IF_ERROR(started);
    services_.hub.Notify(JobTopic(job));
    HONE_RETURN_IF_ERROR(Run(job));
  }
  return absl::OkStatus();
}

absl::Status JobScheduler::Run(const std::string& job) {
  if (runners_.contains(job)) return absl::OkStatus();
  HONE_ASSIGN_OR_RETURN(runners_[job], JobRunner::Start(services_, job));
  return absl::OkStatus();
}

}  // namespace hone
