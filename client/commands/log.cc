#include <cmath>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/commands/commands.h"
#include "client/commands/listing.h"
#include "client/error.h"
#include "client/explanation.h"
#include "client/interrupts.h"
#include "client/record_text.h"
#include "client/resource_name.h"
#include "client/units.h"

namespace hone {
namespace {

constexpr int kExportPage = 500;
constexpr absl::Duration kTailPoll = absl::Milliseconds(500);

std::string Filter(const CommandContext& context) {
  return context.arguments.positionals().empty() ? "" : context.arguments.positional(0);
}

absl::Status Explain(const absl::Status& status) {
  if (!absl::IsInvalidArgument(status)) return status;
  return WithRemedy(status,
                    "hone log query --help shows fields and operators; quote the filter for the shell");
}

std::string FilterSince(const CommandContext& context, absl::Time time) {
  const std::string filter = Filter(context);
  return absl::StrCat(filter.empty() ? "" : absl::StrCat("(", filter, ") AND "), "create_time>=\"",
                      absl::FormatTime(absl::RFC3339_full, time, absl::UTCTimeZone()), "\"");
}

// The log as it grows. A full page is left behind; the last one is asked for again, and only what is new
// in it is given.
class LogTail {
 public:
  LogTail(HoneClient& client, const std::string& filter) : client_(client) {
    request_.set_filter(filter);
    request_.set_page_size(kExportPage);
  }

  // What was added since; empty if nothing was.
  absl::StatusOr<google::protobuf::RepeatedPtrField<v1::TuningRecord>> Next() {
    google::protobuf::RepeatedPtrField<v1::TuningRecord> added;
    auto page = client_.ListRecords(request_);
    if (!page.ok()) return page.status();
    for (int i = given_; i < page->records_size(); ++i) *added.Add() = std::move(*page->mutable_records(i));
    given_ = page->records_size();
    if (!page->next_page_token().empty()) {
      request_.set_page_token(page->next_page_token());
      given_ = 0;
    }
    return added;
  }

 private:
  HoneClient& client_;
  v1::ListRecordsRequest request_;
  int given_ = 0;  // of the page that request_ asks for; pages only grow at their end
};

// The job's best trial of a task: of that which --task names, else of that which takes most of the time.
absl::StatusOr<std::string> BestRecord(HoneClient& client, const v1::Job& job, const std::string& task) {
  const v1::TaskProgress* chosen = nullptr;
  for (const v1::TaskProgress& each : job.progress().tasks()) {
    if (!absl::StartsWith(each.task_id(), task)) continue;
    if (chosen == nullptr || each.weight() * each.best_seconds() > chosen->weight() * chosen->best_seconds())
      chosen = &each;
  }
  std::string best;
  if (chosen != nullptr) {
    v1::ListRecordsRequest request;
    request.set_filter(
        absl::StrCat("job=\"", job.name(), "\" AND task=\"", chosen->task_id(), "\" AND status=\"ok\""));
    auto records = FetchRecords(client, request, {});
    if (!records.ok()) return records.status();
    double least = HUGE_VAL;
    for (const v1::TuningRecord& record : records->records()) {
      const bool schedule = !record.suspect() && !record.trace().empty();
      if (!schedule || record.measurement().p20_seconds() >= least) continue;
      best = record.name();
      least = record.measurement().p20_seconds();
    }
  }
  if (!best.empty()) return best;
  return WithRemedy(
      absl::NotFoundError(absl::StrCat("job ", ShortName(job.name()), " has no measured trial of ",
                                       task.empty() ? "any task" : "task " + task)),
      absl::StrCat("hone job logs ", ShortName(job.name()), " shows its trials"));
}

// The record that the command line means.
absl::StatusOr<std::string> RecordToExplain(const CommandContext& context, HoneClient& client) {
  if (!context.arguments.positionals().empty()) return FullName("records", context.arguments.positional(0));
  auto job = ResolveJob(client, context.arguments.GetOr("--job", ""));
  if (!job.ok()) return job.status();
  return BestRecord(client, *job, context.arguments.GetOr("--task", ""));
}

}  // namespace

absl::StatusOr<int> RunLogExplain(const CommandContext& context) {
  const bool named = !context.arguments.positionals().empty();
  if (named == context.arguments.Has("--job") || (named && context.arguments.Has("--task"))) {
    return WithRemedy(UsageError("hone log explain needs RECORD, or --job JOB with or without --task TASK"),
                      "hone log query and hone job logs show the records' numbers");
  }
  auto client = context.connect();
  if (!client.ok()) return client.status();
  auto name = RecordToExplain(context, **client);
  if (!name.ok()) return name.status();
  auto explanation = (*client)->ExplainRecord(*name);
  if (absl::IsNotFound(explanation.status()) || absl::IsInvalidArgument(explanation.status()))
    return WithRemedy(explanation.status(), "hone log query and hone job logs show the records' numbers");
  if (!explanation.ok()) return explanation.status();
  if (const auto path = context.arguments.Get("--out")) {
    if (absl::Status status = WriteTextFile(*path, ExplanationSvg(*explanation)); !status.ok()) return status;
  } else if (!context.console.json) {
    context.console.out << ExplanationText(*explanation, context.console.width);
  }
  if (context.console.json) context.console.PrintJson(MessageJson(*explanation));
  return kExitOk;
}

absl::StatusOr<int> RunLogQuery(const CommandContext& context) {
  auto rows_wanted = ReadRows(context);
  if (!rows_wanted.ok()) return rows_wanted.status();
  auto client = context.connect();
  if (!client.ok()) return client.status();
  v1::ListRecordsRequest request;
  request.set_filter(Filter(context));
  auto records = FetchRecords(**client, request, *rows_wanted);
  if (!records.ok()) return Explain(records.status());
  if (context.console.json) {
    context.console.PrintJson(MessageJson(*records));
    return kExitOk;
  }
  context.console.out << RecordTable(records->records(), context.console.width);
  PrintNextPage(context, records->next_page_token());
  return kExitOk;
}

absl::StatusOr<int> RunLogExport(const CommandContext& context) {
  const std::string format = context.arguments.GetOr("--format", "jsonl");
  if (format != "jsonl" && format != "csv")
    return UsageError(absl::StrCat("--format is jsonl or csv, not '", format, "'"));
  auto client = context.connect();
  if (!client.ok()) return client.status();
  std::ofstream file;
  const auto path = context.arguments.Get("--out");
  if (path) {
    file.open(*path, std::ios::trunc);
    if (!file) return absl::PermissionDeniedError("cannot write " + *path);
  }
  std::ostream& out = path ? file : context.console.out;
  if (format == "csv") out << CsvTitles();
  v1::ListRecordsRequest request;
  request.set_filter(Filter(context));
  request.set_page_size(kExportPage);
  request.set_full(true);
  do {
    auto records = (*client)->ListRecords(request);
    if (!records.ok()) return Explain(records.status());
    for (const v1::TuningRecord& record : records->records())
      out << (format == "csv" ? CsvLine(record) : JsonLine(record));
    request.set_page_token(records->next_page_token());
  } while (!request.page_token().empty());
  out.flush();
  if (!out) return absl::ResourceExhaustedError("not everything could be written; is the disk full?");
  return kExitOk;
}

absl::StatusOr<int> RunLogTail(const CommandContext& context) {
  auto since = ParseDuration(context.arguments.GetOr("--since", "10m"));
  if (!since.ok()) return since.status();
  absl::Time end = absl::InfiniteFuture();
  if (auto text = context.arguments.Get("--for")) {
    auto seconds = ParseDuration(*text);
    if (!seconds.ok()) return seconds.status();
    end = absl::Now() + absl::Seconds(*seconds);
  }
  auto client = context.connect();
  if (!client.ok()) return client.status();
  Interrupts interrupts([] {});
  LogTail tail(**client, FilterSince(context, absl::Now() - absl::Seconds(*since)));
  bool titled = context.console.json;
  while (!interrupts.raised()) {
    auto records = tail.Next();
    if (!records.ok()) return Explain(records.status());
    if (context.console.json) {
      for (const v1::TuningRecord& record : *records) context.console.out << JsonLine(record);
    } else if (!records->empty()) {
      context.console.out << RecordTable(*records, context.console.width, !titled);
      titled = true;
    }
    context.console.out.flush();
    if (records->empty() && absl::Now() >= end) return kExitOk;
    if (records->empty()) absl::SleepFor(kTailPoll);
  }
  return kExitDetached;
}

}  // namespace hone
