#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "client/command.h"

namespace hone {

// --limit and --page of commands that list.
struct Page {
  int size = 50;
  std::string token;
};
absl::StatusOr<Page> ReadPage(const CommandContext& context);
void PrintNextPage(const CommandContext& context, const std::string& token);  // a note, if there is more

}  // namespace hone
