#include "server/setting_table.h"

#include <unistd.h>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace hone {
namespace {

constexpr SettingRow kSettings[] = {
    {"data-dir", "DIR", "Where the server keeps everything. Required; one server per folder.",
     &ServerConfig::data_dir},
    {"listen", "HOST:PORT", "Address of the gRPC API over TLS. Port 0: any free one, told by endpoint.json.",
     &ServerConfig::listen},
    {"http", "127.0.0.1:PORT", "Address of the dashboard, /healthz, /readyz and /metrics; loopback only.",
     &ServerConfig::http},
    {"job-binary", "PATH", "The hone-job program. Default: beside hone-server.", &ServerConfig::job_binary},
    {"backup-dir", "DIR", "Where 'hone admin backup' makes its copies. Default: nowhere, it is refused.",
     &ServerConfig::backup_dir},
    {"log-level", "LEVEL", "Least level that is logged: debug (each call), info, warning or error.",
     &ServerConfig::log_level},
    {"max-jobs", "N", "Jobs that run at a time; the others wait. More than one shares the cores.",
     &ServerConfig::max_jobs, 1, 1000},
    {"job-memory-gb", "GB",
     "Memory of one job at most; what it builds in one go may take a third. 0: as much as this machine has.",
     &ServerConfig::job_memory_gb, 0, 1e6},
    {"job-silence-seconds", "S", "A job that has to go on and says nothing for so long is ended.",
     &ServerConfig::job_silence_seconds, 1, 86400},
    {"allow-unsandboxed", "", "Run jobs even where this machine lacks a layer of the sandbox: yes or no.",
     &ServerConfig::allow_unsandboxed},
    {"lease-seconds", "S", "A worker that is silent for longer loses its lease.",
     &ServerConfig::lease_seconds, 0.1, 3600},
    {"drain-seconds", "S", "From SIGTERM to the end, at most; callers resume what is cut off.",
     &ServerConfig::drain_seconds, 0, 300},
    {"object-hours", "H", "Compiled trials of ended jobs go once nobody has used them for so long.",
     &ServerConfig::object_hours, 0.1, 8760},
    {"upload-hours", "H",
     "Blobs that no model, module or job names go once nobody has used them for so long.",
     &ServerConfig::upload_hours, 0.1, 8760},
    {"certificate-hours", "H",
     "A worker's certificate is good for so long; it asks for the next after a third.",
     &ServerConfig::certificate_hours, 0.001, 8760},
};

std::string SetNumber(const SettingRow& row, const std::string& text, double& number) {
  if (absl::SimpleAtod(text, &number) && number >= row.low && number <= row.high) return "";
  return absl::StrCat("'", text, "' is not a number from ", row.low, " to ", row.high);
}

// What is wrong with HOST:PORT, or nothing.
std::string AddressFault(const std::string& address, bool loopback) {
  const size_t colon = address.rfind(':');
  int port = -1;
  if (colon == std::string::npos || colon == 0 || !absl::SimpleAtoi(address.substr(colon + 1), &port) ||
      port < 0 || port > 65535) {
    return absl::StrCat("'", address,
                        "' is not HOST:PORT with a port from 0 to 65535, such as 127.0.0.1:7443");
  }
  const std::string host = address.substr(0, colon);
  if (!loopback || host == "localhost" || host.starts_with("127.")) return "";
  return absl::StrCat("'", host, "' is not the loopback: write 127.0.0.1:", port);
}

constexpr SettingCheck kChecks[] = {
    {"data-dir",
     [](const ServerConfig& config) {
       return std::string(
           config.data_dir.empty() ? "is required: name the folder that the server keeps its state in" : "");
     }},
    {"listen", [](const ServerConfig& config) { return AddressFault(config.listen, /*loopback=*/false); }},
    {"http", [](const ServerConfig& config) { return AddressFault(config.http, /*loopback=*/true); }},
    {"job-memory-gb",
     [](const ServerConfig& config) {
       const bool enough = config.job_memory_gb == 0 || config.job_memory_gb >= 1;
       return std::string(enough ? "" : "is too little for any model: write 1 or more, or 0 for all there is");
     }},
    {"job-binary",
     [](const ServerConfig& config) {
       if (access(config.job_binary.c_str(), X_OK) == 0) return std::string();
       return absl::StrCat("there is no program ", config.job_binary,
                           ": install hone-job there or name where it is");
     }},
    {"backup-dir",
     [](const ServerConfig& config) {
       return std::string(config.backup_dir.empty() || config.backup_dir.starts_with('/')
                              ? ""
                              : "must be an absolute path: callers far away are told it");
     }},
};

}  // namespace

std::span<const SettingRow> SettingTable() { return kSettings; }
std::span<const SettingCheck> SettingChecks() { return kChecks; }

const SettingRow* FindSetting(const std::string& name) {
  for (const SettingRow& row : kSettings) {
    if (name == row.name) return &row;
  }
  return nullptr;
}

std::string SetSetting(const SettingRow& row, const std::string& text, ServerConfig& config) {
  double number = 0;
  if (auto field = std::get_if<std::string ServerConfig::*>(&row.field)) {
    config.*(*field) = text;
    return text.empty() ? absl::StrCat("needs a value: ", row.form) : "";
  }
  if (auto field = std::get_if<double ServerConfig::*>(&row.field))
    return SetNumber(row, text, config.*(*field));
  if (auto field = std::get_if<int ServerConfig::*>(&row.field)) {
    const std::string fault = SetNumber(row, text, number);
    if (!fault.empty()) return fault;
    config.*(*field) = static_cast<int>(number);
    return number == config.*(*field) ? "" : absl::StrCat("'", text, "' is not a whole number");
  }
  if (auto field = std::get_if<bool ServerConfig::*>(&row.field)) {
    config.*(*field) = text == "yes";
    return text == "yes" || text == "no" ? "" : absl::StrCat("'", text, "' is neither yes nor no");
  }
  if (ParseLogLevel(text, config.*std::get<LogLevel ServerConfig::*>(row.field))) return "";
  return absl::StrCat("'", text, "' is none of debug, info, warning, error");
}

std::string SettingText(const SettingRow& row, const ServerConfig& config) {
  return std::visit(
      [&](auto field) -> std::string {
        using Field = std::decay_t<decltype(config.*field)>;
        if constexpr (std::is_same_v<Field, LogLevel>) {
          return LogLevelName(config.*field);
        } else if constexpr (std::is_same_v<Field, bool>) {
          return config.*field ? "yes" : "no";
        } else {
          return absl::StrCat(config.*field);
        }
      },
      row.field);
}

}  // namespace hone
