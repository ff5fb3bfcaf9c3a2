#include "client/commands/listing.h"

#include "client/model_request.h"

namespace hone {

absl::StatusOr<Page> ReadPage(const CommandContext& context) {
  auto size = ReadNumber(context.arguments, "--limit", 1, 1000, 50);
  if (!size.ok()) return size.status();
  return Page{static_cast<int>(*size), context.arguments.GetOr("--page", "")};
}

void PrintNextPage(const CommandContext& context, const std::string& token) {
  if (token.empty()) return;
  context.console.out.flush();
  context.console.Note("there is more: --page " + token);
}

}  // namespace hone
