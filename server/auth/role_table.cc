#include "server/auth/role_table.h"

namespace hone {
namespace {

constexpr unsigned kWorker = static_cast<unsigned>(Role::kWorker);
constexpr unsigned kEnrol = static_cast<unsigned>(Role::kEnrol);
constexpr unsigned kLapsed = static_cast<unsigned>(Role::kLapsed);
// A role of people may do what those below it may.
constexpr unsigned kAdmin = static_cast<unsigned>(Role::kAdmin);
constexpr unsigned kOperator = kAdmin | static_cast<unsigned>(Role::kOperator);
constexpr unsigned kUser = kOperator | static_cast<unsigned>(Role::kUser);
constexpr unsigned kViewer = kUser | static_cast<unsigned>(Role::kViewer);

constexpr RpcRow kRpcs[] = {
    {"/hone.v1.AdminService/CreateUser", kAdmin, Scope::kServer},
    {"/hone.v1.AdminService/ListUsers", kAdmin, Scope::kServer},
    {"/hone.v1.AdminService/UpdateUser", kAdmin, Scope::kServer},
    {"/hone.v1.AdminService/CreateToken", kAdmin, Scope::kServer},
    {"/hone.v1.AdminService/CreateEnrolToken", kOperator, Scope::kServer},
    {"/hone.v1.AdminService/ListTokens", kAdmin, Scope::kServer},
    {"/hone.v1.AdminService/RevokeToken", kAdmin, Scope::kServer},
    {"/hone.v1.AdminService/CreateBackup", kAdmin, Scope::kServer},
    {"/hone.v1.AdminService/CreateProject", kAdmin, Scope::kServer},
    {"/hone.v1.AdminService/ListProjects", kViewer, Scope::kOwn},
    {"/hone.v1.AdminService/UpdateProject", kAdmin, Scope::kServer},
    {"/hone.v1.BlobService/QueryBlob", kViewer, Scope::kOwn},
    {"/hone.v1.BlobService/UploadBlob", kUser, Scope::kOwn},
    {"/hone.v1.BlobService/DownloadBlob", kViewer | kWorker, Scope::kNamed},
    {"/hone.v1.JobService/CreateJob", kUser, Scope::kNamed},
    {"/hone.v1.JobService/GetJob", kViewer, Scope::kNamed},
    {"/hone.v1.JobService/ListJobs", kViewer, Scope::kOwn},
    {"/hone.v1.JobService/WatchJob", kViewer, Scope::kNamed},
    {"/hone.v1.JobService/CancelJob", kUser, Scope::kNamed},
    {"/hone.v1.JobService/ResumeJob", kUser, Scope::kNamed},
    {"/hone.v1.JobService/DeleteJob", kUser, Scope::kNamed},
    {"/hone.v1.ModelService/CreateModel", kUser, Scope::kOwn},
    {"/hone.v1.ModelService/GetModel", kViewer, Scope::kNamed},
    {"/hone.v1.ModelService/ListModels", kViewer, Scope::kOwn},
    {"/hone.v1.ModelService/DeleteModel", kUser, Scope::kNamed},
    {"/hone.v1.ModelService/InspectModel", kUser, Scope::kNamed},
    {"/hone.v1.ModuleService/GetModule", kViewer, Scope::kNamed},
    {"/hone.v1.ModuleService/ListModules", kViewer, Scope::kOwn},
    {"/hone.v1.RecordService/ListRecords", kViewer, Scope::kOwn},
    {"/hone.v1.RecordService/ExplainRecord", kViewer, Scope::kNamed},
    {"/hone.v1.ServerService/GetServerInfo", kViewer | kWorker, Scope::kServer},
    {"/hone.v1.WorkerService/Enrol", kOperator | kEnrol, Scope::kServer},
    {"/hone.v1.WorkerService/RenewCertificate", kWorker | kLapsed, Scope::kServer},
    {"/hone.v1.WorkerService/Synchronize", kWorker, Scope::kServer},
    {"/hone.v1.WorkerService/ListWorkers", kViewer, Scope::kServer},
    {"/hone.v1.WorkerService/ControlWorker", kOperator, Scope::kServer},
};

struct RoleRow {
  Role role;
  std::string_view name;
};
constexpr RoleRow kRoles[] = {{Role::kViewer, "viewer"},     {Role::kUser, "user"},
                              {Role::kOperator, "operator"}, {Role::kAdmin, "admin"},
                              {Role::kWorker, "worker"},     {Role::kEnrol, "enrol"},
                              {Role::kLapsed, "lapsed"}};

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
