#include "server/auth/role_table.h"

namespace hone {
namespace {

constexpr unsigned kWorker = static_cast<unsigned>(Role::kWorker);
constexpr unsigned kEnrol = static_cast<unsigned>(Role::kEnrol);
// A role of people may do what those below it may.
constexpr unsigned kAdmin = static_cast<unsigned>(Role::kAdmin);
constexpr unsigned kOperator = kAdmin | static_cast<unsigned>(Role::kOperator);
constexpr unsigned kUser = kOperator | static_cast<unsigned>(Role::kUser);
constexpr unsigned kViewer = kUser | static_cast<unsigned>(Role::kViewer);

constexpr RpcRow kRpcs[] = {
    {"/hone.v1.AdminService/CreateUser", kAdmin},
    {"/hone.v1.AdminService/ListUsers", kAdmin},
    {"/hone.v1.AdminService/UpdateUser", kAdmin},
    {"/hone.v1.AdminService/CreateToken", kAdmin},
    {"/hone.v1.AdminService/CreateEnrolToken", kOperator},
    {"/hone.v1.AdminService/ListTokens", kAdmin},
    {"/hone.v1.AdminService/RevokeToken", kAdmin},
    {"/hone.v1.BlobService/QueryBlob", kViewer},
    {"/hone.v1.BlobService/UploadBlob", kUser},
    {"/hone.v1.BlobService/DownloadBlob", kViewer | kWorker},
    {"/hone.v1.JobService/CreateJob", kUser},
    {"/hone.v1.JobService/GetJob", kViewer},
    {"/hone.v1.JobService/ListJobs", kViewer},
    {"/hone.v1.JobService/WatchJob", kViewer},
    {"/hone.v1.JobService/CancelJob", kUser},
    {"/hone.v1.JobService/DeleteJob", kUser},
    {"/hone.v1.ModelService/CreateModel", kUser},
    {"/hone.v1.ModelService/GetModel", kViewer},
    {"/hone.v1.ModelService/ListModels", kViewer},
    {"/hone.v1.ModelService/DeleteModel", kUser},
    {"/hone.v1.ModelService/InspectModel", kUser},
    {"/hone.v1.ModuleService/GetModule", kViewer},
    {"/hone.v1.ModuleService/ListModules", kViewer},
    {"/hone.v1.RecordService/ListRecords", kViewer},
    {"/hone.v1.ServerService/GetServerInfo", kViewer | kWorker},
    {"/hone.v1.WorkerService/Enrol", kOperator | kEnrol},
    {"/hone.v1.WorkerService/Synchronize", kWorker},
    {"/hone.v1.WorkerService/ListWorkers", kViewer},
    {"/hone.v1.WorkerService/ControlWorker", kOperator},
};

struct RoleRow {
  Role role;
  std::string_view name;
};
constexpr RoleRow kRoles[] = {{Role::kViewer, "viewer"},     {Role::kUser, "user"},
                              {Role::kOperator, "operator"}, {Role::kAdmin, "admin"},
                              {Role::kWorker, "worker"},     {Role::kEnrol, "enrol"}};

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
