#pragma once

#include <string>

#include "hone/v1/common.pb.h"
#include "hone/v1/job_link.pb.h"
#include "server/storage/rows.h"
#include "server/storage/store.h"

namespace hone {

// What the records of one lease or batch have in common.
struct RecordContext {
  std::string job;  // id
  std::string model_display_name;
  BatchKind kind = BatchKind::kCandidates;
  v1::ProposeBatch proposal;  // its trials do not matter
  uint64_t seed = 0;          // of the search
  std::string device_class;
  std::string worker;  // id; empty if the trial never left the job
  v1::Device device;
};

// InvalidArgument if the stored messages do not parse.
absl::StatusOr<RecordContext> ContextOf(const LeaseGrant& grant);

RecordRow MakeRecordRow(const RecordContext& context, const TrialRow& trial,
                        const v1::Measurement& measurement);
// The incumbent's measurement under the name "b{batch}.incumbent": in the log, but no trial of the budget.
// Its trace is left to the store.
RecordRow MakeIncumbentRow(const RecordContext& context, const v1::Measurement& measurement);
// For SqliteStoreOptions::make_lost_record.
RecordRow MakeLostRecordRow(const LeaseGrant& grant, const TrialRow& trial);

// The record as clients see it; without windows and device unless `full`.
v1::TuningRecord RecordMessage(const RecordRow& row, bool full);
// As hone-job sees it: a suspect one as if it had been lost.
v1::TuningRecord RecordForJob(const RecordRow& row);

}  // namespace hone
