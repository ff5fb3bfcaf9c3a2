#pragma once

#include <string>

#include "google/protobuf/repeated_ptr_field.h"
#include "hone/v1/common.pb.h"

namespace hone {

// Records for people: number, time, outcome, latency, ratio, task, trace (or why it failed).
std::string RecordTable(const google::protobuf::RepeatedPtrField<v1::TuningRecord>& records, int width,
                        bool titled = true);

// CSV (RFC 4180): one title line, then one line per record.
std::string CsvTitles();
std::string CsvLine(const v1::TuningRecord& record);
// One line of JSON with every field, proto names.
std::string JsonLine(const v1::TuningRecord& record);

}  // namespace hone
