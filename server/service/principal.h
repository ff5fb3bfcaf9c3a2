#pragma once

#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "server/auth/role_table.h"
#include "server/storage/rows.h"

namespace hone {

// What a caller shows. A token decides where there is one.
struct Credentials {
  std::string authorization;  // metadata: "Bearer TOKEN"; empty: none
  // PEM, of the caller's end of the connection; empty: none. TLS has proved that the caller has its key, and
  // nothing else: whoever made it may have written anything.
  std::string certificate = "";
};

// Who calls: the subject of a token or of a worker's certificate.
struct Principal {
  Role role = Role::kUser;
  std::string subject;                             // "workers/{id}" for workers
  std::string project = kDefaultProject;           // of people
  int64_t expire_time = 0;                         // of the credential, microseconds since 1970; 0 = never
  absl::Time renew_time = absl::InfiniteFuture();  // when a certificate should be replaced

  std::string Id() const {
    return std::string(RoleName(role)) + ":" + subject + (project == kDefaultProject ? "" : "@" + project);
  }
};

}  // namespace hone
