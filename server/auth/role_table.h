#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace hone {

// What a caller may do: people's roles from the least to the most, then those of machines.
enum class Role : unsigned {
  kViewer = 1,    // looks at models, jobs, modules, records
  kUser = 2,      // makes and deletes them too
  kOperator = 4,  // lets workers join too
  kAdmin = 8,     // users and their tokens too
  kWorker = 16,   // a device that measures
  kEnrol = 32,    // may become a worker, nothing else
  kLapsed = 64,   // a device whose certificate expired lately: may renew it, nothing else
};
inline bool IsOfPeople(Role role) { return role <= Role::kAdmin; }

std::string_view RoleName(Role role);
std::optional<Role> ParseRole(std::string_view name);

// What a call may be about. Every token of people speaks in one project.
enum class Scope {
  kServer,  // the server as a whole: users, tokens, devices
  kOwn,     // makes or lists what is of the caller's project; nothing else is there
  kNamed,   // what it names: NOT_FOUND unless it is of the caller's project
};

struct RpcRow {
  std::string_view path;  // as on the wire: "/hone.v1.JobService/GetJob"
  unsigned roles;         // set of Role
  Scope scope;
};

// Every RPC with the roles that may call it, and with what. What is not listed nobody may call.
std::span<const RpcRow> RpcTable();
const RpcRow* FindRpc(std::string_view path);
inline bool Allows(const RpcRow& row, Role role) { return (row.roles & static_cast<unsigned>(role)) != 0; }

}  // namespace hone
