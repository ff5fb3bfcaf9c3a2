#include "absl/strings/str_cat.h"
#include "client/commands/commands.h"
#include "client/error.h"
#include "client/local_service.h"
#include "client/units.h"
#include "proto/values/certificate_fingerprint.h"

namespace hone {

absl::StatusOr<int> RunUp(const CommandContext& context) {
  auto seconds = ParseDuration(context.arguments.GetOr("--timeout", "90s"));
  if (!seconds.ok()) return seconds.status();
  auto state = LocalService(context.config, context.console).Up(absl::Seconds(*seconds));
  if (!state.ok()) return state.status();
  const std::string fingerprint = CertificateFingerprint(state->endpoint.ca_pem).value_or("-");
  if (context.console.json) {
    context.console.PrintJson({{"server", state->endpoint.address},
                               {"http", state->http},
                               {"token_file", state->token_file},
                               {"ca", state->certificate},
                               {"fingerprint", fingerprint},
                               {"server_pid", state->server.pid},
                               {"worker_pid", state->worker.pid},
                               {"home", context.config.home},
                               {"started", state->started}});
    return kExitOk;
  }
  context.console.out << "server  " << state->endpoint.address << "  (process " << state->server.pid << ")\n"
                      << "worker  process " << state->worker.pid << "\n";
  if (!state->http.empty()) context.console.out << "health  http://" << state->http << "/healthz\n";
  context.console.out << "token   " << state->token_file << "\n"
                      << "cert    " << state->certificate << "\n        " << fingerprint << "\n"
                      << (state->started ? "started; stop both with: hone down\n" : "was running already\n");
  if (!context.config.server.empty())
    context.console.Note(absl::StrCat("commands go to ", context.config.server, " (",
                                      context.config.chosen_by, "); those with --context local come here"));
  return kExitOk;
}

absl::StatusOr<int> RunDown(const CommandContext& context) {
  auto ran = LocalService(context.config, context.console).Down();
  if (!ran.ok()) return ran.status();
  if (context.console.json) {
    context.console.PrintJson({{"stopped", *ran}});
  } else {
    context.console.out << (*ran ? "stopped\n" : "nothing was running\n");
  }
  return kExitOk;
}

}  // namespace hone
