#include "worker/calibration_store.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "worker/device_detection.h"
#include "worker/result_store.h"

namespace hone {
namespace {

// What DeviceToJson wrote, if it was of this device.
std::optional<Calibration> CalibrationOf(const Device& device, const std::string& text) try {
  const nlohmann::json json = nlohmann::json::parse(text);
  if (json.at("device_class") != device.device_class || json.at("fingerprint") != device.fingerprint)
    return std::nullopt;
  const nlohmann::json& figures = json.at("calibration");
  Calibration calibration;
  figures.at("fma_gflops").get_to(calibration.fma_gflops);
  figures.at("l1_read_gbps").get_to(calibration.l1_read_gbps);
  figures.at("l2_read_gbps").get_to(calibration.l2_read_gbps);
  figures.at("l3_read_gbps").get_to(calibration.l3_read_gbps);
  figures.at("dram_read_gbps").get_to(calibration.dram_read_gbps);
  figures.at("l3_held_bytes").get_to(calibration.l3_held_bytes);
  figures.at("fork_join_us").get_to(calibration.fork_join_us);
  return calibration;
} catch (const nlohmann::json::exception&) {
  return std::nullopt;  // damaged: the next calibrations make up for it
}

}  // namespace

Calibration BestOf(const Calibration& a, const Calibration& b) {
  if (a.fma_gflops.empty()) return b;
  if (b.fma_gflops.empty()) return a;
  Calibration best = a;
  for (const auto& [target, gflops] : b.fma_gflops)
    best.fma_gflops[target] = std::max(best.fma_gflops[target], gflops);
  best.l1_read_gbps = std::max(a.l1_read_gbps, b.l1_read_gbps);
  best.l2_read_gbps = std::max(a.l2_read_gbps, b.l2_read_gbps);
  best.l3_read_gbps = std::max(a.l3_read_gbps, b.l3_read_gbps);
  best.dram_read_gbps = std::max(a.dram_read_gbps, b.dram_read_gbps);
  best.l3_held_bytes = std::max(a.l3_held_bytes, b.l3_held_bytes);
  best.fork_join_us = std::min(a.fork_join_us, b.fork_join_us);
  return best;
}

std::optional<Calibration> StoredCalibration(const std::string& path, const Device& device) {
  const absl::StatusOr<std::string> text = ReadWholeFile(path);
  return text.ok() ? CalibrationOf(device, *text) : std::nullopt;
}

absl::Status KeepBestCalibration(const std::string& path, Device* device) {
  if (const auto before = StoredCalibration(path, *device))
    device->calibration = BestOf(device->calibration, *before);
  std::error_code error;  // shows when the file is written
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  return WriteFileDurably(path, DeviceToJson(*device) + "\n");
}

}  // namespace hone
