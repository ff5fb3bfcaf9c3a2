#include "absl/strings/str_cat.h"
#include "client/commands/commands.h"
#include "client/error.h"
#include "client/local_service.h"

namespace hone {
namespace {

constexpr double kTokenSeconds = 12 * 3600;

// For looking only: the address ends up in browser histories and on screens.
absl::StatusOr<std::string> ViewerToken(const Endpoint& endpoint) {
  auto client = HoneClient::Connect(endpoint);
  if (!client.ok()) return client.status();
  v1::CreateTokenRequest request;
  request.set_user("users/owner");
  request.set_role("viewer");
  request.set_lifetime_seconds(kTokenSeconds);
  request.set_label("dashboard");
  auto made = (*client)->CreateToken(request);
  if (!made.ok()) return made.status();
  return made->secret();
}

}  // namespace

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
  auto token = ViewerToken(state->endpoint);
  if (!token.ok()) return token.status();
  const std::string address = absl::StrCat("http://", state->http, "/");
  const std::string with_token = absl::StrCat(address, "#token=", *token);
  if (context.console.json) {
    context.console.PrintJson({{"address", address}, {"address_with_token", with_token}});
  } else {
    context.console.out << with_token << "\n";
    context.console.Note("open this address in a browser; whoever has it can look for the next 12 hours");
  }
  return kExitOk;
}

}  // namespace hone
