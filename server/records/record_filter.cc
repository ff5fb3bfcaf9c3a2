#include "server/records/record_filter.h"

#include <array>
#include <cctype>
#include <cmath>
#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "proto/values/measurement.h"
#include "server/execution/status_macros.h"

namespace hone {
namespace {

constexpr size_t kMaxLength = 4096;
constexpr int kMaxDepth = 32;

enum class ValueKind { kText, kStatus, kSeconds, kTime, kInteger };
struct FieldRow {
  std::string_view name;
  RecordField field;
  ValueKind kind;
};
constexpr std::array<FieldRow, 15> kFields = {{
    {"model", RecordField::kModel, ValueKind::kText},
    {"task", RecordField::kTask, ValueKind::kText},
    {"task_label", RecordField::kTaskLabel, ValueKind::kText},
    {"worker", RecordField::kWorker, ValueKind::kText},
    {"target", RecordField::kTarget, ValueKind::kText},
    {"status", RecordField::kStatus, ValueKind::kStatus},
    {"latency", RecordField::kLatency, ValueKind::kSeconds},
    {"trace", RecordField::kTrace, ValueKind::kText},
    {"job", RecordField::kJob, ValueKind::kText},
    {"time", RecordField::kTime, ValueKind::kTime},
    {"create_time", RecordField::kTime, ValueKind::kTime},
    {"trial", RecordField::kTrial, ValueKind::kText},
    {"device_class", RecordField::kDeviceClass, ValueKind::kText},
    {"attempts", RecordField::kAttempts, ValueKind::kInteger},
    {"batch", RecordField::kBatch, ValueKind::kInteger},
}};

struct OperatorRow {
  std::string_view text;
  Comparison comparison;
};
constexpr std::array<OperatorRow, 7> kOperators = {{{"!=", Comparison::kNotEqual},
                                                    {"<=", Comparison::kLessEqual},
                                                    {">=", Comparison::kGreaterEqual},
                                                    {"=", Comparison::kEqual},
                                                    {"<", Comparison::kLess},
                                                    {">", Comparison::kGreater},
                                                    {":", Comparison::kHas}}};

struct UnitRow {
  std::string_view suffix;
  double seconds;
};
constexpr std::array<UnitRow, 4> kUnits = {{{"ns", 1e-9}, {"us", 1e-6}, {"ms", 1e-3}, {"s", 1.0}}};

std::optional<double> ParseSeconds(std::string_view text) {
  double scale = 1;
  for (const UnitRow& unit : kUnits) {
    if (text.size() > unit.suffix.size() && text.substr(text.size() - unit.suffix.size()) == unit.suffix) {
      scale = unit.seconds;
      text.remove_suffix(unit.suffix.size());
      break;
    }
  }
  double number;
  if (!absl::SimpleAtod(absl::string_view(text.data(), text.size()), &number) || !std::isfinite(number))
    return {};
  return number * scale;
}

struct Token {
  std::string text;
  size_t column = 0;  // from 1
  bool quoted = false;
  bool end = false;
};

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  absl::StatusOr<RecordFilter> Parse() {
    if (text_.size() > kMaxLength) {
      return absl::InvalidArgumentError(absl::StrCat("a filter has at most ", kMaxLength, " characters"));
    }
    HONE_RETURN_IF_ERROR(Advance());
    if (token_.end) return RecordFilter{};
    HONE_ASSIGN_OR_RETURN(RecordFilter filter, Expression(0));
    if (!token_.end) return Unexpected("the end of the filter");
    return filter;
  }

 private:
  bool IsWord(std::string_view word) const { return !token_.end && !token_.quoted && token_.text == word; }

  absl::Status Unexpected(std::string_view expected) const {
    return absl::InvalidArgumentError(absl::StrCat("filter, column ", token_.column, ": expected ",
                                                   std::string(expected), " but found ",
                                                   token_.end ? "the end" : "'" + token_.text + "'"));
  }

  absl::Status Advance() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
    token_ = {.column = at_ + 1};
    if (at_ == text_.size()) {
      token_.end = true;
      return absl::OkStatus();
    }
    const char c = text_[at_];
    if (c == '"' || c == '\'') return Quoted(c);
    if (c == '(' || c == ')' || c == '-') {
      token_.text = std::string(1, c);
      ++at_;
      return absl::OkStatus();
    }
    for (const OperatorRow& row : kOperators) {
      if (text_.substr(at_, row.text.size()) == row.text) {
        token_.text = std::string(row.text);
        at_ += row.text.size();
        return absl::OkStatus();
      }
    }
    return Word();
  }

  absl::Status Quoted(char quote) {
    token_.quoted = true;
    for (++at_; at_ < text_.size(); ++at_) {
      if (text_[at_] == quote) {
        ++at_;
        return absl::OkStatus();
      }
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;
      token_.text += text_[at_];
    }
    return absl::InvalidArgumentError(
        absl::StrCat("filter, column ", token_.column, ": this quote is never closed"));
  }

  // A bare word ends at a blank, a parenthesis or (before the value) an operator. Values may hold ':' (times)
  // and '-'.
  absl::Status Word() {
    const std::string_view stops = expects_value_ ? "()\"'" : "()\"'=!<>:";
    while (at_ < text_.size() && !std::isspace(static_cast<unsigned char>(text_[at_])) &&
           stops.find(text_[at_]) == std::string_view::npos) {
      token_.text += text_[at_++];
    }
    if (token_.text.empty()) token_.text = std::string(1, text_[at_++]);
    return absl::OkStatus();
  }

  absl::StatusOr<RecordFilter> Expression(int depth) {
    if (depth > kMaxDepth) return absl::InvalidArgumentError("the filter is nested too deeply");
    RecordFilter all{.kind = RecordFilter::Kind::kAnd};
    for (;;) {
      HONE_ASSIGN_OR_RETURN(RecordFilter factor, Factor(depth));
      all.children.push_back(std::move(factor));
      if (IsWord("AND")) {
        HONE_RETURN_IF_ERROR(Advance());
      } else if (token_.end || IsWord(")")) {
        break;
      }
    }
    if (all.children.size() == 1) return RecordFilter(all.children.front());
    return all;
  }

  absl::StatusOr<RecordFilter> Factor(int depth) {
    RecordFilter any{.kind = RecordFilter::Kind::kOr};
    for (;;) {
      HONE_ASSIGN_OR_RETURN(RecordFilter term, Term(depth));
      any.children.push_back(std::move(term));
      if (!IsWord("OR")) break;
      HONE_RETURN_IF_ERROR(Advance());
    }
    if (any.children.size() == 1) return RecordFilter(any.children.front());
    return any;
  }

  absl::StatusOr<RecordFilter> Term(int depth) {
    if (IsWord("NOT") || IsWord("-")) {
      if (depth > kMaxDepth) return absl::InvalidArgumentError("the filter is nested too deeply");
      HONE_RETURN_IF_ERROR(Advance());
      HONE_ASSIGN_OR_RETURN(RecordFilter inner, Term(depth + 1));
      return RecordFilter{.kind = RecordFilter::Kind::kNot, .children = {std::move(inner)}};
    }
    if (IsWord("(")) {
      HONE_RETURN_IF_ERROR(Advance());
      HONE_ASSIGN_OR_RETURN(RecordFilter inner, Expression(depth + 1));
      if (!IsWord(")")) return Unexpected("')'");
      HONE_RETURN_IF_ERROR(Advance());
      return inner;
    }
    return Compare();
  }

  absl::StatusOr<RecordFilter> Compare() {
    const FieldRow* field = nullptr;
    for (const FieldRow& row : kFields) {
      if (IsWord(row.name)) field = &row;
    }
    if (field == nullptr) {
      return Unexpected(
          "a field (model, task, task_label, worker, target, status, latency, trace, job, time, trial, "
          "device_class, attempts, batch)");
    }
    RecordFilter filter{.kind = RecordFilter::Kind::kCompare, .field = field->field};
    HONE_RETURN_IF_ERROR(Advance());
    const OperatorRow* found = nullptr;
    for (const OperatorRow& row : kOperators) {
      if (IsWord(row.text)) found = &row;
    }
    if (found == nullptr) return Unexpected("one of = != < <= > >= :");
    filter.comparison = found->comparison;
    if (filter.comparison == Comparison::kHas && field->kind != ValueKind::kText) {
      return absl::InvalidArgumentError(absl::StrCat(
          "filter, column ", token_.column, ": ':' works on text; ", std::string(field->name), " is none"));
    }
    expects_value_ = true;
    const absl::Status advanced = AdvanceToValue();
    expects_value_ = false;
    HONE_RETURN_IF_ERROR(advanced);
    HONE_RETURN_IF_ERROR(Convert(*field, filter));
    HONE_RETURN_IF_ERROR(Advance());
    return filter;
  }

  // Like Advance, but a value may begin with '-' or hold operator characters.
  absl::Status AdvanceToValue() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
    token_ = {.column = at_ + 1};
    if (at_ == text_.size() || std::string_view("()=<>!:").find(text_[at_]) != std::string_view::npos) {
      HONE_RETURN_IF_ERROR(Advance());
      return Unexpected("a value");
    }
    if (text_[at_] == '"' || text_[at_] == '\'') return Quoted(text_[at_]);
    return Word();
  }

  absl::Status Convert(const FieldRow& field, RecordFilter& filter) const {
    switch (field.kind) {
      case ValueKind::kText:
        filter.value = token_.text;
        return absl::OkStatus();
      case ValueKind::kStatus:
        if (!ParseOutcome(token_.text))
          return Unexpected(
              "ok, rejected, compile_error, crash, timeout, wrong_output, "
              "device_lost or infrastructure");
        filter.value = token_.text;
        return absl::OkStatus();
      case ValueKind::kSeconds: {
        const std::optional<double> seconds = ParseSeconds(token_.text);
        if (!seconds) return Unexpected("a time such as 1.5ms, 20us or 0.002");
        filter.value = *seconds;
        return absl::OkStatus();
      }
      case ValueKind::kTime: {
        absl::Time time;
        std::string error;
        if (!absl::ParseTime(absl::RFC3339_full, token_.text, &time, &error)) {
          return Unexpected("a time such as 2026-01-31T12:00:00Z");
        }
        filter.value = absl::ToUnixMicros(time);
        return absl::OkStatus();
      }
      case ValueKind::kInteger: {
        int64_t number;
        if (!absl::SimpleAtoi(token_.text, &number)) return Unexpected("a whole number");
        filter.value = number;
        return absl::OkStatus();
      }
    }
    return absl::InternalError("a value kind without a conversion");
  }

  const std::string_view text_;
  size_t at_ = 0;
  bool expects_value_ = false;
  Token token_;
};

}  // namespace

absl::StatusOr<RecordFilter> ParseRecordFilter(std::string_view text) { return Parser(text).Parse(); }

}  // namespace hone
