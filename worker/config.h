#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/worker_session.h"

namespace hone {

// The command line of hone-worker. Flags and environment are read here only.
struct WorkerConfig {
  enum class Command { kJoin, kCalibrate, kHelp, kVersion };
  Command command = Command::kHelp;
  bool json = false;             // calibrate
  WorkerSessionOptions session;  // join
};

// program: this binary's path; hone-runner is looked for beside it. InvalidArgument says what is wrong with
// which flag.
absl::StatusOr<WorkerConfig> ParseCommandLine(const std::string& program,
                                              const std::vector<std::string>& arguments);

std::string HelpText();

}  // namespace hone
