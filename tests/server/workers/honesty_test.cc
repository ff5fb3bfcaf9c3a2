#include "server/workers/honesty.h"

#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace hone {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

v1::Measurement Times(double p20, double median, double p95, double error = 1e-6) {
  v1::Measurement measurement;
  measurement.set_outcome(v1::OUTCOME_OK);
  measurement.set_p20_seconds(p20);
  measurement.set_median_seconds(median);
  measurement.set_p95_seconds(p95);
  measurement.set_max_error(error);
  measurement.add_windows()->set_seconds(median);
  return measurement;
}

TEST(HonestyTest, TellsLiesFromMeasurements) {
  v1::Lease lease;
  lease.set_floor_seconds(1e-3);
  lease.set_tolerance(2e-5);
  EXPECT_THAT(LieIn(lease, Times(1e-3, 2e-3, 3e-3)), IsEmpty());
  EXPECT_THAT(LieIn(lease, Times(0.3e-3, 2e-3, 3e-3)), IsEmpty());  // calibrated on a bad day
  EXPECT_THAT(LieIn(lease, Times(0.1e-3, 2e-3, 3e-3)), HasSubstr("roofline"));
  EXPECT_THAT(LieIn(lease, Times(0, 2e-3, 3e-3)), HasSubstr("a time that is none"));
  EXPECT_THAT(LieIn(lease, Times(1e-3, NAN, 3e-3)), HasSubstr("a time that is none"));
  EXPECT_THAT(LieIn(lease, Times(2e-3, 1e-3, 3e-3)), HasSubstr("out of order"));
  EXPECT_THAT(LieIn(lease, Times(1e-3, 1e-3, 1e-3, 1e-3)), HasSubstr("called outputs right"));
  EXPECT_THAT(LieIn(lease, Times(1e-3, 1e-3, 1e-3, NAN)), HasSubstr("called outputs right"));
  lease.add_outputs()->set_dtype("bf16");
  EXPECT_THAT(LieIn(lease, Times(1e-3, 1e-3, 1e-3, 1e-3)), IsEmpty());
  v1::Measurement crash;
  crash.set_outcome(v1::OUTCOME_CRASH);
  EXPECT_THAT(LieIn(lease, crash), IsEmpty());
  EXPECT_THAT(LieIn(lease, {}), HasSubstr("no outcome"));
}

TEST(HonestyTest, AReplayHasTheSameWindows) {
  const v1::Measurement first = Times(1, 2, 3);
  EXPECT_TRUE(IsReplay(first, first));
  v1::Measurement other = first;
  other.mutable_windows(0)->set_seconds(2.5);
  EXPECT_FALSE(IsReplay(first, other));
}

}  // namespace
}  // namespace hone
