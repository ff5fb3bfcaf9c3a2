#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "client/command.h"
#include "client/pages.h"

namespace hone {

absl::StatusOr<Rows> ReadRows(const CommandContext& context);                 // --limit and --page
void PrintNextPage(const CommandContext& context, const std::string& token);  // a note, if there is more

}  // namespace hone
