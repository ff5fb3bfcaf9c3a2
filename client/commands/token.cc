#include <fcntl.h>
#include <unistd.h>

#include <cstring>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "client/commands/commands.h"
#include "client/commands/listing.h"
#include "client/error.h"
#include "client/resource_name.h"
#include "client/table.h"
#include "client/units.h"

namespace hone {
namespace {

// --expires in seconds; 0: the server's choice.
absl::StatusOr<double> ReadLifetime(const CommandContext& context) {
  const auto text = context.arguments.Get("--expires");
  return text ? ParseDuration(*text) : 0.0;
}

// Into a new file that is its owner's alone.
absl::Status SaveSecret(const std::string& path, const std::string& secret) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  const auto close_file = absl::MakeCleanup([file] { close(file); });
  const std::string line = secret + "\n";
  if (file >= 0 && write(file, line.data(), line.size()) == static_cast<ssize_t>(line.size()))
    return absl::OkStatus();
  return WithRemedy(
      absl::FailedPreconditionError(absl::StrCat("cannot write a new file ", path, ": ", strerror(errno))),
      "give a name that is not taken; 'hone token list' names the token, for 'hone token revoke'");
}

// The secret alone on stdout, or in --out: it is shown this once.
absl::StatusOr<int> HandOver(const CommandContext& context, absl::StatusOr<v1::CreateTokenResponse> made) {
  if (!made.ok()) return made.status();
  if (const auto path = context.arguments.Get("--out")) {
    const absl::Status saved = SaveSecret(*path, made->secret());
    if (!saved.ok()) return saved;
    made->clear_secret();
  }
  if (context.console.json) {
    context.console.PrintJson(MessageJson(*made));
    return kExitOk;
  }
  if (!made->secret().empty()) context.console.out << made->secret() << std::endl;
  const v1::Token& token = made->token();
  context.console.Note(absl::StrCat("token ", ShortName(token.name()), " of role ", token.role(),
                                    token.expire_time_micros() == 0
                                        ? ", for ever"
                                        : ", until " + FormatTime(token.expire_time_micros()) + " UTC",
                                    made->secret().empty() ? "" : "; it is shown only now"));
  return kExitOk;
}

}  // namespace

absl::StatusOr<int> RunTokenList(const CommandContext& context) {
  auto rows_wanted = ReadRows(context);
  if (!rows_wanted.ok()) return rows_wanted.status();
  auto client = context.connect();
  if (!client.ok()) return client.status();
  auto tokens =
      FetchRows(*rows_wanted, &v1::ListTokensResponse::tokens_size,
                [&](int size, const std::string& token) { return (*client)->ListTokens(size, token); });
  if (!tokens.ok()) return tokens.status();
  if (context.console.json) {
    context.console.PrintJson(MessageJson(*tokens));
    return kExitOk;
  }
  std::vector<std::vector<std::string>> rows;
  for (const v1::Token& token : tokens->tokens()) {
    rows.push_back({ShortName(token.name()), token.subject(), token.role(), token.state(),
                    FormatTime(token.expire_time_micros()), ShortName(token.project()),
                    FormatTime(token.create_time_micros()), token.label()});
  }
  context.console.out << FormatTable({{"token"},
                                      {"of"},
                                      {"role"},
                                      {"state"},
                                      {"expires (UTC)", Align::kLeft, Narrow::kDrop},
                                      {"project", Align::kLeft, Narrow::kDrop},
                                      {"created (UTC)", Align::kLeft, Narrow::kDrop},
                                      {"label", Align::kLeft, Narrow::kShrink}},
                                     rows, context.console.width);
  PrintNextPage(context, tokens->next_page_token());
  return kExitOk;
}

absl::StatusOr<int> RunTokenCreate(const CommandContext& context) {
  auto lifetime = ReadLifetime(context);
  if (!lifetime.ok()) return lifetime.status();
  auto client = context.connect();
  if (!client.ok()) return client.status();
  v1::CreateTokenRequest request;
  request.set_user(FullName("users", context.arguments.positional(0)));
  request.set_role(context.arguments.GetOr("--role", ""));
  if (auto project = context.arguments.Get("--project")) request.set_project(FullName("projects", *project));
  request.set_lifetime_seconds(*lifetime);
  request.set_label(context.arguments.GetOr("--label", ""));
  auto made = (*client)->CreateToken(request);
  if (absl::IsNotFound(made.status()))
    return WithRemedy(made.status(), absl::StrCat("hone user create ", context.arguments.positional(0),
                                                  ", hone project list"));
  return HandOver(context, std::move(made));
}

absl::StatusOr<int> RunTokenEnrol(const CommandContext& context) {
  auto lifetime = ReadLifetime(context);
  if (!lifetime.ok()) return lifetime.status();
  auto client = context.connect();
  if (!client.ok()) return client.status();
  v1::CreateEnrolTokenRequest request;
  request.set_lifetime_seconds(*lifetime);
  request.set_label(context.arguments.GetOr("--label", ""));
  return HandOver(context, (*client)->CreateEnrolToken(request));
}

absl::StatusOr<int> RunTokenRevoke(const CommandContext& context) {
  auto client = context.connect();
  if (!client.ok()) return client.status();
  auto token = ResolveToken(**client, context.arguments.positional(0));
  if (!token.ok()) return token.status();
  token = (*client)->RevokeToken(token->name());
  if (!token.ok()) return token.status();
  if (context.console.json) {
    context.console.PrintJson(MessageJson(*token));
  } else {
    context.console.out << "token " << ShortName(token->name()) << " is " << token->state() << "\n";
  }
  return kExitOk;
}

}  // namespace hone
