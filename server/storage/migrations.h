#pragma once

#include <span>

#include "absl/status/status.h"
#include "server/storage/sqlite_connection.h"

namespace hone {

struct Migration {
  int version;  // user_version after it
  const char* title;
  const char* sql;
};

// In order, from an empty file to the schema of this build.
std::span<const Migration> Migrations();

// Brings the database up to date, each step in a transaction of its own. FailedPrecondition if it is newer
// than this build.
absl::Status Migrate(Connection& connection);

}  // namespace hone
