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
#include "server/service/principal.h"
#include "server/service/worker_table.h"
#include "server/storage/store.h"

namespace hone {

// The tokens of the database by hash, kept in memory so that a check never blocks. Thread-safe.
class TokenTable {
 public:
  TokenTable(Store& store, const WorkerTable& workers, Clock clock = absl::Now)
      : store_(store), workers_(workers), clock_(std::move(clock)) {}
  absl::Status Reload();  // after tokens or users were made or changed

  // The one authorisation decision; `path` is the RPC's. Unauthenticated, PermissionDenied or, for an RPC
  // nobody may call, Unimplemented.
  absl::StatusOr<Principal> Authorise(const Credentials& credentials, std::string_view path) const;
  absl::StatusOr<Principal> Authenticate(const Credentials& credentials) const;

 private:
  struct Entry {
    Principal principal;       // with the lower of the token's and its user's role
    std::string refused = "";  // why it is good for nothing
  };
  static Entry EntryOf(const TokenRow& token, Role role);

  Store& store_;
  const WorkerTable& workers_;
  const Clock clock_;
  std::mutex reload_mutex_;
  mutable std::mutex mutex_;
  std::map<std::string, Entry, std::less<>> by_hash_;
};

}  // namespace hone
