#include "server/service/token_table.h"

#include "absl/strings/str_cat.h"
#include "server/auth/secrets.h"
#include "server/execution/status_macros.h"

namespace hone {
namespace {

constexpr std::string_view kScheme = "Bearer ";

}  // namespace

absl::Status TokenTable::Reload() {
  HONE_ASSIGN_OR_RETURN(std::vector<TokenRow> tokens, store_.ListTokens());
  std::map<std::string, Principal, std::less<>> by_hash;
  for (const TokenRow& token : tokens) {
    const std::optional<Role> role = ParseRole(token.role);
    if (role) by_hash[token.hash] = {*role, token.subject};
  }
  std::lock_guard lock(mutex_);
  by_hash_ = std::move(by_hash);
  return absl::OkStatus();
}

absl::StatusOr<Principal> TokenTable::Authenticate(std::string_view authorization) const {
  if (authorization.empty()) {
    return absl::UnauthenticatedError("no token: send the metadata 'authorization: Bearer TOKEN'");
  }
  if (!authorization.starts_with(kScheme)) {
    return absl::UnauthenticatedError("the authorization metadata does not begin with 'Bearer '");
  }
  const std::string hash = HashToken(std::string(authorization.substr(kScheme.size())));
  std::lock_guard lock(mutex_);
  auto token = by_hash_.find(hash);
  if (token == by_hash_.end())
    return absl::UnauthenticatedError("this server does not know the token (or it was withdrawn)");
  return token->second;
}

absl::StatusOr<Principal> TokenTable::Authorise(std::string_view authorization, std::string_view path) const {
  HONE_ASSIGN_OR_RETURN(Principal principal, Authenticate(authorization));
  const RpcRow* rpc = FindRpc(path);
  if (rpc == nullptr) return absl::UnimplementedError(absl::StrCat("this server has no ", std::string(path)));
  if (!Allows(*rpc, principal.role)) {
    return absl::PermissionDeniedError(absl::StrCat("a token of role ", std::string(RoleName(principal.role)),
                                                    " may not call ", std::string(path)));
  }
  return principal;
}

}  // namespace hone
