#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"

// The filter language of records, after AIP-160:
//
//   filter     = expression ;  expression = sequence { "AND" sequence } ;  sequence = factor { factor } (=
//   AND) factor     = term { "OR" term } ;                                      OR binds tighter than AND
//   term       = [ "NOT" | "-" ] ( "(" expression ")" | comparison ) ;
//   comparison = field ( "=" | "!=" | "<" | "<=" | ">" | ">=" | ":" ) value ;
//   value      = word | "quoted" | 'quoted'                                 backslash escapes the next
//   character
//
//   model, task, task_label, worker, target, trace, job, trial, device_class: text; ":" means contains
//   status: ok, rejected, compile_error, crash, timeout, wrong_output, device_lost, infrastructure
//   latency: seconds, or with a unit: 1.5ms, 20us, 300ns, 2s. A trial that is not ok has none: every
//   comparison is false time (create_time): RFC 3339, e.g. 2026-01-31T12:00:00Z attempts, batch: integers
//
// `model="resnet50" AND status!=ok`, `latency<1ms (target=x86-64-v3 OR target=x86-64-v4)`, `NOT trace:"leaf
// contract"`
namespace hone {

enum class RecordField {
  kModel,
  kTask,
  kTaskLabel,
  kWorker,
  kTarget,
  kStatus,
  kLatency,
  kTrace,
  kJob,
  kTime,
  kTrial,
  kDeviceClass,
  kAttempts,
  kBatch
};
enum class Comparison { kEqual, kNotEqual, kLess, kLessEqual, kGreater, kGreaterEqual, kHas };

// A parsed filter. kAnd and kOr have any number of children (an empty kAnd is true), kNot has one.
struct RecordFilter {
  enum class Kind { kAnd, kOr, kNot, kCompare };
  Kind kind = Kind::kAnd;
  std::vector<RecordFilter> children;
  RecordField field = RecordField::kModel;
  Comparison comparison = Comparison::kEqual;
  std::variant<std::string, double, int64_t>
      value;  // text; latency in seconds; microseconds since 1970, or an integer
};

// An empty text is the filter that is always true. InvalidArgument names the column (from 1) and what was
// expected.
absl::StatusOr<RecordFilter> ParseRecordFilter(std::string_view text);

}  // namespace hone
