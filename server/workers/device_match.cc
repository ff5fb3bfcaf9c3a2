#include "server/workers/device_match.h"

#include <string>

#include "absl/strings/numbers.h"

namespace hone {
namespace {

// "x86-64-v3" -> ("x86-64", 3); level -1 if there is none.
std::pair<std::string_view, int> SplitLevel(std::string_view target) {
  const size_t mark = target.rfind("-v");
  int level;
  if (mark == std::string_view::npos) return {target, -1};
  const std::string digits(target.substr(mark + 2));
  if (!absl::SimpleAtoi(digits, &level)) return {target, -1};
  return {target.substr(0, mark), level};
}

}  // namespace

bool DeviceRuns(const v1::Device& device, std::string_view target) {
  if (target.empty() || target == "host" || target == device.target()) return true;
  if (device.calibration().fma_gflops().contains(std::string(target))) return true;
  const auto [wanted, wanted_level] = SplitLevel(target);
  const auto [own, own_level] = SplitLevel(device.target());
  return wanted == own && wanted_level >= 0 && wanted_level <= own_level;
}

}  // namespace hone
