#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "client/commands/commands.h"
#include "client/commands/identity.h"
#include "client/contexts.h"
#include "client/error.h"
#include "client/prompt.h"
#include "client/server_certificate.h"
#include "client/table.h"
#include "proto/values/certificate_fingerprint.h"

namespace hone {
namespace {

constexpr absl::Duration kHandshakeTimeout = absl::Seconds(5);
constexpr char kWhereFingerprints[] =
    "compare it with the one that 'hone up' or the server's log (\"serving\") shows on its own machine";

// The host of HOST:PORT, which is what a context is called unless it is named.
absl::StatusOr<std::string> HostOf(const std::string& address) {
  const size_t colon = address.rfind(':');
  int port = 0;
  if (colon == std::string::npos || colon == 0 || !absl::SimpleAtoi(address.substr(colon + 1), &port) ||
      port < 1 || port > 65535) {
    return WithRemedy(UsageError(absl::StrCat("'", address, "' is not HOST:PORT")),
                      "write for example hone login tuner.example.com:7443");
  }
  const std::string host = address.substr(0, colon);
  return host.front() == '[' && host.back() == ']' ? host.substr(1, host.size() - 2) : host;
}

absl::StatusOr<std::string> NameFor(const CommandContext& context, const Contexts& contexts,
                                    const std::string& address) {
  auto host = HostOf(address);
  if (!host.ok()) return host.status();
  const std::string known = contexts.NameOf(address);
  const std::string name = context.arguments.GetOr("--name", known.empty() ? *host : known);
  if (!IsContextName(name))
    return UsageError(absl::StrCat("'", name, "' is not a name of letters, digits and .-_: (at most 64)"));
  if (name == kLocalContext)
    return WithRemedy(UsageError("'local' is always your own server"), "give another --name");
  auto taken = contexts.saved.find(name);
  if (taken != contexts.saved.end() && taken->second.address != address) {
    return WithRemedy(
        UsageError(absl::StrCat("the context '", name, "' is of another server, ", taken->second.address)),
        absl::StrCat("give another --name, or: hone context remove ", name));
  }
  return name;
}

absl::Status Mismatch(const std::string& address, const std::string& shown, const std::string& expected) {
  return absl::FailedPreconditionError(
      absl::StrCat("the server at ", address, " shows the certificate ", shown, ", not ", expected));
}

// The certificate that is to be trusted: from --ca, or shown by the server and vouched for by --fingerprint,
// by an earlier login, or by whoever sits at the terminal.
absl::StatusOr<std::string> TrustedCertificate(const CommandContext& context, const Endpoint& known) {
  const std::string& address = known.address;
  const std::string& file = context.config.ca_file;
  const auto text = context.arguments.Get("--fingerprint");
  const auto expected = ParseFingerprint(text.value_or(""));
  if (text && !expected) return UsageError(absl::StrCat("'", *text, "' is not a SHA-256 fingerprint"));
  auto pem = file.empty() ? FetchServerCertificate(address, kHandshakeTimeout) : ReadTextFile(file);
  if (!pem.ok()) return pem.status();
  const auto shown = CertificateFingerprint(*pem);
  if (!shown) return absl::InvalidArgumentError(absl::StrCat(file, " is not a PEM certificate"));
  if (expected && shown != expected) {
    return WithRemedy(Mismatch(address, *shown, *expected),
                      "somebody may stand between: do not log in before you know why");
  }
  if (expected) return pem;
  if (!file.empty()) return pem;
  const auto before = CertificateFingerprint(known.ca_pem);
  if (before == shown) return pem;
  if (before) {
    return WithRemedy(Mismatch(address, *shown, absl::StrCat(*before, " as at the last login")),
                      absl::StrCat("somebody may stand between. If the server was set up anew, give "
                                   "--fingerprint, and ",
                                   kWhereFingerprints));
  }
  if (!context.console.interactive) {
    return WithRemedy(absl::FailedPreconditionError(absl::StrCat(
                          "the server at ", address, " is not known yet; it shows the certificate ", *shown)),
                      absl::StrCat(kWhereFingerprints, ", and give it as --fingerprint"));
  }
  context.console.err << "The server at " << address << " is not known yet. Its certificate is\n  " << *shown
                      << "\n"
                      << WrapText(absl::StrCat("To be sure, ", kWhereFingerprints, "."),
                                  context.console.err_width, 0)
                      << "\n";
  auto trusted = Confirm(context.console, "Is it the right one?");
  if (!trusted.ok()) return trusted.status();
  if (!*trusted) return absl::CancelledError("not trusted; nothing was saved");
  return pem;
}

absl::StatusOr<std::string> Token(const CommandContext& context, const std::string& address) {
  if (!context.config.token.empty()) return context.config.token;
  if (context.console.interactive)
    return AskSecret(context.console, absl::StrCat("Token for ", address, " (stays unseen)"));
  return WithRemedy(UsageError("there is no terminal to ask for the token"),
                    "give --token-file FILE (- is stdin), or set HONE_TOKEN; never the token itself on the "
                    "command line, which others can see");
}

absl::StatusOr<v1::ServerInfo> LogIn(const CommandContext& context, Endpoint& endpoint) {
  auto pem = TrustedCertificate(context, endpoint);
  if (!pem.ok()) return pem.status();
  endpoint.ca_pem = *pem;
  auto token = Token(context, endpoint.address);
  if (!token.ok()) return token.status();
  endpoint.token = *token;
  auto info = WhoAmI(endpoint);
  if (info.ok() && info->role() == "worker")
    return WithRemedy(absl::PermissionDeniedError("this token is a device's, not a person's"),
                      "hone token create USER makes one for a person");
  return info;
}

}  // namespace

absl::StatusOr<int> RunLogin(const CommandContext& context) {
  const std::string& address = context.arguments.positional(0);
  auto contexts = ReadContexts(context.config.home);
  if (!contexts.ok()) return contexts.status();
  auto name = NameFor(context, *contexts, address);
  if (!name.ok()) return name.status();
  Endpoint endpoint{address, "", ""};
  if (auto known = contexts->saved.find(*name); known != contexts->saved.end()) endpoint = known->second;
  auto info = LogIn(context, endpoint);
  if (absl::IsCancelled(info.status())) {
    context.console.Note(std::string(info.status().message()));
    return kExitDetached;
  }
  if (!info.ok()) return info.status();
  absl::Status status = ChangeContexts(context.config.home, [&](Contexts& saved) {
    saved.saved[*name] = endpoint;
    saved.current = *name;
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  if (context.console.json) {
    context.console.PrintJson({{"context", *name},
                               {"server", address},
                               {"fingerprint", *CertificateFingerprint(endpoint.ca_pem)},
                               {"subject", info->subject()},
                               {"role", info->role()},
                               {"project", info->project()}});
    return kExitOk;
  }
  context.console.out << "logged in to " << address << " as " << IdentityText(*info) << "\n"
                      << "commands go there from now on; back to your own server: hone context use local\n";
  if (context.config.chosen_by == "HONE_SERVER" || context.config.chosen_by == "HONE_CONTEXT")
    context.console.Note(absl::StrCat(context.config.chosen_by, " is set and wins over this login"));
  return kExitOk;
}

}  // namespace hone
