#include "proto/values/device.h"

#include "absl/strings/str_cat.h"

namespace hone {

std::string MakeDeviceClass(const std::string& cpu_id, uint64_t l1d_bytes, uint64_t l2_bytes, uint64_t l3_bytes,
                            uint32_t cores) {
  return absl::StrCat(cpu_id, "/l1d", l1d_bytes / 1024, "k/l2-", l2_bytes / 1024, "k/l3-", l3_bytes / 1024, "k/",
                      cores, "c");
}

}  // namespace hone
