#include "server/workers/device_match.h"

#include "gtest/gtest.h"

namespace hone {
namespace {

TEST(DeviceMatchTest, RunsItsOwnTargetAndWhatIsBelow) {
  v1::Device device;
  device.set_target("x86-64-v4");
  for (const char* target : {"", "host", "x86-64-v4", "x86-64-v3", "x86-64-v2"})
    EXPECT_TRUE(DeviceRuns(device, target)) << target;
  for (const char* target : {"x86-64-v5", "aarch64", "x86-64", "arm-v3", "x86-64-vx"})
    EXPECT_FALSE(DeviceRuns(device, target)) << target;
  device.set_target("x86-64-v3");
  EXPECT_FALSE(DeviceRuns(device, "x86-64-v4"));
  (*device.mutable_calibration()->mutable_fma_gflops())["special"] = 1;
  EXPECT_TRUE(DeviceRuns(device, "special"));
}

}  // namespace
}  // namespace hone
