#include "server/jobs/job_cgroup.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/execution/status_macros.h"
#include "server/storage/durable_file.h"

namespace hone {
namespace {

constexpr char kLeaf[] = "/server";  // a group with controllers below it holds no processes itself

absl::Status WriteValue(const std::string& file, const std::string& value) {
  HONE_ASSIGN_OR_RETURN(const FileDescriptor out, OpenFile(file, O_WRONLY));
  if (write(out.get(), value.data(), value.size()) >= 0 || errno == ESRCH) return absl::OkStatus();  // it has ended
  return ErrnoStatus("writing " + file);
}

absl::Status MakeFolder(const std::string& folder) {
  if (mkdir(folder.c_str(), 0755) == 0 || errno == EEXIST) return absl::OkStatus();
  return ErrnoStatus("making " + folder);
}

// systemd marks what it hands over, for root and for everybody.
bool IsDelegated(const std::string& folder) {
  for (const char* name : {"trusted.delegate", "user.delegate"}) {
    char value[2] = {};
    if (getxattr(folder.c_str(), name, value, sizeof(value)) >= 1 && value[0] == '1') return true;
  }
  return false;
}

}  // namespace

std::string JobCgroups::OwnFolder() {
  std::string mounted, line;
  for (std::ifstream mounts("/proc/self/mounts"); std::getline(mounts, line);) {
    const std::vector<std::string> fields = absl::StrSplit(line, ' ');  // what, where, type, ...
    if (fields.size() > 2 && fields[2] == "cgroup2") mounted = fields[1];
  }
  for (std::ifstream groups("/proc/self/cgroup"); std::getline(groups, line);) {
    if (line.starts_with("0::") && !mounted.empty()) return mounted + line.substr(3);
  }
  return "";
}

absl::StatusOr<JobCgroups> JobCgroups::Open(const std::string& own) {
  if (own.empty()) return absl::FailedPreconditionError("no cgroup v2 hierarchy is mounted");
  if (!IsDelegated(own))
    return absl::FailedPreconditionError(absl::StrCat(own, " is not delegated (systemd: Delegate=memory pids)"));
  std::ifstream in(own + "/cgroup.controllers");
  std::string controllers;
  std::getline(in, controllers);
  for (const char* needed : {"memory", "pids"}) {
    const std::vector<std::string> offered = absl::StrSplit(controllers, ' ');
    if (std::find(offered.begin(), offered.end(), needed) == offered.end())
      return absl::FailedPreconditionError(absl::StrCat(own, " offers no controller ", needed));
  }
  absl::Status status = MakeFolder(own + kLeaf);
  if (status.ok()) status = WriteValue(absl::StrCat(own, kLeaf, "/cgroup.procs"), "0");
  if (status.ok()) status = WriteValue(own + "/cgroup.subtree_control", "+memory +pids");
  if (!status.ok()) return absl::FailedPreconditionError(status.message());
  return JobCgroups(own);
}

absl::StatusOr<JobCgroup> JobCgroups::Add(pid_t child, uint64_t memory_bytes, int threads) const {
  const std::string folder = absl::StrCat(own_, "/job-", child);
  HONE_RETURN_IF_ERROR(MakeFolder(folder));
  JobCgroup group(folder);
  const std::pair<const char*, std::string> values[] = {
      {"/memory.max", absl::StrCat(memory_bytes)}, {"/memory.swap.max", "0"}, {"/memory.oom.group", "1"},
      {"/pids.max", absl::StrCat(threads)},        {"/cgroup.procs", absl::StrCat(child)}};
  for (const auto& [file, value] : values) {
    const absl::Status written = WriteValue(folder + file, value);
    if (absl::IsNotFound(written) && file == std::string("/memory.swap.max")) continue;  // a kernel without swap
    HONE_RETURN_IF_ERROR(written);
  }
  return group;
}

JobCgroup::~JobCgroup() {
  if (!folder_.empty()) rmdir(folder_.c_str());  // one that stays is empty, and systemd's to remove
}

}  // namespace hone
