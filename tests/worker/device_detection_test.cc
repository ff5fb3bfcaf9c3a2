#include "worker/device_detection.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "worker/cpu_probes.h"

namespace hone {
namespace {

TEST(DeviceDetection, ReadsCpuInfo) {
  const char text[] =
      "processor\t: 0\nmodel name\t: A CPU: fast\nmodel\t\t: 2\n\nprocessor\t: 1\nmodel\t\t: 3\n";
  EXPECT_EQ(CpuInfoField(text, "model"), "2");
  EXPECT_EQ(CpuInfoField(text, "model name"), "A CPU: fast");
  EXPECT_EQ(CpuInfoField(text, "flags"), "");
}

TEST(DeviceDetection, KnowsThisMachine) {
  Device device = DetectDevice();
  EXPECT_GE(device.cores, 1u);
  EXPECT_FALSE(device.target.empty());
  EXPECT_FALSE(device.device_class.empty());
  device.calibration = Calibrate(device);
  const Calibration& c = device.calibration;
  ASSERT_TRUE(c.fma_gflops.contains(device.target));
  for (const auto& [target, gflops] : c.fma_gflops) {
    EXPECT_GT(gflops, 0.5) << target;
    EXPECT_LT(gflops, 2000) << target;
  }
  EXPECT_GT(c.l1_read_gbps, 1);
  EXPECT_GT(c.dram_read_gbps, 0.5);
  EXPECT_LE(c.l3_held_bytes, std::max<uint64_t>(device.l3_bytes, 4 * device.l2_bytes));
  EXPECT_EQ(c.l3_held_bytes > 0, device.l3_bytes > 0);
  const nlohmann::json json = nlohmann::json::parse(DeviceToJson(device));
  EXPECT_EQ(json["device_class"], device.device_class);
  EXPECT_GT(json["calibration"]["fma_gflops"][device.target], 0.5);
}

TEST(ReadProbeTest, ReadsOneCacheAndPieceByPiece) {
  const ReadProbe probe(3 << 20);
  for (const double gbps : {probe.Gbps(3 << 20, 0.01), probe.GbpsBetweenArithmetic(3 << 20, 0.01),
                            probe.GbpsBetweenArithmetic(5 << 19, 0.01)}) {   // the last piece is half a MiB
    EXPECT_GT(gbps, 0.5);
    EXPECT_LT(gbps, 10000);   // faster than any cache: nothing was read
  }
}

}  // namespace
}  // namespace hone
