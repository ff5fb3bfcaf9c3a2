#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace hone {

// Who a bearer token speaks for.
enum class Role : unsigned {
  kAdmin = 1,   // the owner of the server
  kUser = 2,    // models, jobs, modules, records
  kWorker = 4,  // a device that measures
  kEnrol = 8,   // may become a worker, nothing else
};

std::string_view RoleName(Role role);
std::optional<Role> ParseRole(std::string_view name);

struct RpcRow {
  std::string_view path;  // as on the wire: "/hone.v1.JobService/GetJob"
  unsigned roles;         // set of Role
};

// Every RPC with the roles that may call it. What is not listed nobody may call.
std::span<const RpcRow> RpcTable();
const RpcRow* FindRpc(std::string_view path);
inline bool Allows(const RpcRow& row, Role role) { return (row.roles & static_cast<unsigned>(role)) != 0; }

}  // namespace hone
