#include "absl/strings/str_format.h"
#include "client/commands/commands.h"
#include "client/completion.h"
#include "client/error.h"
#include "client/table.h"

namespace hone {

absl::StatusOr<int> RunCompletion(const CommandContext& context) {
  auto script = CompletionScript(context.arguments.positional(0));
  if (!script.ok()) return script.status();
  if (context.console.json) {
    context.console.PrintJson({{"shell", context.arguments.positional(0)}, {"script", *script}});
  } else {
    context.console.out << *script;
  }
  return kExitOk;
}

absl::StatusOr<int> RunHelpExitCodes(const CommandContext& context) {
  Json codes = Json::array();
  for (const ExitCode& row : ExitCodes()) {
    codes.push_back({{"code", row.code}, {"meaning", row.meaning}});
    if (!context.console.json)
      context.console.out << HangingText(absl::StrFormat("%4d", row.code), row.meaning,
                                         context.console.width > 0 ? context.console.width : 1000, 6);
  }
  if (context.console.json) context.console.PrintJson(codes);
  return kExitOk;
}

}  // namespace hone
