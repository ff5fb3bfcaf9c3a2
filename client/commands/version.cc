#include "client/version.h"

#include "client/commands/commands.h"
#include "client/error.h"
#include "client/local_service.h"

namespace hone {
namespace {

// The server's answer if one is configured, or runs under HONE_HOME; nothing is started for this.
absl::StatusOr<v1::ServerInfo> AskServer(const CommandContext& context) {
  if (!context.config.server.empty()) {
    auto client = context.connect();
    if (!client.ok()) return client.status();
    return (*client)->GetServerInfo();
  }
  auto endpoint = LocalService(context.config, context.console).RunningEndpoint();
  if (!endpoint.ok()) return endpoint.status();
  auto client = HoneClient::Connect(*endpoint);
  if (!client.ok()) return client.status();
  return (*client)->GetServerInfo();
}

}  // namespace

absl::StatusOr<int> RunVersion(const CommandContext& context) {
  auto info = AskServer(context);
  const bool none = absl::IsNotFound(info.status());
  if (context.console.json) {
    Json json = {{"client", kClientVersion}, {"server", nullptr}};
    if (info.ok()) json["server"] = MessageJson(*info);
    if (!info.ok() && !none) return info.status();
    context.console.PrintJson(json);
    return kExitOk;
  }
  context.console.out << "client  hone " << kClientVersion << "\n";
  if (none) {
    context.console.out << "server  not running\n";
    return kExitOk;
  }
  if (!info.ok()) return info.status();
  context.console.out << "server  hone " << info->version() << ", compiler " << info->compiler_build()
                      << "\ntargets";
  for (const std::string& target : info->targets()) context.console.out << "  " << target;
  context.console.out << "\n";
  return kExitOk;
}

}  // namespace hone
