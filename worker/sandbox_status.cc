#include "worker/sandbox_status.h"

#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include "proto/sandbox/sandbox.h"

namespace hone {
namespace {

struct Layer {
  int HoneSandboxFaults::* fault;
  const char* name;
  const char* exposed;
  const char* remedy;
};
constexpr Layer kLayers[] = {
    {&HoneSandboxFaults::namespaces, "namespaces", "candidates share this user's identity",
     "allow unprivileged user namespaces (user.max_user_namespaces; in a container: its seccomp profile)"},
    {&HoneSandboxFaults::files, "files", "candidates may read what this user may read",
     "use a kernel from 5.13 with Landlock among its lsm= modules"},
    {&HoneSandboxFaults::calls, "calls", "candidates may reach the network and other processes",
     "use a kernel with CONFIG_SECCOMP_FILTER"},
};

}  // namespace

absl::Status SandboxStatus() {
  const HoneSandboxFaults faults = HoneSandboxProbe();
  std::string text;
  for (const Layer& layer : kLayers) {
    if (const int fault = faults.*layer.fault; fault != 0) {
      absl::StrAppend(&text, "\n  ", layer.name, " (", std::strerror(fault), "): ", layer.exposed, "; ", layer.remedy);
    }
  }
  if (text.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("this machine lacks a part of the sandbox:", text,
                                                    "\nor accept that with --allow-unsandboxed"));
}

}  // namespace hone
