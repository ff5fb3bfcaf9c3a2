#pragma once

#include <cstdint>
#include <string>

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

}  // namespace hone
