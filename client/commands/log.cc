#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/commands/commands.h"
#include "client/commands/listing.h"
#include "client/error.h"
#include "client/interrupts.h"
#include "client/record_text.h"
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

}  // namespace

absl::StatusOr<int> RunLogQuery(const CommandContext& context) {
  auto page = ReadPage(context);
  if (!page.ok()) return page.status();
  auto client = context.connect();
  if (!client.ok()) return client.status();
  v1::ListRecordsRequest request;
  request.set_filter(Filter(context));
  request.set_page_size(page->size);
  request.set_page_token(page->token);
  auto records = (*client)->ListRecords(request);
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
      const std::string table = RecordTable(*records, context.console.width);
      context.console.out << (titled ? table.substr(table.find('\n') + 1) : table);
      titled = true;
    }
    context.console.out.flush();
    if (records->empty() && absl::Now() >= end) return kExitOk;
    if (records->empty()) absl::SleepFor(kTailPoll);
  }
  return kExitDetached;
}

}  // namespace hone
