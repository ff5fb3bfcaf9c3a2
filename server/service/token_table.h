#pragma once

#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/auth/role_table.h"
#include "server/storage/store.h"

namespace hone {

// Who calls: the subject of a token.
struct Principal {
  Role role = Role::kUser;
  std::string subject;  // "workers/{id}" for workers

  std::string Id() const { return std::string(RoleName(role)) + ":" + subject; }
};

// The tokens of the database by hash, kept in memory so that a check never blocks. Thread-safe.
class TokenTable {
 public:
  explicit TokenTable(Store& store) : store_(store) {}
  absl::Status Reload();  // after tokens were made or withdrawn

  // The one authorisation decision. `authorization` is the metadata value ("Bearer TOKEN"; empty: there was
  // none), `path` the RPC's. Unauthenticated, PermissionDenied or, for an RPC nobody may call, Unimplemented.
  absl::StatusOr<Principal> Authorise(std::string_view authorization, std::string_view path) const;
  absl::StatusOr<Principal> Authenticate(std::string_view authorization) const;

 private:
  Store& store_;
  mutable std::mutex mutex_;
  std::map<std::string, Principal, std::less<>> by_hash_;
};

}  // namespace hone
