#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace hone {

// Measured limits of one core. GFLOP/s count a multiply-add as two; GB/s are 1e9 bytes.
struct Calibration {
  std::map<std::string, double> fma_gflops;   // by target row: {"x86-64-v3", 118.2}
  double l1_read_gbps = 0;
  double l2_read_gbps = 0;
  double l3_read_gbps = 0;
  double dram_read_gbps = 0;
  double fork_join_us = 0;
  uint64_t l3_held_bytes = 0;   // of the last-level cache, what one reader gets beside the neighbours that share it
};

// A machine that measures. Times are comparable within one device class.
struct Device {
  std::string device_class;   // see MakeDeviceClass
  std::string cpu_name;
  std::string target;         // most capable target row
  std::vector<std::string> features;
  uint32_t cores = 1;
  uint64_t l1d_bytes = 0;
  uint64_t l2_bytes = 0;
  uint64_t l3_bytes = 0;
  Calibration calibration;
  std::map<std::string, std::string> fingerprint;
};

// "AuthenticAMD-26-2/l1d48k/l2-1024k/l3-32768k/2c": CPU vendor, family, model, caches, cores.
std::string MakeDeviceClass(const std::string& cpu_id, uint64_t l1d_bytes, uint64_t l2_bytes, uint64_t l3_bytes,
                            uint32_t cores);

}  // namespace hone
