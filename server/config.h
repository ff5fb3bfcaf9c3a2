#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "server/execution/log.h"

namespace hone {

enum class ServerAction { kServe, kHelp, kPrintConfig, kCheckConfig, kBackup, kRestore };

// What hone-server is told: by its config file, over which the command line has precedence. Nothing else
// reads flags or the environment. server/setting_table.cc says what each setting means.
struct ServerConfig {
  std::string data_dir;
  std::string listen = "127.0.0.1:0";
  std::string http = "127.0.0.1:0";
  std::string job_binary;  // default: beside hone-server
  std::string backup_dir;  // empty: no copies by RPC
  LogLevel log_level = LogLevel::kInfo;
  int max_jobs = 2;
  double job_memory_gb = 0;
  double job_silence_seconds = 1800;
  bool allow_unsandboxed = false;
  double lease_seconds = 30;
  double drain_seconds = 30;
  double object_hours = 1;
  double upload_hours = 24;
  double certificate_hours = 24;
  ServerAction action = ServerAction::kServe;
  std::string copy;  // the folder that a backup is written to or read from
};

std::string UsageText();
// A config file with every setting, its meaning and its default.
std::string ConfigFileText();
// InvalidArgument: all that is wrong, a line each, with where ("FILE:LINE" or the flag) and what to write
// instead.
absl::StatusOr<ServerConfig> ParseCommandLine(int argc, char** argv);

}  // namespace hone
