#include "server/workers/record_message.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "hone/v1/jobs.pb.h"
#include "proto/values/measurement.h"
#include "proto/values/sha256.h"
#include "proto/values/value_messages.h"

namespace hone {

absl::StatusOr<RecordContext> ContextOf(const LeaseGrant& grant) {
  RecordContext context;
  v1::JobSpec spec;
  if (!context.proposal.ParseFromString(grant.batch.proposal_bytes) ||
      !spec.ParseFromString(grant.spec_bytes)) {
    return absl::DataLossError(
        absl::StrCat("batch ", grant.batch.number, " of jobs/", grant.batch.job, " does not parse"));
  }
  context.job = grant.batch.job;
  context.model_display_name = grant.model_display_name;
  context.kind = grant.batch.kind;
  context.seed = spec.seed();
  context.device_class = grant.device_class;
  context.worker = grant.worker;
  return context;
}

RecordRow MakeRecordRow(const RecordContext& context, const TrialRow& trial,
                        const v1::Measurement& measurement) {
  RecordRow row;
  row.job = context.job;
  row.batch = context.proposal.number();
  row.trial_id = trial.trial_id;
  row.counted = context.kind == BatchKind::kCandidates;
  row.model = context.model_display_name;
  row.task_id = Sha256Hex(context.proposal.task_key());
  row.task_label = context.proposal.task_label();
  row.target = context.proposal.target();
  row.device_class = context.device_class;
  row.worker = context.worker;
  row.status = std::string(OutcomeName(FromMessage(measurement.outcome())));
  if (measurement.outcome() == v1::OUTCOME_OK) row.latency_seconds = measurement.p20_seconds();
  row.trace = trial.trace;

  v1::TuningRecord record;  // what has no column of its own
  record.set_task_key(context.proposal.task_key());
  record.set_trace_version(context.proposal.trace_version());
  record.set_compiler_build(context.proposal.compiler_build());
  record.set_seed(context.seed);
  record.set_predicted_seconds(trial.predicted_seconds);
  *record.mutable_measurement() = measurement;
  *record.mutable_device() = context.device;
  row.record_bytes = record.SerializeAsString();
  return row;
}

RecordRow MakeIncumbentRow(const RecordContext& context, const v1::Measurement& measurement) {
  TrialRow trial;
  trial.trial_id = absl::StrCat("b", context.proposal.number(), ".incumbent");
  RecordRow row = MakeRecordRow(context, trial, measurement);
  row.counted = false;
  return row;
}

RecordRow MakeLostRecordRow(const LeaseGrant& grant, const TrialRow& trial) {
  v1::Measurement measurement;
  measurement.set_outcome(v1::OUTCOME_INFRASTRUCTURE);
  measurement.set_message(
      absl::StrCat("given up after ", trial.attempts, " attempts; the last, on workers/", grant.worker,
                   ", ended so: ", grant.failure.empty() ? "it told no result" : grant.failure));
  absl::StatusOr<RecordContext> context = ContextOf(grant);
  if (!context.ok()) {  // a damaged row must not keep its job waiting for ever
    context = RecordContext{
        .job = grant.batch.job, .model_display_name = grant.model_display_name, .kind = grant.batch.kind};
    context->proposal.set_number(grant.batch.number);
  }
  return MakeRecordRow(*context, trial, measurement);
}

v1::TuningRecord RecordMessage(const RecordRow& row, bool full) {
  v1::TuningRecord record;
  if (!record.ParseFromString(row.record_bytes)) record.Clear();
  if (!full) {
    record.mutable_measurement()->clear_windows();
    record.clear_device();
  }
  record.set_name(absl::StrCat("records/", row.id));
  record.set_job("jobs/" + row.job);
  record.set_model(row.model);
  record.set_sequence(row.sequence);
  record.set_batch(row.batch);
  record.set_trial_id(row.trial_id);
  record.set_task_id(row.task_id);
  record.set_task_label(row.task_label);
  record.set_trace(row.trace);
  record.set_target(row.target);
  record.set_device_class(row.device_class);
  if (!row.worker.empty()) record.set_worker("workers/" + row.worker);
  record.set_create_time_micros(row.create_time);
  record.set_attempts(row.attempts);
  record.set_suspect(row.suspect);
  return record;
}

v1::TuningRecord RecordForJob(const RecordRow& row) {
  v1::TuningRecord record = RecordMessage(row, /*full=*/true);
  if (!row.suspect) return record;
  record.clear_measurement();
  record.mutable_measurement()->set_outcome(v1::OUTCOME_INFRASTRUCTURE);
  record.mutable_measurement()->set_message("its worker was quarantined");
  return record;
}

}  // namespace hone
