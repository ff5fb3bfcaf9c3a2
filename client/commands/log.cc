#include <fstream>

#include "absl/strings/str_cat.h"
#include "client/commands/commands.h"
#include "client/commands/listing.h"
#include "client/error.h"
#include "client/record_text.h"

namespace hone {
namespace {

constexpr int kExportPage = 500;

std::string Filter(const CommandContext& context) {
  return context.arguments.positionals().empty() ? "" : context.arguments.positional(0);
}

absl::Status Explain(const absl::Status& status) {
  if (!absl::IsInvalidArgument(status)) return status;
  return WithRemedy(status,
                    "hone log query --help shows fields and operators; quote the filter for the shell");
}

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

}  // namespace hone
