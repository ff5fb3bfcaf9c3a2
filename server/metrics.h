#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "server/storage/rows.h"

// Pieces of /metrics in the text format of Prometheus; the calls' are CallMetrics::Text.
namespace hone {

struct DiskUse {
  uint64_t database_bytes = 0, wal_bytes = 0;
  uint64_t blob_bytes = 0;  // at the last sweep
};

std::string StateMetrics(const StateCounts& counts);
std::string DiskMetrics(const DiskUse& use);
std::string ProcessMetrics();
// Of layers (JobContainment), each with why it does not hold.
std::string ContainmentMetrics(const std::vector<std::pair<std::string, std::string>>& layers);

}  // namespace hone
