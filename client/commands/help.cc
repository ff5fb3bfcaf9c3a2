#include "absl/strings/str_format.h"
#include "client/commands/commands.h"
#include "client/completion.h"
#include "client/error.h"

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
    if (!context.console.json) context.console.out << absl::StreamFormat("%4d  %s\n", row.code, row.meaning);
  }
  if (context.console.json) context.console.PrintJson(codes);
  return kExitOk;
}

}  // namespace hone
