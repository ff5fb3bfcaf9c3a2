#include "server/config.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "server/setting_table.h"

namespace hone {
namespace {

constexpr size_t kMaxFileBytes = 64 << 10;

struct ActionRow {
  const char* flag;
  const char* help;
  ServerAction action;
  const char* form = nullptr;  // of its value, if it takes one: ServerConfig::copy
};
constexpr ActionRow kActions[] = {
    {"--check-config", "say all that is wrong with the configuration, and end (exit code 2)",
     ServerAction::kCheckConfig},
    {"--print-config", "write a config file with every setting and its default", ServerAction::kPrintConfig},
    {"--backup-to", "copy --data-dir there, while its server runs or not, and end", ServerAction::kBackup, "DIR"},
    {"--restore-from", "fill an empty --data-dir with such a copy, and end", ServerAction::kRestore, "DIR"},
    {"--help", "this text", ServerAction::kHelp},
};

// Takes settings one after the other and keeps all faults.
class Reader {
 public:
  void Fault(const std::string& where, const std::string& fault) {
    faults_.push_back(absl::StrCat(where, ": ", fault));
  }

  void Set(const std::string& where, const std::string& name, const std::string& text) {
    const SettingRow* row = FindSetting(name);
    if (row == nullptr)
      return Fault(where, absl::StrCat("unknown setting '", name, "' (hone-server --help lists them)"));
    const std::string fault = SetSetting(*row, text, config_);
    if (!fault.empty()) Fault(where, absl::StrCat(name, " ", fault));
    (fault.empty() ? where_ : bad_)[name] = where;
  }

  // name = value; # begins a line that is a comment.
  void ReadFile(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    std::string text(kMaxFileBytes + 1, '\0');
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<size_t>(in.gcount()));
    if (in.bad() || (!in.is_open())) return Fault(path, "cannot be read: check the path and its permissions");
    if (text.size() > kMaxFileBytes)
      return Fault(path, absl::StrCat("has more than ", kMaxFileBytes, " bytes"));
    std::map<std::string, int> lines;  // of each setting
    int number = 0;
    for (size_t begin = 0; begin < text.size(); ++number) {
      const size_t end = std::min(text.find('\n', begin), text.size());
      const std::string line(absl::StripAsciiWhitespace(text.substr(begin, end - begin)));
      begin = end + 1;
      if (!line.empty() && line[0] != '#')
        ReadLine(absl::StrCat(path, ":", number + 1), number + 1, line, lines);
    }
  }

  void SetCopy(const std::string& flag, const std::string& folder) {
    if (folder.empty()) Fault(flag, "needs a value: DIR");
    config_.copy = folder;
  }

  absl::StatusOr<ServerConfig> Finish(ServerAction action) {
    std::error_code error;
    if (!config_.data_dir.empty())
      config_.data_dir = std::filesystem::absolute(config_.data_dir, error).lexically_normal().string();
    if (config_.job_binary.empty()) {
      const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
      config_.job_binary = (self.parent_path() / "hone-job").string();
    }
    config_.action = action;
    for (const SettingCheck& check : SettingChecks()) {
      const std::string fault = bad_.contains(check.setting) ? "" : check.fault(config_);
      auto where = where_.find(check.setting);
      if (!fault.empty())
        Fault(where == where_.end() ? absl::StrCat("--", check.setting) : where->second,
              absl::StrCat(check.setting, " ", fault));
    }
    if (faults_.empty()) return config_;
    return absl::InvalidArgumentError(absl::StrJoin(faults_, "\n"));
  }

 private:
  void ReadLine(const std::string& where, int number, const std::string& line,
                std::map<std::string, int>& lines) {
    const size_t equals = line.find('=');
    if (equals == std::string::npos) return Fault(where, absl::StrCat("'", line, "' is not 'name = value'"));
    const std::string name(absl::StripAsciiWhitespace(line.substr(0, equals)));
    const auto [before, first] = lines.emplace(name, number);
    if (!first)
      return Fault(where, absl::StrCat(name, " is set in line ", before->second, " already: keep one"));
    Set(where, name, std::string(absl::StripAsciiWhitespace(line.substr(equals + 1))));
  }

  ServerConfig config_;
  std::map<std::string, std::string> where_, bad_;  // each setting's latest place, by whether it was valid
  std::vector<std::string> faults_;
};

// A word of the command line with its value.
struct Flag {
  std::string name, value;
};

// Whether the name alone is a whole flag.
bool IsSwitch(const std::string& name) {
  const SettingRow* row = FindSetting(name);
  return row != nullptr && std::holds_alternative<bool ServerConfig::*>(row->field);
}

}  // namespace

std::string UsageText() {
  std::string text =
      "hone-server: accepts models, keeps jobs, leases trials to workers, hands out compiled modules.\n\n"
      "usage: hone-server --data-dir DIR [flags]\n"
      "       hone-server --config FILE [flags]\n\n";
  for (const SettingRow& row : SettingTable())
    absl::StrAppendFormat(&text, "  %-28s %s\n", absl::StrCat("--", row.name, " ", row.form), row.help);
  absl::StrAppendFormat(&text, "  %-28s %s\n", "--config FILE",
                        "lines 'name = value', names as above without --; flags override it");
  for (const ActionRow& row : kActions) {
    const std::string flag = row.form == nullptr ? row.flag : absl::StrCat(row.flag, " ", row.form);
    absl::StrAppendFormat(&text, "  %-28s %s\n", flag, row.help);
  }
  absl::StrAppend(
      &text,
      "\nIn DIR it makes at first start: tls/cert.pem (clients pin it), admin.token, enrol.token "
      "(for workers to join);\n"
      "while it serves: endpoint.json with its addresses. SIGTERM stops it gracefully (a second one at "
      "once); jobs go on at the next start.\n\n"
      "example: hone-server --data-dir ~/.hone/server --listen 127.0.0.1:7443\n");
  return text;
}

std::string ConfigFileText() {
  const ServerConfig defaults;
  std::string text =
      "# hone-server --config FILE; hone-server --config FILE --check-config says what is wrong with it.\n";
  for (const SettingRow& row : SettingTable())
    absl::StrAppend(&text, "\n# ", row.help, "\n#", row.name, " = ", SettingText(row, defaults), "\n");
  return text;
}

absl::StatusOr<ServerConfig> ParseCommandLine(int argc, char** argv) {
  Reader reader;
  std::vector<Flag> flags;
  ServerAction action = ServerAction::kServe;
  for (int i = 1; i < argc; ++i) {
    const std::string word = std::string(argv[i]) == "-h" ? "--help" : argv[i];
    const ActionRow* known = nullptr;
    for (const ActionRow& row : kActions) {
      if (word == row.flag) known = &row;
    }
    if (known != nullptr) {
      action = known->action;
      if (known->form != nullptr) reader.SetCopy(word, ++i < argc ? argv[i] : "");
      continue;
    }
    const size_t equals = word.find('=');
    if (!word.starts_with("--")) {
      reader.Fault(absl::StrCat("'", word, "'"), "is no flag (try --help)");
    } else if (equals != std::string::npos) {
      flags.push_back({word.substr(2, equals - 2), word.substr(equals + 1)});
    } else if (IsSwitch(word.substr(2))) {
      flags.push_back({word.substr(2), "yes"});
    } else {
      flags.push_back({word.substr(2), i + 1 < argc ? argv[i + 1] : ""});
      ++i;
    }
  }
  if (action == ServerAction::kHelp || action == ServerAction::kPrintConfig)
    return ServerConfig{.action = action};
  for (const Flag& flag : flags) {
    if (flag.name == "config") reader.ReadFile(flag.value);
  }
  for (const Flag& flag : flags) {
    if (flag.name != "config") reader.Set("--" + flag.name, flag.name, flag.value);
  }
  return reader.Finish(action);
}

}  // namespace hone
