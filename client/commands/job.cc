#include <optional>

#include "absl/strings/str_cat.h"
#include "client/commands/commands.h"
#include "client/commands/listing.h"
#include "client/convergence.h"
#include "client/error.h"
#include "client/job_watcher.h"
#include "client/progress.h"
#include "client/record_text.h"
#include "client/resource_name.h"
#include "client/table.h"
#include "client/units.h"

namespace hone {
namespace {

constexpr int kAllTasks = 1 << 20;

void PrintJob(const CommandContext& context, const v1::Job& job) {
  if (context.console.json) return context.console.PrintJson(MessageJson(job));
  std::ostream& out = context.console.out;
  out << FormatFields({{"job", ShortName(job.name())},
                       {"model", job.model_display_name()},
                       {"state", JobStateName(job.state())},
                       {"target", job.spec().target()},
                       {"created", FormatTime(job.create_time_micros())},
                       {"ended", FormatTime(job.end_time_micros())},
                       {"module", ShortName(job.module())}},
                      context.console.width);
  if (!job.error().empty()) out << "error    " << job.error() << "\n";
  const std::string line = ProgressLine(job);
  const int width = context.console.width;
  const bool fits = width <= 0 || static_cast<int>(line.size()) <= width;
  out << "\n" << (fits ? line : WrapText(line, width, 0)) << "\n" << TaskTable(job, width, kAllTasks);
}

}  // namespace

absl::StatusOr<int> RunJobList(const CommandContext& context) {
  auto rows_wanted = ReadRows(context);
  if (!rows_wanted.ok()) return rows_wanted.status();
  auto client = context.connect();
  if (!client.ok()) return client.status();
  auto jobs = FetchRows(*rows_wanted, &v1::ListJobsResponse::jobs_size,
                        [&](int size, const std::string& token) { return (*client)->ListJobs(size, token); });
  if (!jobs.ok()) return jobs.status();
  if (context.console.json) {
    context.console.PrintJson(MessageJson(*jobs));
    return kExitOk;
  }
  std::vector<std::vector<std::string>> rows;
  for (const v1::Job& job : jobs->jobs()) {
    const v1::JobProgress& progress = job.progress();
    rows.push_back({ShortName(job.name()), job.model_display_name(), JobStateName(job.state()),
                    absl::StrCat(progress.trials_done()), FormatLatency(progress.predicted_seconds()),
                    FormatTime(job.create_time_micros())});
  }
  context.console.out << FormatTable({{"job"},
                                      {"model", Align::kLeft, Narrow::kShrink},
                                      {"state"},
                                      {"trials", Align::kRight},
                                      {"predicted", Align::kRight},
                                      {"created (UTC)", Align::kLeft, Narrow::kDrop}},
                                     rows, context.console.width);
  PrintNextPage(context, jobs->next_page_token());
  return kExitOk;
}

absl::StatusOr<int> RunJobShow(const CommandContext& context) {
  auto client = context.connect();
  if (!client.ok()) return client.status();
  auto job = ResolveJob(**client, context.arguments.positional(0));
  if (!job.ok()) return job.status();
  PrintJob(context, *job);
  return kExitOk;
}

absl::StatusOr<int> RunJobWatch(const CommandContext& context) {
  auto connected = context.connect();
  if (!connected.ok()) return connected.status();
  std::shared_ptr<HoneClient> client = *std::move(connected);
  auto job = ResolveJob(*client, context.arguments.positional(0));
  if (!job.ok()) return job.status();
  auto watched = WatchToEnd(context, client, job->name());
  if (!watched.ok()) return watched.status();
  if (watched->detached) {
    context.console.Note(absl::StrCat("job ", ShortName(job->name()), " goes on"));
    return kExitDetached;
  }
  PrintJob(context, watched->job);
  return watched->job.state() == v1::JOB_STATE_FAILED ? kExitFailure : kExitOk;
}

absl::StatusOr<int> RunJobCancel(const CommandContext& context) {
  auto client = context.connect();
  if (!client.ok()) return client.status();
  auto job = ResolveJob(**client, context.arguments.positional(0));
  if (!job.ok()) return job.status();
  auto cancelled = (*client)->CancelJob(job->name());
  if (!cancelled.ok()) return cancelled.status();
  if (context.console.json) {
    context.console.PrintJson(MessageJson(*cancelled));
    return kExitOk;
  }
  const std::string id = ShortName(job->name());
  context.console.out << "job " << id
                      << " is being cancelled; its best so far will be compiled: hone module download " << id
                      << " -o out/\n";
  return kExitOk;
}

absl::StatusOr<int> RunJobResume(const CommandContext& context) {
  std::optional<v1::Budget> budget;
  if (auto text = context.arguments.Get("--budget")) {
    auto parsed = ParseBudget(*text);
    if (!parsed.ok()) return parsed.status();
    budget = *parsed;
  }
  auto client = context.connect();
  if (!client.ok()) return client.status();
  auto job = ResolveJob(**client, context.arguments.positional(0));
  if (!job.ok()) return job.status();
  const std::string id = ShortName(job->name());
  auto resumed = (*client)->ResumeJob(job->name(), budget);
  if (absl::IsFailedPrecondition(resumed.status())) {
    return WithRemedy(resumed.status(), HasEnded(*job) ? absl::StrCat("hone job resume ", id, " --budget 5m")
                                                       : absl::StrCat("hone job watch ", id));
  }
  if (!resumed.ok()) return resumed.status();
  if (context.console.json) {
    context.console.PrintJson(MessageJson(*resumed));
    return kExitOk;
  }
  context.console.out << "job " << id << " goes on after " << resumed->progress().trials_done()
                      << " trials: hone job watch " << id << "\n";
  return kExitOk;
}

absl::StatusOr<int> RunJobDelete(const CommandContext& context) {
  auto client = context.connect();
  if (!client.ok()) return client.status();
  auto job = ResolveJob(**client, context.arguments.positional(0));
  if (!job.ok()) return job.status();
  const std::string id = ShortName(job->name());
  absl::Status status = (*client)->DeleteJob(job->name());
  if (absl::IsFailedPrecondition(status)) return WithRemedy(status, "hone job cancel " + id);
  if (!status.ok()) return status;
  if (context.console.json) {
    context.console.PrintJson({{"deleted", job->name()}});
  } else {
    context.console.out << "job " << id << " and its module are deleted; its trials stay in the log\n";
  }
  return kExitOk;
}

absl::StatusOr<int> RunJobLogs(const CommandContext& context) {
  auto rows_wanted = ReadRows(context);
  if (!rows_wanted.ok()) return rows_wanted.status();
  auto client = context.connect();
  if (!client.ok()) return client.status();
  auto job = ResolveJob(**client, context.arguments.positional(0));
  if (!job.ok()) return job.status();
  v1::ListRecordsRequest request;
  request.set_filter(absl::StrCat("job=\"", job->name(), "\""));
  auto records = FetchRecords(**client, request, *rows_wanted);
  if (!records.ok()) return records.status();
  if (context.console.json) {
    context.console.PrintJson(MessageJson(*records));
    return kExitOk;
  }
  context.console.out << RecordTable(records->records(), context.console.width);
  PrintNextPage(context, records->next_page_token());
  if (!job->error().empty()) context.console.out << "the job failed: " << job->error() << "\n";
  return kExitOk;
}

absl::StatusOr<int> RunJobPlot(const CommandContext& context) {
  auto client = context.connect();
  if (!client.ok()) return client.status();
  auto job = ResolveJob(**client, context.arguments.positional(0));
  if (!job.ok()) return job.status();
  v1::ListRecordsRequest request;
  request.set_filter(absl::StrCat("job=\"", job->name(), "\""));
  auto records = FetchRecords(**client, request, {});
  if (!records.ok()) return records.status();
  const std::vector<ConvergencePoint> points = Convergence(*job, records->records());
  const auto path = context.arguments.Get("--out");
  if (path) {
    absl::Status status = WriteTextFile(
        *path,
        ConvergenceSvg(points, absl::StrCat(job->model_display_name(), ", job ", ShortName(job->name()))));
    if (!status.ok()) return status;
  }
  if (context.console.json) {
    Json json = Json::array();
    for (const ConvergencePoint& point : points) {
      json.push_back({{"trial", point.trial},
                      {"elapsed_seconds", point.elapsed_seconds},
                      {"predicted_seconds", point.predicted_seconds}});
    }
    context.console.PrintJson({{"job", job->name()}, {"points", json}});
  } else if (points.empty()) {
    context.console.Note("nothing was measured yet");
  } else if (!path) {
    context.console.out << ConvergenceText(points, context.console.width);
  }
  return kExitOk;
}

}  // namespace hone
