#include "client/record_text.h"

#include <span>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "client/json.h"
#include "client/resource_name.h"
#include "client/table.h"
#include "client/units.h"
#include "proto/values/measurement.h"
#include "proto/values/value_messages.h"

namespace hone {
namespace {

std::string Number(double value) { return absl::StrFormat("%.9g", value); }
std::string Status(const v1::TuningRecord& record) {
  if (record.suspect()) return "suspect";
  return std::string(OutcomeName(FromMessage(record.measurement().outcome())));
}

// The columns of the CSV export.
struct CsvColumn {
  const char* title;
  std::string (*value)(const v1::TuningRecord&);
};
using Record = v1::TuningRecord;
constexpr CsvColumn kCsv[] = {
    {"name", [](const Record& r) { return r.name(); }},
    {"job", [](const Record& r) { return r.job(); }},
    {"model", [](const Record& r) { return r.model(); }},
    {"sequence", [](const Record& r) { return absl::StrCat(r.sequence()); }},
    {"batch", [](const Record& r) { return absl::StrCat(r.batch()); }},
    {"trial_id", [](const Record& r) { return r.trial_id(); }},
    {"task_id", [](const Record& r) { return r.task_id(); }},
    {"task_label", [](const Record& r) { return r.task_label(); }},
    {"status", Status},
    {"p20_seconds", [](const Record& r) { return Number(r.measurement().p20_seconds()); }},
    {"median_seconds", [](const Record& r) { return Number(r.measurement().median_seconds()); }},
    {"p95_seconds", [](const Record& r) { return Number(r.measurement().p95_seconds()); }},
    {"ratio_to_incumbent", [](const Record& r) { return Number(r.measurement().ratio_to_incumbent()); }},
    {"ratio_low", [](const Record& r) { return Number(r.measurement().ratio_low()); }},
    {"ratio_high", [](const Record& r) { return Number(r.measurement().ratio_high()); }},
    {"max_error", [](const Record& r) { return Number(r.measurement().max_error()); }},
    {"predicted_seconds", [](const Record& r) { return Number(r.predicted_seconds()); }},
    {"target", [](const Record& r) { return r.target(); }},
    {"device_class", [](const Record& r) { return r.device_class(); }},
    {"worker", [](const Record& r) { return r.worker(); }},
    {"attempts", [](const Record& r) { return absl::StrCat(r.attempts()); }},
    {"create_time_micros", [](const Record& r) { return absl::StrCat(r.create_time_micros()); }},
    {"compiler_build", [](const Record& r) { return r.compiler_build(); }},
    {"seed", [](const Record& r) { return absl::StrCat(r.seed()); }},
    {"message", [](const Record& r) { return r.measurement().message(); }},
    {"trace", [](const Record& r) { return r.trace(); }},
};

std::string CsvCell(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  return absl::StrCat("\"", absl::StrReplaceAll(text, {{"\"", "\"\""}}), "\"");
}

// A trace without the words that all begin with.
std::string ScheduleText(const std::string& trace) {
  constexpr std::string_view kAlgorithm = "algorithm ";
  const size_t begin = trace.find(kAlgorithm);
  return begin == std::string::npos ? trace : trace.substr(begin + kAlgorithm.size());
}

}  // namespace

std::string RecordTable(const google::protobuf::RepeatedPtrField<v1::TuningRecord>& records, int width,
                        bool titled) {
  std::vector<std::vector<std::string>> rows;
  for (const v1::TuningRecord& record : records) {
    const v1::Measurement& measured = record.measurement();
    const double ratio = measured.ratio_to_incumbent();
    rows.push_back({ShortName(record.name()), FormatTime(record.create_time_micros()), record.model(),
                    record.trial_id(), Status(record), FormatLatency(measured.p20_seconds()),
                    ratio > 0 ? absl::StrFormat("%.3f", ratio) : "-", record.task_label(),
                    measured.message().empty() ? ScheduleText(record.trace()) : measured.message()});
  }
  return FormatTable({{"record", Align::kRight},
                      {"time (UTC)", Align::kLeft, Narrow::kDrop},
                      {"model", Align::kLeft, Narrow::kDrop},
                      {"trial"},
                      {"status"},
                      {"latency", Align::kRight},
                      {"ratio", Align::kRight, Narrow::kDrop},
                      {"task", Align::kLeft, Narrow::kShrink},
                      {"schedule or message", Align::kLeft, Narrow::kShrink}},
                     rows, width, titled);
}

std::string CsvTitles() {
  std::string line;
  for (const CsvColumn& column : kCsv) absl::StrAppend(&line, line.empty() ? "" : ",", column.title);
  return line + "\n";
}

std::string CsvLine(const v1::TuningRecord& record) {
  std::string line;
  for (const CsvColumn& column : kCsv)
    absl::StrAppend(&line, &column == kCsv ? "" : ",", CsvCell(column.value(record)));
  return line + "\n";
}

std::string JsonLine(const v1::TuningRecord& record) {
  return MessageJson(record).dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace hone
