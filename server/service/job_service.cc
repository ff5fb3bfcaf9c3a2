#include "server/service/job_service.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/auth/secrets.h"
#include "server/execution/log.h"
#include "server/execution/status_macros.h"
#include "server/service/ownership.h"
#include "server/service/paging.h"
#include "server/service/request_key.h"
#include "server/service/resource_names.h"
#include "server/service/unary_call.h"

namespace hone {
namespace {

constexpr double kMaxWatchSeconds = 30;
constexpr double kMaxBudgetSeconds = 30 * 24 * 3600;
constexpr uint32_t kMaxTrials = 10'000'000;
constexpr uint32_t kMaxThreads = 4096;
constexpr size_t kMaxTargetBytes = 256;

// A running job that was asked to end shows as cancelled with no end_time until the best so far is compiled.
v1::JobState StateMessage(const JobRow& row) {
  switch (row.state) {
    case JobState::kQueued:
      return v1::JOB_STATE_QUEUED;
    case JobState::kRunning:
      return row.cancel_requested ? v1::JOB_STATE_CANCELLED : v1::JOB_STATE_RUNNING;
    case JobState::kSucceeded:
      return v1::JOB_STATE_SUCCEEDED;
    case JobState::kFailed:
      return v1::JOB_STATE_FAILED;
    case JobState::kCancelled:
      return v1::JOB_STATE_CANCELLED;
  }
  return v1::JOB_STATE_UNSPECIFIED;
}

absl::StatusOr<v1::Job> JobMessage(const JobRow& row) {
  v1::Job job;
  if (!job.mutable_spec()->ParseFromString(row.spec_bytes) ||
      !job.mutable_progress()->ParseFromString(row.progress_bytes)) {
    return absl::DataLossError(absl::StrCat("the stored jobs/", row.id, " does not parse"));
  }
  job.set_name("jobs/" + row.id);
  job.set_revision(row.revision);
  job.set_state(StateMessage(row));
  job.mutable_progress()->set_trials_done(static_cast<uint32_t>(row.trials_done));
  job.set_error(row.error);
  if (!row.module.empty()) job.set_module("modules/" + row.module);
  job.set_create_time_micros(row.create_time);
  job.set_end_time_micros(row.end_time);
  job.set_model_display_name(row.model_display_name);
  job.set_child_restarts(row.restarts);
  return job;
}

absl::Status CheckSpec(const v1::JobSpec& spec) {
  const double seconds = spec.budget().seconds();
  if (!(seconds >= 0 && seconds <= kMaxBudgetSeconds)) {
    return absl::InvalidArgumentError("budget.seconds must be 0 (no limit) to 30 days");
  }
  if (spec.budget().trials() > kMaxTrials)
    return absl::InvalidArgumentError(absl::StrCat("budget.trials exceeds ", kMaxTrials));
  if (spec.threads() > kMaxThreads)
    return absl::InvalidArgumentError(absl::StrCat("threads exceeds ", kMaxThreads));
  if (spec.target().size() > kMaxTargetBytes) return absl::InvalidArgumentError("target is too long");
  if (!spec.algorithms().empty() && spec.algorithms() != "fast" && spec.algorithms() != "exact") {
    return absl::InvalidArgumentError("algorithms is 'fast' or 'exact'");
  }
  if (!spec.strategy().empty() && spec.strategy() != "evolutionary" && spec.strategy() != "random") {
    return absl::InvalidArgumentError("strategy is 'evolutionary' or 'random'");
  }
  for (const v1::ShapeBinding& shape : spec.shapes()) {
    for (int64_t dim : shape.dims()) {
      if (dim < 0)
        return absl::InvalidArgumentError(
            absl::StrCat("shape of '", shape.input(), "': a dimension is negative"));
    }
  }
  return absl::OkStatus();
}

// Gives the job `request`'s budget on top of what it has spent.
absl::Status Extend(const v1::ResumeJobRequest& request, JobRow& row) {
  HONE_ASSIGN_OR_RETURN(v1::Job job, JobMessage(row));
  if (!request.has_budget() && row.state == JobState::kSucceeded)
    return absl::FailedPreconditionError(
        absl::StrCat("jobs/", row.id, " has spent its budget: give it more to go on with"));
  v1::JobProgress& progress = *job.mutable_progress();
  v1::Budget& budget = *job.mutable_spec()->mutable_budget();
  if (request.has_budget()) {
    budget = request.budget();
    HONE_RETURN_IF_ERROR(CheckSpec(job.spec()));
    if (budget.trials() > 0) budget.set_trials(budget.trials() + progress.trials_done());
    if (budget.seconds() > 0) budget.set_seconds(budget.seconds() + progress.seconds_spent());
  }
  HONE_RETURN_IF_ERROR(CheckSpec(job.spec()));
  progress.set_phase("queued");
  progress.set_trials_budget(budget.trials());
  progress.set_seconds_budget(budget.seconds());
  progress.set_eta_seconds(0);
  row.spec_bytes = job.spec().SerializeAsString();
  row.progress_bytes = progress.SerializeAsString();
  return absl::OkStatus();
}

// A watch between two looks at the job.
struct Watch {
  ServiceContext& context;
  grpc::CallbackServerContext* call;
  grpc::ServerUnaryReactor* reactor;
  const v1::WatchJobRequest* request;
  v1::Job* response;
  absl::Time deadline;
  std::string request_id;
  Principal principal = {};
};

absl::StatusOr<bool> Look(const Watch& watch) {
  HONE_ASSIGN_OR_RETURN(JobRow row, OwnJob(watch.context.store, watch.principal, watch.request->name()));
  HONE_ASSIGN_OR_RETURN(*watch.response, JobMessage(row));
  return row.revision > watch.request->after_revision() || absl::Now() >= watch.deadline ||
         watch.call->IsCancelled() || watch.context.hub.stopped();
}

void Continue(std::shared_ptr<Watch> watch) {
  ServiceContext& context = watch->context;
  const LogScope scope("request", watch->request_id);
  const uint64_t stamp = context.hub.Stamp();
  const absl::StatusOr<bool> done = Look(*watch);
  if (!done.ok() || *done) return watch->reactor->Finish(ToGrpc(done.status()));
  const std::string id = watch->request->name().substr(watch->request->name().find('/') + 1);
  context.hub.Wait(JobTopic(id), stamp, watch->deadline,
                   [watch, &context] { context.executor.Continue([watch] { Continue(watch); }); });
}

}  // namespace

grpc::ServerUnaryReactor* JobService::CreateJob(grpc::CallbackServerContext* call,
                                                const v1::CreateJobRequest* request, v1::Job* response) {
  return RunUnary(
      context_.executor, context_.tokens, call, [=, this](const Principal& principal) -> absl::Status {
        HONE_RETURN_IF_ERROR(CheckSpec(request->spec()));
        HONE_ASSIGN_OR_RETURN(ModelRow model, OwnModel(context_.store, principal, request->spec().model()));
        HONE_ASSIGN_OR_RETURN(RequestKey key, KeyOf(principal, "CreateJob", *request));
        v1::JobProgress progress;
        progress.set_phase("queued");
        progress.set_trials_budget(request->spec().budget().trials());
        progress.set_seconds_budget(request->spec().budget().seconds());
        JobRow row{.id = RandomId(),
                   .model = model.id,
                   .model_display_name = model.display_name,
                   .spec_bytes = request->spec().SerializeAsString(),
                   .progress_bytes = progress.SerializeAsString(),
                   .project = principal.project};
        HONE_ASSIGN_OR_RETURN(row, context_.store.CreateJob(row, key));
        LogEvent("job_created", {{"job", row.id}, {"model", model.id}});
        context_.hub.Notify(kQueueTopic);
        HONE_ASSIGN_OR_RETURN(*response, JobMessage(row));
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* JobService::GetJob(grpc::CallbackServerContext* call,
                                             const v1::GetJobRequest* request, v1::Job* response) {
  return RunUnary(context_.executor, context_.tokens, call,
                  [=, this](const Principal& principal) -> absl::Status {
                    HONE_ASSIGN_OR_RETURN(JobRow row, OwnJob(context_.store, principal, request->name()));
                    HONE_ASSIGN_OR_RETURN(*response, JobMessage(row));
                    return absl::OkStatus();
                  });
}

grpc::ServerUnaryReactor* JobService::ListJobs(grpc::CallbackServerContext* call,
                                               const v1::ListJobsRequest* request,
                                               v1::ListJobsResponse* response) {
  return RunUnary(
      context_.executor, context_.tokens, call, [=, this](const Principal& principal) -> absl::Status {
        HONE_ASSIGN_OR_RETURN(Page page, ParsePage(request->page_size(), request->page_token(), "jobs"));
        HONE_ASSIGN_OR_RETURN(std::vector<JobRow> rows,
                              context_.store.ListJobs(principal.project, {page.after, page.limit + 1}));
        response->set_next_page_token(
            FinishPage(rows, page.limit, "jobs", [](const JobRow& row) { return row.number; }));
        for (const JobRow& row : rows) {
          HONE_ASSIGN_OR_RETURN(*response->add_jobs(), JobMessage(row));
        }
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* JobService::WatchJob(grpc::CallbackServerContext* call,
                                               const v1::WatchJobRequest* request, v1::Job* response) {
  grpc::ServerUnaryReactor* reactor = call->DefaultReactor();
  std::string request_id = BeginRequest(*call);
  const double seconds = request->timeout_seconds();
  if (!(seconds >= 0)) {
    reactor->Finish(ToGrpc(absl::InvalidArgumentError("timeout_seconds is negative")));
    return reactor;
  }
  const absl::Time deadline = absl::Now() + absl::Seconds(std::min(seconds, kMaxWatchSeconds));
  auto watch = std::make_shared<Watch>(
      Watch{context_, call, reactor, request, response, deadline, std::move(request_id)});
  const bool accepted = context_.executor.TryRun([watch] {
    const absl::StatusOr<Principal> caller = watch->context.tokens.Authenticate(CredentialsOf(*watch->call));
    if (!caller.ok()) return watch->reactor->Finish(ToGrpc(caller.status()));
    watch->principal = *caller;
    Continue(watch);
  });
  if (!accepted) {
    reactor->Finish(ToGrpc(absl::ResourceExhaustedError("the server is overloaded; try again")));
  }
  return reactor;
}

grpc::ServerUnaryReactor* JobService::CancelJob(grpc::CallbackServerContext* call,
                                                const v1::CancelJobRequest* request, v1::Job* response) {
  return RunUnary(context_.executor, context_.tokens, call,
                  [=, this](const Principal& principal) -> absl::Status {
                    HONE_ASSIGN_OR_RETURN(JobRow row, OwnJob(context_.store, principal, request->name()));
                    const std::string id = row.id;
                    HONE_ASSIGN_OR_RETURN(row, context_.store.RequestCancel(id));  // idempotent by nature
                    LogEvent("job_cancel_requested", {{"job", id}});
                    context_.hub.Notify(JobTopic(id));
                    context_.hub.Notify(kQueueTopic);
                    HONE_ASSIGN_OR_RETURN(*response, JobMessage(row));
                    return absl::OkStatus();
                  });
}

grpc::ServerUnaryReactor* JobService::ResumeJob(grpc::CallbackServerContext* call,
                                                const v1::ResumeJobRequest* request, v1::Job* response) {
  return RunUnary(
      context_.executor, context_.tokens, call, [=, this](const Principal& principal) -> absl::Status {
        HONE_ASSIGN_OR_RETURN(JobRow row, OwnJob(context_.store, principal, request->name()));
        HONE_ASSIGN_OR_RETURN(RequestKey key, KeyOf(principal, "ResumeJob", *request));
        HONE_ASSIGN_OR_RETURN(
            row, context_.store.ResumeJob(row.id, [&](JobRow& job) { return Extend(*request, job); }, key));
        LogEvent("job_resumed", {{"job", row.id}});
        context_.hub.Notify(JobTopic(row.id));
        context_.hub.Notify(kQueueTopic);
        HONE_ASSIGN_OR_RETURN(*response, JobMessage(row));
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* JobService::DeleteJob(grpc::CallbackServerContext* call,
                                                const v1::DeleteJobRequest* request,
                                                v1::DeleteJobResponse*) {
  return RunUnary(
      context_.executor, context_.tokens, call, [=, this](const Principal& principal) -> absl::Status {
        HONE_ASSIGN_OR_RETURN(std::string id, IdIn("jobs", request->name()));
        HONE_ASSIGN_OR_RETURN(RequestKey key, KeyOf(principal, "DeleteJob", *request));
        HONE_RETURN_IF_ERROR(RefuseForeign(principal, context_.store.GetJob(id), request->name()));
        HONE_RETURN_IF_ERROR(context_.store.DeleteJob(id, key));
        LogEvent("job_deleted", {{"job", id}});
        return absl::OkStatus();
      });
}

}  // namespace hone
