#include "worker/config.h"

#include <unistd.h>

#include <filesystem>
#include <functional>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "proto/values/host_lock.h"

namespace hone {
namespace {

struct Flag {
  const char* name;
  const char* value;  // its name in the help; null = the flag takes none
  const char* help;
  absl::Status (*set)(WorkerConfig&, const std::string&);
};

absl::Status SetFromFile(const std::string& path, std::string& out) {
  absl::StatusOr<std::string> text = ReadWholeFile(path);
  if (!text.ok()) return absl::InvalidArgumentError(text.status().message());
  out = *std::move(text);
  return absl::OkStatus();
}

template <std::string WorkerSessionOptions::* field>
absl::Status SetText(WorkerConfig& config, const std::string& value) {
  config.session.*field = value;
  return absl::OkStatus();
}

constexpr Flag kFlags[] = {
    {"--server", "HOST:PORT", "the server to work for",
     [](WorkerConfig& c, const std::string& v) { return c.session.server.address = v, absl::OkStatus(); }},
    {"--ca", "FILE", "PEM certificate(s) to trust: the server's own, or its authority's",
     [](WorkerConfig& c, const std::string& v) { return SetFromFile(v, c.session.server.ca_pem); }},
    {"--server-name", "NAME",
     "name the server's certificate is made for; by default the one in FILE, else HOST",
     [](WorkerConfig& c, const std::string& v) {
       return c.session.server.server_name = v, absl::OkStatus();
     }},
    {"--enrol-token-file", "FILE", "permission to join, once: what 'hone token enrol' printed",
     [](WorkerConfig& c, const std::string& v) { return SetFromFile(v, c.session.enrol_token); }},
    {"--data-dir", "DIR", "where its key, unacknowledged results and cached objects live",
     SetText<&WorkerSessionOptions::data_dir>},
    {"--name", "NAME", "shown to people; the host's name by default",
     SetText<&WorkerSessionOptions::display_name>},
    {"--runner", "FILE", "hone-runner; by default beside hone-worker",
     SetText<&WorkerSessionOptions::runner_path>},
    {"--host-lock", "FILE", "lock shared with hone-job; /tmp/hone-measure.lock by default",
     SetText<&WorkerSessionOptions::host_lock_path>},
    {"--cache-mb", "N", "most megabytes of cached objects, 2048 by default",
     [](WorkerConfig& c, const std::string& v) {
       uint64_t megabytes = 0;
       if (!absl::SimpleAtoi(v, &megabytes)) return absl::InvalidArgumentError("--cache-mb needs a number");
       c.session.blob_cache_bytes = megabytes << 20;
       return absl::OkStatus();
     }},
    {"--idle-calibration", "SECONDS",
     "calibrate an idle device again after so long, then ever less often; 60 by default, 0 never",
     [](WorkerConfig& c, const std::string& v) {
       double seconds = 0;
       if (!absl::SimpleAtod(v, &seconds) || !(seconds >= 0 && seconds <= 1e6))
         return absl::InvalidArgumentError("--idle-calibration needs a number of seconds");
       c.session.idle_calibration = absl::Seconds(seconds);
       return absl::OkStatus();
     }},
    {"--allow-unsandboxed", nullptr, "measure even where this machine lacks a layer of the sandbox",
     [](WorkerConfig& c, const std::string&) {
       return c.session.allow_unsandboxed = true, absl::OkStatus();
     }},
    {"--json", nullptr, "calibrate: print JSON (it always does; kept for scripts)",
     [](WorkerConfig& c, const std::string&) { return c.json = true, absl::OkStatus(); }},
};

absl::Status ParseFlag(WorkerConfig& config, const std::vector<std::string>& arguments, size_t& i) {
  std::string name = arguments[i], value;
  const size_t equals = name.find('=');
  const bool inlined = equals != std::string::npos;
  if (inlined) {
    value = name.substr(equals + 1);
    name.resize(equals);
  }
  for (const Flag& flag : kFlags) {
    if (name != flag.name) continue;
    if (!flag.value == inlined) {
      if (inlined) return absl::InvalidArgumentError(absl::StrCat(name, " takes no value"));
      if (++i == arguments.size())
        return absl::InvalidArgumentError(absl::StrCat(name, " needs ", flag.value));
      value = arguments[i];
    }
    return flag.set(config, value);
  }
  return absl::InvalidArgumentError(absl::StrCat("unknown argument '", arguments[i], "'"));
}

absl::Status CompleteJoin(WorkerSessionOptions& session, const std::string& program) {
  if (session.server.address.empty()) return absl::InvalidArgumentError("join needs --server HOST:PORT");
  if (session.server.ca_pem.empty()) return absl::InvalidArgumentError("join needs --ca FILE");
  if (session.data_dir.empty()) return absl::InvalidArgumentError("join needs --data-dir DIR");
  session.enrol_token = std::string(absl::StripAsciiWhitespace(session.enrol_token));
  if (session.runner_path.empty()) {
    session.runner_path = (std::filesystem::path(program).parent_path() / "hone-runner").string();
  }
  if (access(session.runner_path.c_str(), X_OK) != 0) {
    return absl::InvalidArgumentError(absl::StrCat("no runner at ", session.runner_path, " (see --runner)"));
  }
  if (session.display_name.empty()) {
    char host[256] = "";
    if (gethostname(host, sizeof(host) - 1) == 0) session.display_name = host;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<WorkerConfig> ParseCommandLine(const std::string& program,
                                              const std::vector<std::string>& arguments) {
  WorkerConfig config;
  config.session.host_lock_path = HostLock::kDefaultPath;
  if (arguments.empty()) return absl::InvalidArgumentError("no command");
  const std::string& command = arguments[0];
  if (command == "--help" || command == "-h" || command == "help") return config;
  if (command == "version" || command == "--version") {
    config.command = WorkerConfig::Command::kVersion;
    return config;
  }
  if (command == "join") {
    config.command = WorkerConfig::Command::kJoin;
  } else if (command == "calibrate") {
    config.command = WorkerConfig::Command::kCalibrate;
  } else {
    return absl::InvalidArgumentError(absl::StrCat("unknown command '", command, "'"));
  }
  for (size_t i = 1; i < arguments.size(); ++i) {
    if (arguments[i] == "--help" || arguments[i] == "-h") {
      config.command = WorkerConfig::Command::kHelp;
      return config;
    }
    if (absl::Status status = ParseFlag(config, arguments, i); !status.ok()) return status;
  }
  if (config.command == WorkerConfig::Command::kJoin) {
    if (absl::Status status = CompleteJoin(config.session, program); !status.ok()) return status;
  }
  return config;
}

std::string HelpText() {
  std::string text =
      "hone-worker measures candidates and modules on this machine for a Hone server.\n\n"
      "usage:\n"
      "  hone-worker join --server HOST:PORT --ca FILE --data-dir DIR [--enrol-token-file FILE] [flags]\n"
      "  hone-worker calibrate [--json]\n"
      "  hone-worker version\n\n"
      "examples:\n"
      "  hone-worker join --server build:8443 --ca cert.pem --enrol-token-file token --data-dir "
      "~/.hone-worker\n"
      "  hone-worker calibrate --json        # what this machine is and what it can do\n\n"
      "It dials out, so it may sit behind NAT. SIGTERM lets the lease under way finish, for up to 5 s. "
      "Exit code 3: the server has\nremoved this worker; it joins as another one if it is started with an "
      "enrol token "
      "again.\n\n"
      "flags:\n";
  for (const Flag& flag : kFlags) {
    std::string left = absl::StrCat("  ", flag.name, " ", flag.value ? flag.value : "");
    left.resize(std::max<size_t>(left.size() + 1, 28), ' ');
    absl::StrAppend(&text, left, flag.help, "\n");
  }
  return text;
}

}  // namespace hone
