#include "server/workers/record_message.h"

#include "gtest/gtest.h"
#include "hone/v1/jobs.pb.h"
#include "proto/values/sha256.h"

namespace hone {
namespace {

RecordContext Context() {
  RecordContext context{
      .job = "j1", .model_display_name = "net", .seed = 7, .device_class = "class", .worker = "w1"};
  context.proposal.set_number(3);
  context.proposal.set_task_key("key");
  context.proposal.set_task_label("label");
  context.proposal.set_target("x86-64-v3");
  context.proposal.set_compiler_build("build");
  context.device.set_cpu_name("cpu");
  return context;
}

TEST(RecordMessageTest, KeepsTheWholeProvenance) {
  v1::Measurement measurement;
  measurement.set_outcome(v1::OUTCOME_OK);
  measurement.set_p20_seconds(0.5);
  measurement.add_windows()->set_seconds(0.5);
  RecordRow row =
      MakeRecordRow(Context(), {.trial_id = "b3.1", .trace = "trace", .predicted_seconds = 0.4}, measurement);
  EXPECT_TRUE(row.counted);
  EXPECT_EQ(row.status, "ok");
  EXPECT_EQ(row.latency_seconds, 0.5);
  row.id = 9, row.sequence = 4, row.attempts = 2, row.create_time = 1;
  const v1::TuningRecord full = RecordMessage(row, true);
  EXPECT_EQ(full.name(), "records/9");
  EXPECT_EQ(full.job(), "jobs/j1");
  EXPECT_EQ(full.worker(), "workers/w1");
  EXPECT_EQ(full.task_id(), Sha256Hex("key"));
  EXPECT_EQ(full.task_key(), "key");
  EXPECT_EQ(full.seed(), 7u);
  EXPECT_EQ(full.predicted_seconds(), 0.4);
  EXPECT_EQ(full.attempts(), 2u);
  EXPECT_EQ(full.measurement().windows_size(), 1);
  EXPECT_EQ(full.device().cpu_name(), "cpu");
  const v1::TuningRecord brief = RecordMessage(row, false);
  EXPECT_EQ(brief.measurement().windows_size(), 0);
  EXPECT_EQ(brief.measurement().p20_seconds(), 0.5);
  EXPECT_FALSE(brief.has_device());
}

TEST(RecordMessageTest, OnlyOkTrialsHaveALatency) {
  v1::Measurement measurement;
  measurement.set_outcome(v1::OUTCOME_CRASH);
  measurement.set_p20_seconds(1);
  EXPECT_FALSE(MakeRecordRow(Context(), {}, measurement).latency_seconds.has_value());
  EXPECT_FALSE(MakeIncumbentRow(Context(), measurement).counted);
  RecordContext module = Context();
  module.kind = BatchKind::kModule;
  EXPECT_FALSE(MakeRecordRow(module, {}, measurement).counted);
}

TEST(RecordMessageTest, ALostTrialIsRecordedEvenFromADamagedRow) {
  LeaseGrant lease{.worker = "w1", .batch = {.job = "j1", .number = 2, .proposal_bytes = "\xff\xff"}};
  const RecordRow row = MakeLostRecordRow(lease, {.trial_id = "b2.0", .attempts = 3});
  EXPECT_EQ(row.job, "j1");
  EXPECT_EQ(row.batch, 2u);
  EXPECT_EQ(row.status, "infrastructure");
}

}  // namespace
}  // namespace hone
