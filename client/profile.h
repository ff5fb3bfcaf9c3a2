#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/bench.h"
#include "client/json.h"

namespace hone {

// Where the time of a module's run goes. Seconds; medians over the runs.
struct ModuleProfile {
  struct Task {
    std::string id, label, algorithm;
    int calls = 0;
    double seconds = 0;   // of all calls in one run
  };
  std::string name;
  uint32_t threads = 0;
  int runs = 0;
  double run_seconds = 0;
  double copy_seconds = 0;     // of copies between tensors, which belong to no task
  std::vector<Task> tasks;     // the longest first
};

// Runs the module options.rounds times for options.window_seconds, each step observed.
absl::StatusOr<ModuleProfile> ProfileModule(const std::filesystem::path& path, const BenchOptions& options);

// The report.json beside the module, for what its tasks take alone; null if there is none.
Json ReportBeside(const std::filesystem::path& path);
Json ProfileJson(const ModuleProfile& profile, const Json& report);
std::string ProfileText(const ModuleProfile& profile, const Json& report, int width);

}  // namespace hone
