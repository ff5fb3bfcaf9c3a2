#include "absl/strings/str_cat.h"
#include "client/commands/commands.h"
#include "client/commands/identity.h"
#include "client/contexts.h"
#include "client/error.h"
#include "client/local_service.h"
#include "client/table.h"
#include "proto/values/certificate_fingerprint.h"

namespace hone {

absl::StatusOr<int> RunContextList(const CommandContext& context) {
  auto contexts = ReadContexts(context.config.home);
  if (!contexts.ok()) return contexts.status();
  const auto is_in_use = [&](const std::string& name) { return name == context.config.context; };
  Json list = Json::array({{{"name", kLocalContext}, {"server", ""}, {"in_use", is_in_use(kLocalContext)}}});
  std::vector<std::vector<std::string>> rows = {
      {is_in_use(kLocalContext) ? "*" : "", kLocalContext, "your own (hone up)"}};
  for (const auto& [name, endpoint] : contexts->saved) {
    list.push_back({{"name", name}, {"server", endpoint.address}, {"in_use", is_in_use(name)}});
    rows.push_back({is_in_use(name) ? "*" : "", name, endpoint.address});
  }
  if (context.console.json) {
    context.console.PrintJson({{"contexts", list}});
    return kExitOk;
  }
  context.console.out << FormatTable({{""}, {"context"}, {"server", Align::kLeft, Narrow::kShrink}}, rows,
                                     context.console.width);
  if (context.config.context.empty())
    context.console.Note(
        absl::StrCat(context.config.chosen_by, " names ", context.config.server, ", which is none of these"));
  return kExitOk;
}

// What is known of the server in use, and what it says of the caller.
absl::StatusOr<int> RunContextShow(const CommandContext& context) {
  const ClientConfig& config = context.config;
  auto endpoint = config.context == kLocalContext ? LocalService(config, context.console).RunningEndpoint()
                                                  : RemoteEndpoint(config);
  if (!endpoint.ok()) return endpoint.status();
  const std::string fingerprint = CertificateFingerprint(endpoint->ca_pem).value_or("-");
  auto info = WhoAmI(*endpoint);
  if (context.console.json) {
    if (!info.ok()) return info.status();
    context.console.PrintJson({{"context", config.context},
                               {"server", endpoint->address},
                               {"fingerprint", fingerprint},
                               {"chosen_by", config.chosen_by},
                               {"server_info", MessageJson(*info)}});
    return kExitOk;
  }
  context.console.out << FormatFields({{"context", config.context},
                                       {"server", endpoint->address},
                                       {"certificate", fingerprint},
                                       {"chosen by", config.chosen_by},
                                       {"you are", info.ok() ? IdentityText(*info) : ""}},
                                      context.console.width);
  context.console.out.flush();
  if (!info.ok()) return info.status();
  return kExitOk;
}

absl::StatusOr<int> RunContextUse(const CommandContext& context) {
  const std::string& name = context.arguments.positional(0);
  std::string server;
  absl::Status status = ChangeContexts(context.config.home, [&](Contexts& contexts) -> absl::Status {
    if (name != kLocalContext) {
      auto endpoint = contexts.Find(name);
      if (!endpoint.ok()) return endpoint.status();
      server = endpoint->address;
    }
    contexts.current = name;
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  if (context.console.json) {
    context.console.PrintJson({{"context", name}, {"server", server}});
  } else {
    context.console.out << "commands go to " << (server.empty() ? "your own server" : server) << "\n";
  }
  return kExitOk;
}

absl::StatusOr<int> RunContextRemove(const CommandContext& context) {
  const std::string& name = context.arguments.positional(0);
  if (name == kLocalContext)
    return WithRemedy(UsageError("'local' is your own server and stays"), "hone down stops it");
  bool was_current = false;
  absl::Status status = ChangeContexts(context.config.home, [&](Contexts& contexts) -> absl::Status {
    if (auto endpoint = contexts.Find(name); !endpoint.ok()) return endpoint.status();
    contexts.saved.erase(name);
    was_current = contexts.current == name;
    if (was_current) contexts.current = kLocalContext;
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  if (context.console.json) {
    context.console.PrintJson({{"removed", name}});
  } else {
    context.console.out << "context " << name << " is removed, its token with it"
                        << (was_current ? "; commands go to your own server" : "") << "\n";
  }
  return kExitOk;
}

}  // namespace hone
