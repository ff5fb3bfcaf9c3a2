#include "client/config.h"

#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "client/contexts.h"
#include "client/error.h"

namespace hone {

absl::StatusOr<std::string> ReadTextFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::error_code error;
  if (!in) {
    return std::filesystem::exists(path, error) ? absl::PermissionDeniedError("cannot read " + path)
                                                : absl::NotFoundError("there is no file " + path);
  }
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

absl::Status WriteTextFile(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::trunc);
  file << text;
  file.close();
  return file ? absl::OkStatus() : absl::PermissionDeniedError("cannot write " + path);
}

namespace {

// Environment variables; an empty one is none.
class Variables {
 public:
  explicit Variables(const std::function<const char*(const char*)>& getenv) : getenv_(getenv) {}
  std::string operator()(const char* name, const std::string& otherwise = "") const {
    const char* value = getenv_(name);
    return value != nullptr && *value != '\0' ? std::string(value) : otherwise;
  }

 private:
  const std::function<const char*(const char*)>& getenv_;
};

// --token-file FILE, "-" being stdin.
absl::StatusOr<std::string> ReadToken(const std::string& path) {
  std::string text;
  if (path == "-") {
    std::getline(std::cin, text);
  } else {
    auto file = ReadTextFile(path);
    if (!file.ok()) return WithContext(file.status(), "--token-file");
    text = *std::move(file);
  }
  return std::string(absl::StripAsciiWhitespace(text));
}

// Fills in `server`, `context`, `chosen_by` and `saved`.
absl::Status ChooseServer(const Arguments& arguments, const Variables& variable, ClientConfig& config) {
  const auto by_option = arguments.Get("--context");
  if (by_option && arguments.Has("--server")) return UsageError("--context and --server exclude each other");
  auto contexts = ReadContexts(config.home);
  if (!contexts.ok()) return contexts.status();
  struct Choice {
    const char* by;
    std::string server, context;
  };
  const Choice choices[] = {
      {"--context", "", by_option.value_or("")},
      {"--server", arguments.GetOr("--server", ""), ""},
      {"HONE_SERVER", variable("HONE_SERVER"), ""},
      {"HONE_CONTEXT", "", variable("HONE_CONTEXT")},
      {contexts->current == kLocalContext ? "default" : "hone context use", "", contexts->current}};
  for (const Choice& choice : choices) {
    if (choice.server.empty() && choice.context.empty()) continue;
    config.chosen_by = choice.by;
    config.server = choice.server;
    config.context = choice.server.empty() ? choice.context : contexts->NameOf(choice.server);
    break;
  }
  if (config.context.empty() || config.context == kLocalContext) return absl::OkStatus();
  auto saved = contexts->Find(config.context);
  if (!saved.ok()) return saved.status();
  config.saved = *saved;
  config.server = saved->address;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ClientConfig> ReadConfig(const Arguments& arguments,
                                        const std::function<const char*(const char*)>& getenv) {
  const Variables variable(getenv);
  ClientConfig config;
  const std::string user_home = variable("HOME", "/tmp");
  config.home = std::filesystem::absolute(variable("HONE_HOME", user_home + "/.local/share/hone")).string();
  if (absl::Status status = ChooseServer(arguments, variable, config); !status.ok()) return status;
  // A context of the command line is not the server that the environment speaks of.
  const bool environment = !arguments.Has("--context");
  config.ca_file = arguments.GetOr("--ca", environment ? variable("HONE_CA") : "");
  config.token = environment ? variable("HONE_TOKEN") : "";
  if (auto file = arguments.Get("--token-file")) {
    auto token = ReadToken(*file);
    if (!token.ok()) return token.status();
    config.token = *std::move(token);
  }
  config.python = variable("HONE_PYTHON");
  config.venv = variable("HONE_VENV", user_home + "/.cache/hone/venv");
  std::error_code error;
  config.programs = variable("HONE_PROGRAMS",
                             std::filesystem::read_symlink("/proc/self/exe", error).parent_path().string());
  return config;
}

absl::StatusOr<Endpoint> RemoteEndpoint(const ClientConfig& config) {
  Endpoint endpoint = config.saved;
  endpoint.address = config.server;
  if (!config.token.empty()) endpoint.token = config.token;
  if (!config.ca_file.empty()) {
    auto pem = ReadTextFile(config.ca_file);
    if (!pem.ok()) return WithContext(pem.status(), "the certificate to pin");
    endpoint.ca_pem = *pem;
  }
  if (!endpoint.ca_pem.empty()) return endpoint;
  return WithRemedy(
      absl::FailedPreconditionError(absl::StrCat("no certificate is pinned for ", config.server)),
      absl::StrCat("hone login ", config.server,
                   " saves it; or set HONE_CA or --ca to a copy of the server's tls/cert.pem"));
}

}  // namespace hone
