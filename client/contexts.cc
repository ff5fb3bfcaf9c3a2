#include "client/contexts.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "client/error.h"
#include "client/json.h"
#include "proto/values/file_descriptor.h"

namespace hone {
namespace {

constexpr size_t kMaxName = 64;

absl::Status Remedied(absl::Status status) {
  return WithRemedy(std::move(status), "set HONE_HOME to a folder of your own, on a disk with room");
}

// Held by whoever changes the file.
absl::StatusOr<FileDescriptor> Lock(const std::string& home) {
  std::error_code error;
  if (std::filesystem::create_directories(home, error)) {
    std::filesystem::permissions(home, std::filesystem::perms::owner_all, error);
  }
  if (error)
    return absl::PermissionDeniedError(absl::StrCat("cannot write in ", home, ": ", error.message()));
  const std::string path = home + "/contexts.lock";
  FileDescriptor lock(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock.valid()) return ErrnoStatus("opening " + path);
  while (flock(lock.get(), LOCK_EX) != 0) {
    if (errno != EINTR) return ErrnoStatus("locking " + path);
  }
  return lock;
}

// All of it or nothing, whenever the machine stops.
absl::Status Replace(const std::string& path, const std::string& text) {
  const std::string part = path + ".part";
  FileDescriptor file(open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file.valid() || fchmod(file.get(), 0600) != 0) return ErrnoStatus("opening " + part);
  if (absl::Status status = WriteAll(file.get(), text); !status.ok()) return status;
  if (fsync(file.get()) != 0 || rename(part.c_str(), path.c_str()) != 0)
    return ErrnoStatus("writing " + path);
  const FileDescriptor folder(
      open(std::filesystem::path(path).parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.valid() || fsync(folder.get()) != 0) return ErrnoStatus("syncing " + path);
  return absl::OkStatus();
}

std::string ToText(const Contexts& contexts) {
  Json saved = Json::object();
  for (const auto& [name, endpoint] : contexts.saved) {
    saved[name] = {{"server", endpoint.address}, {"token", endpoint.token}, {"certificate", endpoint.ca_pem}};
  }
  return Json{{"current", contexts.current}, {"contexts", saved}}.dump(2) + "\n";
}

}  // namespace

absl::StatusOr<Endpoint> Contexts::Find(const std::string& name) const {
  auto found = saved.find(name);
  if (found != saved.end()) return found->second;
  return WithRemedy(absl::NotFoundError(absl::StrCat("there is no context '", name, "'")),
                    "hone context list shows them; hone login HOST:PORT makes one");
}

std::string Contexts::NameOf(const std::string& address) const {
  if (auto found = saved.find(current); found != saved.end() && found->second.address == address)
    return current;
  for (const auto& [name, endpoint] : saved) {
    if (endpoint.address == address) return name;
  }
  return "";
}

std::string ContextsPath(const std::string& home) { return home + "/contexts.json"; }

absl::StatusOr<Contexts> ReadContexts(const std::string& home) {
  const std::string path = ContextsPath(home);
  auto json = ReadJsonFile(path);
  if (absl::IsNotFound(json.status())) return Contexts();
  Contexts contexts;
  bool whole = json.ok() && JsonMember(*json, "contexts").is_object();
  if (whole) {
    contexts.current = JsonText(*json, "current");
    for (const auto& [name, row] : JsonMember(*json, "contexts").items()) {
      Endpoint& endpoint = contexts.saved[name];
      endpoint = {JsonText(row, "server"), JsonText(row, "certificate"), JsonText(row, "token")};
      whole &= IsContextName(name) && !endpoint.address.empty();
    }
    whole &= contexts.current == kLocalContext || contexts.saved.contains(contexts.current);
  }
  if (whole) return contexts;
  return WithRemedy(absl::DataLossError(absl::StrCat(path, " is damaged")),
                    "mend it, or remove it and log in again");
}

absl::Status ChangeContexts(const std::string& home, const std::function<absl::Status(Contexts&)>& change) {
  auto lock = Lock(home);
  if (!lock.ok()) return Remedied(lock.status());
  auto contexts = ReadContexts(home);
  if (!contexts.ok()) return contexts.status();
  if (absl::Status status = change(*contexts); !status.ok()) return status;
  return Remedied(Replace(ContextsPath(home), ToText(*contexts)));
}

bool IsContextName(const std::string& name) {
  return !name.empty() && name.size() <= kMaxName && std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isalnum(c) || std::string_view(".-_:").find(c) != std::string_view::npos;
  });
}

}  // namespace hone
