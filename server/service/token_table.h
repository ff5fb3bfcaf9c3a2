#pragma once

#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "server/auth/role_table.h"
#include "server/execution/clock.h"
#include "server/storage/store.h"

namespace hone {

// Who calls: the subject of a token.
struct Principal {
  Role role = Role::kUser;
  std::string subject;  // "workers/{id}" for workers
  std::string project = kDefaultProject;

  std::string Id() const {
    return std::string(RoleName(role)) + ":" + subject + (project == kDefaultProject ? "" : "@" + project);
  }
};

// The tokens of the database by hash, kept in memory so that a check never blocks. Thread-safe.
class TokenTable {
 public:
  explicit TokenTable(Store& store, Clock clock = absl::Now) : store_(store), clock_(std::move(clock)) {}
  absl::Status Reload();  // after tokens or users were made or changed

  // The one authorisation decision. `authorization` is the metadata value ("Bearer TOKEN"; empty: there was
  // none), `path` the RPC's. Unauthenticated, PermissionDenied or, for an RPC nobody may call, Unimplemented.
  absl::StatusOr<Principal> Authorise(std::string_view authorization, std::string_view path) const;
  absl::StatusOr<Principal> Authenticate(std::string_view authorization) const;

 private:
  struct Entry {
    Principal principal;  // with the lower of the token's and its user's role
    int64_t expire_time = 0;
    std::string refused = "";  // why it is good for nothing
  };
  static Entry EntryOf(const TokenRow& token, Role role);

  Store& store_;
  const Clock clock_;
  std::mutex reload_mutex_;
  mutable std::mutex mutex_;
  std::map<std::string, Entry, std::less<>> by_hash_;
};

}  // namespace hone
