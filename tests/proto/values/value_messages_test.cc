#include "proto/values/value_messages.h"

#include <gtest/gtest.h>

namespace hone {
namespace {

TEST(ValueMessages, RecordSurvivesTheRoundTrip) {
  TuningRecord record;
  record.job = "jobs/1";
  record.trace = "trace 1; algorithm direct";
  record.measurement.outcome = Outcome::kWrongOutput;
  record.measurement.windows = {{1e-3, 4, 0.999, true}};
  record.device.calibration.fma_gflops["x86-64-v3"] = 118;
  const TuningRecord back = FromMessage(ToMessage(record));
  EXPECT_EQ(ToMessage(back).SerializeAsString(), ToMessage(record).SerializeAsString());
  EXPECT_EQ(back.measurement.outcome, Outcome::kWrongOutput);
}

TEST(ValueMessages, HostileTensorSpecsAreRefused) {
  v1::TensorSpec spec;
  spec.set_dtype("f32");
  spec.add_dims(int64_t{1} << 62);
  spec.add_dims(8);
  EXPECT_FALSE(FromMessage(spec).ok());
  spec.clear_dims();
  spec.add_dims(-1);
  EXPECT_FALSE(FromMessage(spec).ok());
  spec.clear_dims();
  spec.set_dtype("f33");
  EXPECT_FALSE(FromMessage(spec).ok());
}

}  // namespace
}  // namespace hone
