#include "server/service/token_table.h"

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "server/auth/secrets.h"
#include "server/execution/status_macros.h"

namespace hone {
namespace {

constexpr std::string_view kScheme = "Bearer ";

}  // namespace

absl::Status TokenTable::Reload() {
  std::lock_guard reloading(reload_mutex_);  // what was read last stays
  HONE_ASSIGN_OR_RETURN(std::vector<TokenRow> tokens,
                        store_.ListTokens({0, std::numeric_limits<int>::max()}));
  std::map<std::string, Entry, std::less<>> by_hash;
  for (const TokenRow& token : tokens) {
    const std::optional<Role> role = ParseRole(token.role);
    if (role && (IsOfPeople(*role) || role == Role::kEnrol)) by_hash[token.hash] = EntryOf(token, *role);
  }
  std::lock_guard lock(mutex_);
  by_hash_ = std::move(by_hash);
  return absl::OkStatus();
}

TokenTable::Entry TokenTable::EntryOf(const TokenRow& token, Role role) {
  Entry entry{{role, token.subject, token.project, token.expire_time}};
  if (token.revoke_time != 0) entry.refused = "the token was revoked";
  if (token.IsOfWorker()) return entry;
  const std::optional<Role> of_user = ParseRole(token.user_role);
  if (!of_user || token.user_disabled) entry.refused = "the token's user may not use this server any more";
  if (of_user && role == Role::kEnrol && *of_user < Role::kOperator)
    entry.refused = "the token's user may let no worker join any more";
  if (of_user && IsOfPeople(role)) entry.principal.role = std::min(role, *of_user);
  return entry;
}

absl::StatusOr<Principal> TokenTable::Authenticate(const Credentials& credentials) const {
  const std::string_view authorization = credentials.authorization;
  if (authorization.empty() && !credentials.certificate.empty())
    return workers_.Authenticate(credentials.certificate);
  if (authorization.empty()) {
    return absl::UnauthenticatedError("no token: send the metadata 'authorization: Bearer TOKEN'");
  }
  if (!authorization.starts_with(kScheme)) {
    return absl::UnauthenticatedError("the authorization metadata does not begin with 'Bearer '");
  }
  const std::string hash = HashToken(std::string(authorization.substr(kScheme.size())));
  std::lock_guard lock(mutex_);
  auto token = by_hash_.find(hash);
  if (token == by_hash_.end()) return absl::UnauthenticatedError("this server does not know the token");
  const Entry& entry = token->second;
  if (!entry.refused.empty()) return absl::UnauthenticatedError(entry.refused);
  const int64_t expire_time = entry.principal.expire_time;
  if (expire_time != 0 && absl::ToUnixMicros(clock_()) >= expire_time)
    return absl::UnauthenticatedError("the token expired at " +
                                      absl::FormatTime(absl::FromUnixMicros(expire_time)));
  return entry.principal;
}

absl::StatusOr<Principal> TokenTable::Authorise(const Credentials& credentials, std::string_view path) const {
  HONE_ASSIGN_OR_RETURN(Principal principal, Authenticate(credentials));
  const RpcRow* rpc = FindRpc(path);
  if (rpc != nullptr && Allows(*rpc, principal.role)) return principal;
  if (principal.role == Role::kLapsed) {
    return absl::UnauthenticatedError(absl::StrCat(
        "the certificate of ", principal.subject, " expired at ",
        absl::FormatTime(absl::FromUnixMicros(principal.expire_time)), ": it may only be renewed"));
  }
  if (rpc == nullptr) return absl::UnimplementedError(absl::StrCat("this server has no ", std::string(path)));
  const bool outdated =
      principal.role == Role::kEnrol && Allows(*rpc, Role::kWorker) && !Allows(*rpc, Role::kAdmin);
  return absl::PermissionDeniedError(absl::StrCat(
      "a caller of role ", std::string(RoleName(principal.role)), " may not call ", std::string(path),
      outdated ? ": workers show a certificate, which a newer hone-worker enrols for" : ""));
}

}  // namespace hone
