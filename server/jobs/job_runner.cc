#include "server/jobs/job_runner.h"

#include <poll.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/execution/log.h"
#include "server/execution/status_macros.h"

namespace hone {

absl::StatusOr<std::unique_ptr<JobRunner>> JobRunner::Start(JobServices& services, const std::string& job) {
  HONE_ASSIGN_OR_RETURN(std::unique_ptr<WakeUp> wake_up,
                        WakeUp::Make(services.hub, {JobTopic(job), kWorkersTopic}));
  return std::unique_ptr<JobRunner>(new JobRunner(services, job, std::move(wake_up)));
}

JobRunner::JobRunner(JobServices& services, std::string job, std::unique_ptr<WakeUp> wake_up)
    : services_(services), job_(std::move(job)), wake_up_(std::move(wake_up)), thread_([this] { Loop(); }) {}

JobRunner::~JobRunner() {
  wake_up_->Stop();
  thread_.join();
}

void JobRunner::Loop() {
  const LogScope scope("job", job_);
  while (!wake_up_->stopped()) {
    JobSession session(services_, job_, *wake_up_);
    const absl::StatusOr<JobSession::End> end = session.Run();
    if (end.ok() || !Recover(end.status(), session)) break;
    WaitBeforeRestart();
  }
  finished_ = true;
  services_.hub.Notify(kQueueTopic);
}

bool JobRunner::Recover(const absl::Status& death, const JobSession& session) {
  if (session.progressed()) fruitless_ = starved_ = 0;
  starved_ = session.starved() ? starved_ + 1 : 0;
  if (starved_ == 0) ++fruitless_;
  LogEvent(LogLevel::kWarning, starved_ > 0 ? "job_waits_for_the_system" : "job_child_died",
           {{"reason", std::string(death.message())},
            {"in_a_row", absl::StrCat(starved_ > 0 ? starved_ : fruitless_)}});
  const absl::StatusOr<JobRow> job = services_.store.GetJob(job_);
  if (job.ok() && job->state != JobState::kRunning) return false;
  if (starved_ > 0) return true;
  absl::Status stored;
  const bool earned = absl::IsInvalidArgument(death) || absl::IsDeadlineExceeded(death);
  if (earned || fruitless_ > services_.options.max_fruitless_restarts) {
    const bool cancelled = job.ok() && job->cancel_requested;
    const std::string error =
        earned ? std::string(death.message())
               : absl::StrCat("hone-job ended ", fruitless_,
                              " times without progress; the last time: ", death.message());
    stored = services_.store.EndJob(job_, cancelled ? JobState::kCancelled : JobState::kFailed, error, std::nullopt);
    if (stored.ok()) {
      services_.hub.Notify(JobTopic(job_));
      return false;
    }
  } else {
    stored = services_.store.CountRestart(job_);
    services_.hub.Notify(JobTopic(job_));
  }
  if (!stored.ok()) LogEvent(LogLevel::kError, "job_not_stored", {{"error", std::string(stored.message())}});
  return !absl::IsFailedPrecondition(stored);
}

void JobRunner::WaitBeforeRestart() {
  const JobOptions& options = services_.options;
  const int times = starved_ > 0 ? starved_ : fruitless_;
  const absl::Duration backoff = std::min(starved_ > 0 ? options.max_starved_backoff : options.max_backoff,
                                          options.first_backoff * (1 << std::clamp(times - 1, 0, 20)));
  const absl::Time until = absl::Now() + backoff;
  while (!wake_up_->stopped() && absl::Now() < until) {
    pollfd wait{wake_up_->descriptor(), POLLIN, 0};
    if (poll(&wait, 1, static_cast<int>(absl::ToInt64Milliseconds(until - absl::Now())) + 1) == 1)
      wake_up_->Arm();
  }
}

}  // namespace hone
