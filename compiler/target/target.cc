#include "compiler/target/target.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "compiler/target/x86.h"

namespace hone {

std::span<const TargetRow> TargetTable() { return X86Targets(); }

absl::StatusOr<Target> FindTarget(std::string_view name) {
  const TargetRow* found = nullptr;
  std::string names = "host";
  for (const TargetRow& row : TargetTable()) {
    if (name == row.name || (name == "host" && row.runs_here())) found = &row;
    names.append(", ").append(row.name);
  }
  if (found != nullptr) return Target{found};
  if (name == "host") return absl::NotFoundError(absl::StrCat("no target runs on this machine; there are: ", names));
  return absl::InvalidArgumentError(
      absl::StrCat("unknown target '", std::string(name), "'; there are: ", names));
}

}  // namespace hone
