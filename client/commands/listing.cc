#include "client/commands/listing.h"

#include "client/error.h"
#include "client/model_request.h"

namespace hone {
namespace {

constexpr size_t kDefaultRows = 50, kMostRows = 1'000'000'000;

}  // namespace

absl::StatusOr<Rows> ReadRows(const CommandContext& context) {
  Rows rows{kMostRows, context.arguments.GetOr("--page", "")};
  if (context.arguments.GetOr("--limit", "") == "all") return rows;
  auto limit = ReadNumber(context.arguments, "--limit", 1, kMostRows, kDefaultRows);
  if (!limit.ok()) return WithRemedy(limit.status(), "give a number of rows, or all");
  rows.limit = *limit;
  return rows;
}

void PrintNextPage(const CommandContext& context, const std::string& token) {
  if (token.empty()) return;
  context.console.out.flush();
  context.console.Note("there is more: --limit all, or --page " + token);
}

}  // namespace hone
