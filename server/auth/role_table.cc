#include "server/auth/role_table.h"

namespace hone {
namespace {

constexpr unsigned kAdmin = static_cast<unsigned>(Role::kAdmin);
constexpr unsigned kUser = static_cast<unsigned>(Role::kUser);
constexpr unsigned kWorker = static_cast<unsigned>(Role::kWorker);
constexpr unsigned kEnrol = static_cast<unsigned>(Role::kEnrol);

constexpr RpcRow kRpcs[] = {
    {"/hone.v1.BlobService/QueryBlob", kAdmin | kUser},
    {"/hone.v1.BlobService/UploadBlob", kAdmin | kUser},
    {"/hone.v1.BlobService/DownloadBlob", kAdmin | kUser | kWorker},
    {"/hone.v1.JobService/CreateJob", kAdmin | kUser},
    {"/hone.v1.JobService/GetJob", kAdmin | kUser},
    {"/hone.v1.JobService/ListJobs", kAdmin | kUser},
    {"/hone.v1.JobService/WatchJob", kAdmin | kUser},
    {"/hone.v1.JobService/CancelJob", kAdmin | kUser},
    {"/hone.v1.JobService/DeleteJob", kAdmin | kUser},
    {"/hone.v1.ModelService/CreateModel", kAdmin | kUser},
    {"/hone.v1.ModelService/GetModel", kAdmin | kUser},
    {"/hone.v1.ModelService/ListModels", kAdmin | kUser},
    {"/hone.v1.ModelService/DeleteModel", kAdmin | kUser},
    {"/hone.v1.ModelService/InspectModel", kAdmin | kUser},
    {"/hone.v1.ModuleService/GetModule", kAdmin | kUser},
    {"/hone.v1.ModuleService/ListModules", kAdmin | kUser},
    {"/hone.v1.RecordService/ListRecords", kAdmin | kUser},
    {"/hone.v1.ServerService/GetServerInfo", kAdmin | kUser | kWorker},
    {"/hone.v1.WorkerService/Enrol", kAdmin | kEnrol},
    {"/hone.v1.WorkerService/Synchronize", kWorker},
    {"/hone.v1.WorkerService/ListWorkers", kAdmin | kUser},
    {"/hone.v1.WorkerService/ControlWorker", kAdmin},
};

struct RoleRow {
  Role role;
  std::string_view name;
};
constexpr RoleRow kRoles[] = {
    {Role::kAdmin, "admin"}, {Role::kUser, "user"}, {Role::kWorker, "worker"}, {Role::kEnrol, "enrol"}};

}  // namespace

std::string_view RoleName(Role role) {
  for (const RoleRow& row : kRoles) {
    if (row.role == role) return row.name;
  }
  return "";
}

std::optional<Role> ParseRole(std::string_view name) {
  for (const RoleRow& row : kRoles) {
    if (row.name == name) return row.role;
  }
  return std::nullopt;
}

std::span<const RpcRow> RpcTable() { return kRpcs; }

const RpcRow* FindRpc(std::string_view path) {
  for (const RpcRow& row : kRpcs) {
    if (row.path == path) return &row;
  }
  return nullptr;
}

}  // namespace hone
