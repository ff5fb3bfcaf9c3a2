// The log: reading by job, and querying by filter (translated to SQL with every value bound).
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/execution/status_macros.h"
#include "server/storage/sqlite_rows.h"
#include "server/storage/sqlite_store.h"

namespace hone {
namespace {

constexpr char kRecordColumns[] =
    "SELECT id, job, sequence, batch, trial_id, counted, model, task_id, task_label, target, device_class, "
    "worker, status, "
    "latency, trace, create_time, attempts, record, suspect FROM records ";

absl::Status ReadRecords(Query& query, std::vector<RecordRow>& records) {
  while (query.Next()) {
    RecordRow& record = records.emplace_back();
    record.id = query.Int(0);
    record.job = query.Text(1);
    record.sequence = static_cast<uint64_t>(query.Int(2));
    record.batch = static_cast<uint32_t>(query.Int(3));
    record.trial_id = query.Text(4);
    record.counted = query.Int(5) != 0;
    record.model = query.Text(6);
    record.task_id = query.Text(7);
    record.task_label = query.Text(8);
    record.target = query.Text(9);
    record.device_class = query.Text(10);
    record.worker = query.Text(11);
    record.status = query.Text(12);
    if (!query.IsNull(13)) record.latency_seconds = query.Real(13);
    record.trace = query.Text(14);
    record.create_time = query.Int(15);
    record.attempts = static_cast<uint32_t>(query.Int(16));
    record.record_bytes = query.Text(17);
    record.suspect = query.Int(18) != 0;
  }
  return query.status();
}

const char* Column(RecordField field) {
  switch (field) {
    case RecordField::kModel:
      return "model";
    case RecordField::kTask:
      return "task_id";
    case RecordField::kTaskLabel:
      return "task_label";
    case RecordField::kWorker:
      return "worker";
    case RecordField::kTarget:
      return "target";
    case RecordField::kStatus:
      return "status";
    case RecordField::kLatency:
      return "latency";
    case RecordField::kTrace:
      return "trace";
    case RecordField::kJob:
      return "job";
    case RecordField::kTime:
      return "create_time";
    case RecordField::kTrial:
      return "trial_id";
    case RecordField::kDeviceClass:
      return "device_class";
    case RecordField::kAttempts:
      return "attempts";
    case RecordField::kBatch:
      return "batch";
  }
  return "";
}

// Jobs and workers are stored by id; a filter may name the resource ("jobs/x") or the id.
std::string_view ResourcePrefix(RecordField field) {
  if (field == RecordField::kJob) return "jobs/";
  if (field == RecordField::kWorker) return "workers/";
  return "";
}

using Parameter = std::variant<std::string, double, int64_t>;

const char* Operator(Comparison comparison) {
  switch (comparison) {
    case Comparison::kHas:
      return "";
    case Comparison::kEqual:
      return "=";
    case Comparison::kNotEqual:
      return "<>";
    case Comparison::kLess:
      return "<";
    case Comparison::kLessEqual:
      return "<=";
    case Comparison::kGreater:
      return ">";
    case Comparison::kGreaterEqual:
      return ">=";
  }
  return "";
}

// The SQL of one comparison; appends its parameter. A missing latency makes it false, under NOT as well as
// without; the other columns are never NULL, and compared as they are so that indices serve.
std::string CompareSql(const RecordFilter& filter, std::vector<Parameter>& parameters) {
  Parameter value = filter.value;
  const std::string_view prefix = ResourcePrefix(filter.field);
  if (auto* text = std::get_if<std::string>(&value);
      text != nullptr && !prefix.empty() && text->starts_with(prefix)) {
    text->erase(0, prefix.size());
  }
  parameters.push_back(std::move(value));
  const std::string column = Column(filter.field);
  if (filter.comparison == Comparison::kHas) return absl::StrCat("instr(", column, ", ?) > 0");
  const std::string comparison = absl::StrCat(column, " ", Operator(filter.comparison), " ?");
  return filter.field == RecordField::kLatency ? absl::StrCat("ifnull(", comparison, ", 0)") : comparison;
}

std::string FilterSql(const RecordFilter& filter, std::vector<Parameter>& parameters) {
  std::vector<std::string> parts;
  for (const RecordFilter& child : filter.children) parts.push_back(FilterSql(child, parameters));
  switch (filter.kind) {
    case RecordFilter::Kind::kAnd:
      return parts.empty() ? "1" : absl::StrCat("(", absl::StrJoin(parts, " AND "), ")");
    case RecordFilter::Kind::kOr:
      return absl::StrCat("(", absl::StrJoin(parts, " OR "), ")");
    case RecordFilter::Kind::kNot:
      return absl::StrCat("NOT ", parts.front());
    case RecordFilter::Kind::kCompare:
      return absl::StrCat("(", CompareSql(filter, parameters), ")");
  }
  return "0";
}

}  // namespace

absl::StatusOr<std::vector<RecordRow>> SqliteStore::ListLog(const std::string& job, uint64_t after_sequence) {
  std::vector<RecordRow> records;
  HONE_RETURN_IF_ERROR(readers_.Run([&](Connection& db) {
    Query query(db, absl::StrCat(kRecordColumns, "WHERE job = ? AND sequence > ? ORDER BY sequence"), job,
                after_sequence);
    return ReadRecords(query, records);
  }));
  return records;
}

absl::StatusOr<std::vector<RecordRow>> SqliteStore::ListRecordsOf(const std::string& worker, double latency) {
  std::vector<RecordRow> records;
  HONE_RETURN_IF_ERROR(readers_.Run([&](Connection& db) {
    Query query(db, absl::StrCat(kRecordColumns, "WHERE worker = ? AND latency = ? ORDER BY id"), worker,
                latency);
    return ReadRecords(query, records);
  }));
  return records;
}

absl::StatusOr<RecordRow> SqliteStore::GetRecord(int64_t id) {
  std::vector<RecordRow> records;
  HONE_RETURN_IF_ERROR(readers_.Run([&](Connection& db) {
    Query query(db, absl::StrCat(kRecordColumns, "WHERE id = ?"), id);
    return ReadRecords(query, records);
  }));
  if (records.empty()) return absl::NotFoundError(absl::StrCat("there is no records/", id));
  return records.front();
}

absl::StatusOr<std::vector<RecordRow>> SqliteStore::QueryRecords(const std::string& project,
                                                                 const RecordFilter& filter,
                                                                 const Page& page) {
  std::vector<RecordRow> records;
  HONE_RETURN_IF_ERROR(readers_.Run([&](Connection& db) {
    std::vector<Parameter> parameters;
    const std::string where = FilterSql(filter, parameters);
    // First the ids, for which an index is enough; what many records fail at comes before whose they are.
    Query query(db, absl::StrCat(kRecordColumns, "WHERE id IN (SELECT id FROM records WHERE ", where,
                                 " AND id > ? AND +job IN (SELECT id FROM jobs WHERE project = ?) "
                                 "ORDER BY id LIMIT ",
                                 page.limit, ") ORDER BY id"));
    for (const Parameter& parameter : parameters) {
      std::visit([&](const auto& value) { query.Bind(value); }, parameter);
    }
    query.Bind(page.after);
    query.Bind(project);
    return ReadRecords(query, records);
  }));
  return records;
}

}  // namespace hone
