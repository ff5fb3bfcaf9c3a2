#include "absl/strings/str_cat.h"
#include "client/commands/commands.h"
#include "client/error.h"
#include "client/local_service.h"

namespace hone {

// The token rides in the fragment, which browsers neither send nor log; the address is printed rather than opened,
// because the command line of a browser is public on this machine.
absl::StatusOr<int> RunDashboard(const CommandContext& context) {
  if (!context.config.server.empty()) {
    return WithRemedy(
        absl::FailedPreconditionError("a server shows its dashboard on its own machine only"),
        "forward the \"http\" port of its endpoint.json (ssh -L 8080:127.0.0.1:PORT), open http://127.0.0.1:8080/ "
        "and enter the token");
  }
  auto state = LocalService(context.config, context.console).Up();
  if (!state.ok()) return state.status();
  const std::string address = absl::StrCat("http://", state->http, "/");
  const std::string with_token = absl::StrCat(address, "#token=", state->endpoint.token);
  if (context.console.json) {
    context.console.PrintJson({{"address", address}, {"address_with_token", with_token}});
  } else {
    context.console.out << with_token << "\n";
    context.console.Note("open this address in a browser; whoever has it can use the server");
  }
  return kExitOk;
}

}  // namespace hone
