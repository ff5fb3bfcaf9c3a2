#include "worker/device_detection.h"

#include <sched.h>
#include <sys/utsname.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "proto/values/host_lock.h"
#include "worker/cpu_probes.h"

namespace hone {
namespace {

std::string ReadFile(const std::string& path) {
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  return std::string(absl::StripAsciiWhitespace(text.str()));
}

// "48K", "32M" -> bytes.
uint64_t ParseCacheSize(absl::string_view text) {
  uint64_t unit = 1;
  if (!text.empty() && text.back() == 'K') unit = 1 << 10;
  if (!text.empty() && text.back() == 'M') unit = 1 << 20;
  if (unit > 1) text.remove_suffix(1);
  uint64_t size = 0;
  return absl::SimpleAtoi(text, &size) ? size * unit : 0;
}

void DetectCaches(Device& device) {
  for (int index = 0; index < 10; ++index) {
    const std::string folder = absl::StrCat("/sys/devices/system/cpu/cpu0/cache/index", index, "/");
    const std::string level = ReadFile(folder + "level"), type = ReadFile(folder + "type");
    if (level.empty()) break;
    if (type == "Instruction") continue;
    const uint64_t size = ParseCacheSize(ReadFile(folder + "size"));
    if (level == "1") device.l1d_bytes = size;
    if (level == "2") device.l2_bytes = size;
    if (level == "3") device.l3_bytes = size;
  }
}

// What may decide which code is generated; the rest of the flags is noise.
constexpr absl::string_view kFeatures[] = {
    "amx_bf16", "amx_int8",    "amx_tile",    "asimd",       "asimddp",  "asimdhp",  "avx",
    "avx2",     "avx512_bf16", "avx512_fp16", "avx512_vnni", "avx512bw", "avx512cd", "avx512dq",
    "avx512f",  "avx512vl",    "avx_vnni",    "bf16",        "bmi2",     "f16c",     "fma",
    "i8mm",     "popcnt",      "sse4_2",      "sve",         "sve2"};

void DetectCpu(Device& device) {
  const std::string cpuinfo = ReadFile("/proc/cpuinfo");
  const bool x86 = !CpuInfoField(cpuinfo, "vendor_id").empty();
  device.cpu_name = CpuInfoField(cpuinfo, x86 ? "model name" : "CPU part");
  const std::string flags = CpuInfoField(cpuinfo, x86 ? "flags" : "Features");
  const std::vector<absl::string_view> present = absl::StrSplit(flags, ' ');
  for (absl::string_view feature : kFeatures) {
    if (std::find(present.begin(), present.end(), feature) != present.end())
      device.features.emplace_back(feature);
  }
  const std::string cpu_id =
      x86 ? absl::StrCat(CpuInfoField(cpuinfo, "vendor_id"), "-", CpuInfoField(cpuinfo, "cpu family"), "-",
                         CpuInfoField(cpuinfo, "model"))
          : absl::StrCat("arm-", CpuInfoField(cpuinfo, "CPU implementer"), "-",
                         CpuInfoField(cpuinfo, "CPU part"));
  device.device_class =
      MakeDeviceClass(cpu_id, device.l1d_bytes, device.l2_bytes, device.l3_bytes, device.cores);
  device.fingerprint["microcode"] = CpuInfoField(cpuinfo, "microcode");
  device.fingerprint["stepping"] = CpuInfoField(cpuinfo, "stepping");
  const bool hypervisor = std::find(present.begin(), present.end(), "hypervisor") != present.end();
  device.fingerprint["virtualised"] = hypervisor ? "yes" : "no";
}

void DetectSystem(Device& device) {
  utsname name;
  if (uname(&name) == 0) device.fingerprint["kernel"] = absl::StrCat(name.sysname, " ", name.release);
  const std::string base = "/sys/devices/system/cpu/";
  device.fingerprint["governor"] = ReadFile(base + "cpu0/cpufreq/scaling_governor");
  device.fingerprint["smt"] = ReadFile(base + "smt/active");
  device.fingerprint["spectre_v2"] = ReadFile(base + "vulnerabilities/spectre_v2");
  device.fingerprint["spec_store_bypass"] = ReadFile(base + "vulnerabilities/spec_store_bypass");
  device.fingerprint["transparent_hugepage"] = ReadFile("/sys/kernel/mm/transparent_hugepage/enabled");
  device.fingerprint["isolation"] = "process,rlimits,no_new_privs";
  device.fingerprint["worker_build"] = absl::StrCat("hone ", HONE_VERSION, ", gcc ", __VERSION__);
}

}  // namespace

std::string CpuInfoField(absl::string_view cpuinfo, absl::string_view key) {
  for (absl::string_view line : absl::StrSplit(cpuinfo, '\n')) {
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(line, absl::MaxSplits(':', 1));
    if (absl::StripAsciiWhitespace(parts.first) == key)
      return std::string(absl::StripAsciiWhitespace(parts.second));
  }
  return "";
}

Device DetectDevice() {
  Device device;
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) == 0) device.cores = static_cast<uint32_t>(CPU_COUNT(&set));
  device.target = std::string(BestCpuProbe().target);
  DetectCaches(device);
  DetectCpu(device);
  DetectSystem(device);
  return device;
}

Calibration Calibrate(const Device& device) {
  Calibration calibration;
  for (const CpuProbe& probe : CpuProbes()) {
    if (probe.runs_here()) calibration.fma_gflops[std::string(probe.target)] = MeasureGflops(probe, 0.03);
  }
  const uint64_t l1 = device.l1d_bytes ? device.l1d_bytes : 32 << 10,
                 l2 = device.l2_bytes ? device.l2_bytes : 512 << 10;
  const uint64_t l3 = device.l3_bytes, beyond = std::clamp<uint64_t>(4 * l3, 64 << 20, 256 << 20);
  const ReadProbe memory(beyond);
  calibration.l1_read_gbps = memory.Gbps(l1 / 2, 0.03);
  calibration.l2_read_gbps = memory.Gbps(l2 / 2, 0.03);
  calibration.dram_read_gbps = memory.Gbps(beyond, 0.1);
  if (l3 > 0) {
    const uint64_t within = std::clamp(l3 / 2, 2 * l2, 4 * l2);
    calibration.l3_read_gbps = memory.Gbps(within, 0.05);
    // A cache shared with strangers holds less of ours than its size: as much as is read in a time that is
    // nearer to the cache's than to memory's.
    const double between = 2 / (1 / calibration.l3_read_gbps + 1 / calibration.dram_read_gbps);
    calibration.l3_held_bytes = within;
    for (uint64_t bytes = 2 * within; bytes <= std::min(l3, beyond); bytes *= 2) {
      if (memory.GbpsBetweenArithmetic(bytes, 0.05) < between) break;
      calibration.l3_held_bytes = bytes;
    }
  }
  calibration.fork_join_us = MeasureForkJoinUs(static_cast<int>(device.cores), 0.02);
  return calibration;
}

absl::StatusOr<Calibration> CalibrateAlone(const Device& device, const std::string& host_lock_path) {
  absl::StatusOr<HostLock> lock =
      HostLock::Acquire(HostLock::Mode::kExclusive, absl::Now() + absl::Minutes(1), host_lock_path);
  if (!lock.ok()) return lock.status();
  return Calibrate(device);
}

std::string DeviceToJson(const Device& device) {
  const Calibration& c = device.calibration;
  const nlohmann::ordered_json json = {{"device_class", device.device_class},
                                       {"cpu_name", device.cpu_name},
                                       {"target", device.target},
                                       {"features", device.features},
                                       {"cores", device.cores},
                                       {"l1d_bytes", device.l1d_bytes},
                                       {"l2_bytes", device.l2_bytes},
                                       {"l3_bytes", device.l3_bytes},
                                       {"calibration",
                                        {{"fma_gflops", c.fma_gflops},
                                         {"l1_read_gbps", c.l1_read_gbps},
                                         {"l2_read_gbps", c.l2_read_gbps},
                                         {"l3_read_gbps", c.l3_read_gbps},
                                         {"dram_read_gbps", c.dram_read_gbps},
                                         {"l3_held_bytes", c.l3_held_bytes},
                                         {"fork_join_us", c.fork_join_us}}},
                                       {"fingerprint", device.fingerprint}};
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace hone
