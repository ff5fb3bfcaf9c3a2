#include "proto/sandbox/sandbox_status.h"

#include <cstring>

#include "absl/strings/str_cat.h"

namespace hone {
namespace {

struct Layer {
  int HoneSandboxFaults::* fault;
  const char* name;
  const char* exposed;
  const char* remedy;
};
constexpr Layer kLayers[] = {
    {&HoneSandboxFaults::namespaces, "namespaces", "share this user's identity",
     "allow unprivileged user namespaces (user.max_user_namespaces; in a container: its seccomp profile)"},
    {&HoneSandboxFaults::files, "files", "may read what this user may read",
     "use a kernel from 5.13 with Landlock among its lsm= modules"},
    {&HoneSandboxFaults::calls, "calls", "may reach the network and other processes",
     "use a kernel with CONFIG_SECCOMP_FILTER"},
};

std::string ReasonOf(int fault) { return fault == 0 ? "" : std::strerror(fault); }

}  // namespace

std::vector<std::pair<std::string, std::string>> SandboxLayers(const HoneSandboxFaults& faults) {
  std::vector<std::pair<std::string, std::string>> layers;
  for (const Layer& layer : kLayers) layers.emplace_back(layer.name, ReasonOf(faults.*layer.fault));
  return layers;
}

absl::Status SandboxStatus(const HoneSandboxFaults& faults, std::string_view guests) {
  std::string text;
  for (const Layer& layer : kLayers) {
    const std::string reason = ReasonOf(faults.*layer.fault);
    if (reason.empty()) continue;
    absl::StrAppend(&text, "\n  ", layer.name, " (", reason, "): ", std::string(guests), " ", layer.exposed, "; ",
                    layer.remedy);
  }
  if (text.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("this machine lacks a part of the sandbox:", text,
                                                    "\nor accept that with --allow-unsandboxed"));
}

}  // namespace hone
