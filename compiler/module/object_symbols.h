#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace hone {

// The object with symbols renamed.
absl::StatusOr<std::string> RenameSymbols(const std::string& object, const std::map<std::string, std::string>& names);
// The object with every defined symbol local but these.
absl::StatusOr<std::string> LocaliseAllBut(const std::string& object, const std::vector<std::string>& kept);

struct ArchiveMember {
  std::string name;
  const std::string* bytes = nullptr;
};
// A static library with a symbol table; reproducible.
absl::StatusOr<std::string> WriteArchive(const std::vector<ArchiveMember>& members);

}  // namespace hone
