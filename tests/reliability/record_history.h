#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "server/storage/store.h"

namespace hone {

// A past for a server: jobs that ended with their batches, leases, modules and records, all of it told to the
// store in the order and in the transactions of the real thing, with messages of real sizes. Many jobs at a
// time, so that they share commits. Returns when there are `records` more.
struct HistoryOptions {
  int64_t records = 0;
  uint64_t seed = 1;
  int jobs_at_once = 128;
};
absl::Status TellHistory(Store& store, const HistoryOptions& options);

// The files of its models, which the store only names.
std::vector<std::string> HistoryFiles();

inline constexpr int kRecordsPerJob = 999;            // 111 batches of 8 trials and their incumbent
inline constexpr char kHistoryModel[] = "network-7";  // the name of some of its models

}  // namespace hone
