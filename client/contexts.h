#pragma once

#include <functional>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/hone_client.h"

namespace hone {

// The name of this user's own server. It is always there and needs no login.
inline constexpr char kLocalContext[] = "local";

// The servers that `hone login` has saved, by name, and which of them commands go to. Kept in
// HONE_HOME/contexts.json:
//   {"current": NAME, "contexts": {NAME: {"server": "host:port", "token": ..., "certificate": PEM}}}
// The file holds tokens: its mode is 0600, and it is replaced as a whole.
struct Contexts {
  std::string current = kLocalContext;
  std::map<std::string, Endpoint> saved;

  // NotFound, with a remedy, if none of this name is saved.
  absl::StatusOr<Endpoint> Find(const std::string& name) const;
  std::string NameOf(const std::string& address) const;  // of the one saved for this server; empty: none
};

std::string ContextsPath(const std::string& home);

// What is saved under `home`; nothing is without a file. DataLoss: the file is not what it should be.
absl::StatusOr<Contexts> ReadContexts(const std::string& home);

// Reads, changes and writes back. Changes at the same time follow one another; an error of `change` leaves
// all as it was.
absl::Status ChangeContexts(const std::string& home, const std::function<absl::Status(Contexts&)>& change);

// A-Z, a-z, 0-9 and ".-_:", at most 64 of them.
bool IsContextName(const std::string& name);

}  // namespace hone
