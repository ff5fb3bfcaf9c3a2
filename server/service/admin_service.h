#pragma once

#include "hone/v1/admin.grpc.pb.h"
#include "server/service/service_context.h"

namespace hone {

class AdminService final : public v1::AdminService::CallbackService {
 public:
  explicit AdminService(ServiceContext& context) : context_(context) {}
  grpc::ServerUnaryReactor* CreateUser(grpc::CallbackServerContext*, const v1::CreateUserRequest*,
                                       v1::User*) override;
  grpc::ServerUnaryReactor* ListUsers(grpc::CallbackServerContext*, const v1::ListUsersRequest*,
                                      v1::ListUsersResponse*) override;
  grpc::ServerUnaryReactor* UpdateUser(grpc::CallbackServerContext*, const v1::UpdateUserRequest*,
                                       v1::User*) override;
  grpc::ServerUnaryReactor* CreateProject(grpc::CallbackServerContext*, const v1::CreateProjectRequest*,
                                          v1::Project*) override;
  grpc::ServerUnaryReactor* ListProjects(grpc::CallbackServerContext*, const v1::ListProjectsRequest*,
                                         v1::ListProjectsResponse*) override;
  grpc::ServerUnaryReactor* UpdateProject(grpc::CallbackServerContext*, const v1::UpdateProjectRequest*,
                                          v1::Project*) override;
  grpc::ServerUnaryReactor* CreateToken(grpc::CallbackServerContext*, const v1::CreateTokenRequest*,
                                        v1::CreateTokenResponse*) override;
  grpc::ServerUnaryReactor* CreateEnrolToken(grpc::CallbackServerContext*, const v1::CreateEnrolTokenRequest*,
                                             v1::CreateTokenResponse*) override;
  grpc::ServerUnaryReactor* ListTokens(grpc::CallbackServerContext*, const v1::ListTokensRequest*,
                                       v1::ListTokensResponse*) override;
  grpc::ServerUnaryReactor* RevokeToken(grpc::CallbackServerContext*, const v1::RevokeTokenRequest*,
                                        v1::Token*) override;
  grpc::ServerUnaryReactor* CreateBackup(grpc::CallbackServerContext*, const v1::CreateBackupRequest*,
                                         v1::Backup*) override;

 private:
  ServiceContext& context_;
};

}  // namespace hone
