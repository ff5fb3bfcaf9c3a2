#include "client/config.h"

#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
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

absl::StatusOr<ClientConfig> ReadConfig(const Arguments& arguments,
                                        const std::function<const char*(const char*)>& getenv) {
  auto variable = [&](const char* name, std::string otherwise = "") {
    const char* value = getenv(name);
    return value != nullptr && *value != '\0' ? std::string(value) : otherwise;
  };
  ClientConfig config;
  const std::string user_home = variable("HOME", "/tmp");
  config.home = std::filesystem::absolute(variable("HONE_HOME", user_home + "/.local/share/hone")).string();
  config.server = arguments.GetOr("--server", variable("HONE_SERVER"));
  config.ca_file = arguments.GetOr("--ca", variable("HONE_CA"));
  config.python = variable("HONE_PYTHON");
  config.venv = variable("HONE_VENV", user_home + "/.cache/hone/venv");
  config.token = variable("HONE_TOKEN");
  if (auto file = arguments.Get("--token-file")) {
    auto text = ReadTextFile(*file);
    if (!text.ok()) return WithContext(text.status(), "--token-file");
    config.token = std::string(absl::StripAsciiWhitespace(*text));
  }
  std::error_code error;
  config.programs = variable("HONE_PROGRAMS",
                             std::filesystem::read_symlink("/proc/self/exe", error).parent_path().string());
  return config;
}

absl::StatusOr<Endpoint> RemoteEndpoint(const ClientConfig& config) {
  Endpoint endpoint{config.server, "", config.token};
  if (config.ca_file.empty()) {
    return WithRemedy(
        absl::FailedPreconditionError(absl::StrCat("no certificate is pinned for ", config.server)),
        "copy tls/cert.pem from the server's data folder and set HONE_CA or --ca to it");
  }
  auto pem = ReadTextFile(config.ca_file);
  if (!pem.ok()) return WithContext(pem.status(), "the certificate to pin");
  endpoint.ca_pem = *pem;
  return endpoint;
}

}  // namespace hone
