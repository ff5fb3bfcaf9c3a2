#include "absl/strings/str_cat.h"
#include "client/commands/commands.h"
#include "client/error.h"
#include "client/units.h"

namespace hone {

absl::StatusOr<int> RunAdminBackup(const CommandContext& context) {
  auto client = context.connect();
  if (!client.ok()) return client.status();
  auto backup = (*client)->CreateBackup();
  if (absl::IsFailedPrecondition(backup.status())) {
    return WithRemedy(backup.status(),
                      "set backup-dir in its configuration; or on its own machine, while it works: "
                      "hone-server --data-dir DIR --backup-to COPY");
  }
  if (!backup.ok()) return backup.status();
  if (context.console.json) {
    context.console.PrintJson(MessageJson(*backup));
    return kExitOk;
  }
  context.console.out << "copied " << backup->files() << " files, " << FormatBytes(backup->bytes()) << ", in "
                      << FormatDuration(backup->seconds()) << "\non the server's machine, at "
                      << backup->path() << "\n";
  context.console.Note(
      "it holds tokens and the server's key; 'hone admin restore --help' says how it is used");
  return kExitOk;
}

// Nothing that a client may do: whoever restores has the machine anyway, and the server must not run.
absl::StatusOr<int> RunAdminRestore(const CommandContext& context) {
  const bool named = !context.arguments.positionals().empty();
  return WithRemedy(absl::FailedPreconditionError("a copy is restored on its own machine, not by a client"),
                    absl::StrCat("there, into a new folder: hone-server --data-dir NEW --restore-from ",
                                 named ? context.arguments.positional(0) : "COPY"));
}

}  // namespace hone
