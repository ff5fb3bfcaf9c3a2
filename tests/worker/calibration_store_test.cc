#include "worker/calibration_store.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/worker/test_objects.h"

namespace hone {
namespace {

Device DeviceWith(double dram_read_gbps, double fork_join_us) {
  Device device;
  device.device_class = "test-class";
  device.fingerprint["microcode"] = "0x1";
  device.calibration = {.fma_gflops = {{"x86-64-v3", 2 * dram_read_gbps}},
                        .l1_read_gbps = 300,
                        .l2_read_gbps = 100,
                        .l3_read_gbps = 30,
                        .dram_read_gbps = dram_read_gbps,
                        .fork_join_us = fork_join_us,
                        .l3_held_bytes = uint64_t{64} << 20};
  return device;
}

class CalibrationStoreTest : public testing::Test {
 protected:
  TestFolder folder_;
  const std::string path_ = folder_.path() + "/data/calibration.json";
};

TEST_F(CalibrationStoreTest, KeepsEachFiguresBest) {
  Device device = DeviceWith(20, 3);
  ASSERT_TRUE(KeepBestCalibration(path_, &device).ok());
  device = DeviceWith(10, 2);  // beside busy programs, but for the threads
  device.calibration.fma_gflops["x86-64-v4"] = 7;
  ASSERT_TRUE(KeepBestCalibration(path_, &device).ok());
  EXPECT_EQ(device.calibration.dram_read_gbps, 20);
  EXPECT_EQ(device.calibration.fork_join_us, 2);
  EXPECT_EQ(device.calibration.fma_gflops,
            (std::map<std::string, double>{{"x86-64-v3", 40}, {"x86-64-v4", 7}}));
  EXPECT_EQ(device.calibration.l3_held_bytes, uint64_t{64} << 20);
  ASSERT_TRUE(StoredCalibration(path_, device).has_value());
  EXPECT_EQ(StoredCalibration(path_, device)->fma_gflops, device.calibration.fma_gflops);
  device.device_class += "/other";
  EXPECT_FALSE(StoredCalibration(path_, device).has_value());
}

TEST(BestOfTest, WhatWasNeverCalibratedCountsForNothing) {
  const Calibration one = DeviceWith(20, 3).calibration;
  EXPECT_EQ(BestOf({}, one).fork_join_us, 3);
  EXPECT_EQ(BestOf(one, {}).fork_join_us, 3);
}

TEST_F(CalibrationStoreTest, ForgetsAnotherDeviceAndADamagedFile) {
  Device device = DeviceWith(20, 3);
  ASSERT_TRUE(KeepBestCalibration(path_, &device).ok());
  Device other = DeviceWith(10, 3);
  other.fingerprint["microcode"] = "0x2";
  ASSERT_TRUE(KeepBestCalibration(path_, &other).ok());
  EXPECT_EQ(other.calibration.dram_read_gbps, 10);
  for (const char* damage : {"", "{", "[]", "{\"device_class\":\"test-class\"}",
                             "{\"device_class\":\"test-class\",\"fingerprint\":{\"microcode\":\"0x1\"},"
                             "\"calibration\":{\"fma_gflops\":3}}"}) {
    std::ofstream(path_) << damage;
    device = DeviceWith(15, 3);
    ASSERT_TRUE(KeepBestCalibration(path_, &device).ok());
    EXPECT_EQ(device.calibration.dram_read_gbps, 15) << damage;
  }
}

TEST_F(CalibrationStoreTest, ACalibrationThatCannotBeKeptIsGoodAllTheSame) {
  std::ofstream(folder_.path() + "/data") << "a file";
  Device device = DeviceWith(20, 3);
  EXPECT_FALSE(KeepBestCalibration(path_, &device).ok());
  EXPECT_EQ(device.calibration.dram_read_gbps, 20);
}

}  // namespace
}  // namespace hone
