#include "server/config.h"

#include <filesystem>
#include <functional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace hone {
namespace {

struct FlagRow {
  const char* name;
  const char* value;
  const char* help;
  bool (*set)(ServerConfig& config, const std::string& text);
};

constexpr FlagRow kFlags[] = {
    {"--data-dir", "DIR", "where the server keeps everything (required; one server per folder)",
     [](ServerConfig& config, const std::string& text) {
       config.data_dir = text;
       return !text.empty();
     }},
    {"--listen", "HOST:PORT", "address of the gRPC API over TLS (default 127.0.0.1:0; port 0 = any free one)",
     [](ServerConfig& config, const std::string& text) {
       config.listen = text;
       return !text.empty();
     }},
    {"--http", "HOST:PORT", "address of the dashboard and /healthz, /readyz; loopback only (default 127.0.0.1:0)",
     [](ServerConfig& config, const std::string& text) {
       config.http = text;
       return !text.empty();
     }},
    {"--job-binary", "PATH", "the hone-job program (default: beside hone-server)",
     [](ServerConfig& config, const std::string& text) {
       config.job_binary = text;
       return !text.empty();
     }},
    {"--lease-seconds", "S", "a worker silent for longer loses its lease (default 30)",
     [](ServerConfig& config, const std::string& text) {
       return absl::SimpleAtod(text, &config.lease_seconds) && config.lease_seconds >= 0.1 &&
              config.lease_seconds <= 3600;
     }},
    {"--max-jobs", "N", "jobs that run at a time; the others wait (default 2)",
     [](ServerConfig& config, const std::string& text) {
       return absl::SimpleAtoi(text, &config.max_jobs) && config.max_jobs >= 1 && config.max_jobs <= 1000;
     }},
};

}  // namespace

std::string UsageText() {
  std::string text =
      "hone-server: accepts models, keeps jobs, leases trials to workers, hands out compiled modules.\n\n"
      "usage: hone-server --data-dir DIR [flags]\n\n";
  for (const FlagRow& flag : kFlags)
    absl::StrAppendFormat(&text, "  %-28s %s\n", absl::StrCat(flag.name, " ", flag.value), flag.help);
  absl::StrAppend(&text,
                  "  --help                       this text\n\n"
                  "In DIR it makes at first start: tls/cert.pem (clients pin it), admin.token, enrol.token "
                  "(for workers to join);\n"
                  "while it serves: endpoint.json with its addresses. SIGTERM stops it gracefully; jobs go "
                  "on at the next start.\n\n"
                  "example: hone-server --data-dir ~/.hone/server --listen 127.0.0.1:7443\n");
  return text;
}

absl::StatusOr<ServerConfig> ParseCommandLine(int argc, char** argv) {
  ServerConfig config;
  for (int i = 1; i < argc; ++i) {
    std::string name = argv[i], value;
    if (name == "--help" || name == "-h") {
      config.help = true;
      return config;
    }
    const size_t equals = name.find('=');
    const bool inline_value = equals != std::string::npos;
    if (inline_value) {
      value = name.substr(equals + 1);
      name.resize(equals);
    }
    const FlagRow* row = nullptr;
    for (const FlagRow& flag : kFlags) {
      if (name == flag.name) row = &flag;
    }
    if (row == nullptr)
      return absl::InvalidArgumentError(absl::StrCat("unknown argument '", argv[i], "' (try --help)"));
    if (!inline_value) {
      if (i + 1 == argc)
        return absl::InvalidArgumentError(absl::StrCat(name, " needs a value: ", row->value));
      value = argv[++i];
    }
    if (!row->set(config, value))
      return absl::InvalidArgumentError(absl::StrCat(name, ": '", value, "' is not a valid ", row->value));
  }
  if (config.data_dir.empty()) return absl::InvalidArgumentError("--data-dir is required (try --help)");
  std::error_code error;
  config.data_dir = std::filesystem::absolute(config.data_dir, error).lexically_normal().string();
  if (config.job_binary.empty()) {
    const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
    config.job_binary = (self.parent_path() / "hone-job").string();
  }
  return config;
}

}  // namespace hone
