#include "server/service/admin_service.h"

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/auth/secrets.h"
#include "server/execution/log.h"
#include "server/execution/status_macros.h"
#include "server/service/paging.h"
#include "server/service/resource_names.h"
#include "server/service/unary_call.h"

namespace hone {
namespace {

constexpr double kMaxLifetimeSeconds = 10.0 * 365 * 24 * 3600;
constexpr double kEnrolLifetimeSeconds = 3600;
constexpr double kMaxDeviceMinutes = 1e9;

v1::User UserMessage(const UserRow& row) {
  v1::User user;
  user.set_name("users/" + row.id);
  user.set_role(row.role);
  user.set_disabled(row.disabled);
  user.set_create_time_micros(row.create_time);
  return user;
}

v1::Project ProjectMessage(const ProjectRow& row) {
  v1::Project project;
  project.set_name("projects/" + row.id);
  project.set_max_jobs(row.max_jobs);
  project.set_max_storage_bytes(row.max_storage_bytes);
  project.set_max_device_minutes(row.max_device_minutes);
  project.set_create_time_micros(row.create_time);
  v1::ProjectUsage& usage = *project.mutable_usage();
  usage.set_unfinished_jobs(row.unfinished_jobs);
  usage.set_storage_bytes(row.storage_bytes);
  usage.set_jobs(row.jobs);
  usage.set_trials(row.trials);
  usage.set_device_minutes(row.device_minutes);
  return project;
}

absl::Status CheckMinutes(double minutes) {
  if (minutes >= 0 && minutes <= kMaxDeviceMinutes) return absl::OkStatus();
  return absl::InvalidArgumentError("max_device_minutes must be from 0 (no limit) to a billion");
}

absl::Status CheckBytes(uint64_t bytes) {
  if (bytes <= uint64_t{INT64_MAX}) return absl::OkStatus();
  return absl::InvalidArgumentError("max_storage_bytes must be from 0 (no limit) to 2^63 - 1");
}

std::string StateOf(const TokenRow& row) {
  if (row.revoke_time != 0) return "revoked";
  if (row.expire_time != 0 && absl::ToUnixMicros(absl::Now()) >= row.expire_time) return "expired";
  return row.user_disabled ? "disabled" : "active";
}

v1::Token TokenMessage(const TokenRow& row) {
  v1::Token token;
  token.set_name("tokens/" + row.Id());
  token.set_role(row.role);
  token.set_subject(row.IsOfWorker() ? row.subject : "users/" + row.subject);
  token.set_project("projects/" + row.project);
  token.set_label(row.label);
  token.set_state(StateOf(row));
  token.set_create_time_micros(row.create_time);
  token.set_expire_time_micros(row.expire_time);
  return token;
}

absl::StatusOr<Role> RoleOfPeople(const std::string& name) {
  const std::optional<Role> role = ParseRole(name);
  if (role && IsOfPeople(*role)) return *role;
  return absl::InvalidArgumentError("the role must be viewer, user, operator or admin");
}

// Makes a token of this role, subject and label.
absl::Status MakeToken(ServiceContext& context, TokenRow row, double lifetime_seconds,
                       v1::CreateTokenResponse& response) {
  if (!(lifetime_seconds >= 0 && lifetime_seconds <= kMaxLifetimeSeconds)) {
    return absl::InvalidArgumentError("lifetime_seconds must be from 0 (for ever) to ten years");
  }
  if (!row.label.empty()) HONE_RETURN_IF_ERROR(CheckDisplayName(row.label));
  if (lifetime_seconds > 0)
    row.expire_time = absl::ToUnixMicros(absl::Now() + absl::Seconds(lifetime_seconds));
  const std::string secret = RandomHex(32);
  row.hash = HashToken(secret);
  HONE_ASSIGN_OR_RETURN(row, context.store.PutToken(row));
  LogEvent("token_created", {{"token", row.Id()}, {"role", row.role}, {"subject", row.subject}});
  *response.mutable_token() = TokenMessage(row);
  response.set_secret(secret);
  return context.tokens.Reload();
}

}  // namespace

grpc::ServerUnaryReactor* AdminService::CreateUser(grpc::CallbackServerContext* call,
                                                   const v1::CreateUserRequest* request, v1::User* response) {
  return RunUnary(context_.executor, context_.tokens, call, [=, this](const Principal&) -> absl::Status {
    HONE_ASSIGN_OR_RETURN(const std::string id, IdIn("users", request->name()));
    HONE_RETURN_IF_ERROR(RoleOfPeople(request->role()).status());
    HONE_ASSIGN_OR_RETURN(const UserRow user, context_.store.CreateUser({.id = id, .role = request->role()}));
    *response = UserMessage(user);
    return context_.tokens.Reload();
  });
}

grpc::ServerUnaryReactor* AdminService::ListUsers(grpc::CallbackServerContext* call,
                                                  const v1::ListUsersRequest* request,
                                                  v1::ListUsersResponse* response) {
  return RunUnary(context_.executor, context_.tokens, call, [=, this](const Principal&) -> absl::Status {
    HONE_ASSIGN_OR_RETURN(Page page, ParsePage(request->page_size(), request->page_token(), "users"));
    HONE_ASSIGN_OR_RETURN(std::vector<UserRow> rows, context_.store.ListUsers({page.after, page.limit + 1}));
    response->set_next_page_token(
        FinishPage(rows, page.limit, "users", [](const UserRow& row) { return row.number; }));
    for (const UserRow& row : rows) *response->add_users() = UserMessage(row);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* AdminService::UpdateUser(grpc::CallbackServerContext* call,
                                                   const v1::UpdateUserRequest* request, v1::User* response) {
  return RunUnary(context_.executor, context_.tokens, call, [=, this](const Principal&) -> absl::Status {
    HONE_ASSIGN_OR_RETURN(const std::string id, IdIn("users", request->name()));
    std::optional<std::string> role;
    std::optional<bool> disabled;
    if (request->has_role()) {
      HONE_RETURN_IF_ERROR(RoleOfPeople(request->role()).status());
      role = request->role();
    }
    if (request->has_disabled()) disabled = request->disabled();
    if (id == kOwner && (disabled.value_or(false) || role.value_or("admin") != "admin")) {
      return absl::FailedPreconditionError(
          "users/owner, whose token lies in the server's folder, stays an admin");
    }
    HONE_ASSIGN_OR_RETURN(const UserRow user, context_.store.UpdateUser(id, role, disabled));
    *response = UserMessage(user);
    return context_.tokens.Reload();
  });
}

grpc::ServerUnaryReactor* AdminService::CreateProject(grpc::CallbackServerContext* call,
                                                      const v1::CreateProjectRequest* request,
                                                      v1::Project* response) {
  return RunUnary(context_.executor, context_.tokens, call, [=, this](const Principal&) -> absl::Status {
    HONE_ASSIGN_OR_RETURN(const std::string id, IdIn("projects", request->name()));
    HONE_RETURN_IF_ERROR(CheckMinutes(request->max_device_minutes()));
    HONE_RETURN_IF_ERROR(CheckBytes(request->max_storage_bytes()));
    HONE_ASSIGN_OR_RETURN(
        const ProjectRow project,
        context_.store.CreateProject({.id = id,
                                      .max_jobs = request->max_jobs(),
                                      .max_storage_bytes = request->max_storage_bytes(),
                                      .max_device_minutes = request->max_device_minutes()}));
    *response = ProjectMessage(project);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* AdminService::ListProjects(grpc::CallbackServerContext* call,
                                                     const v1::ListProjectsRequest* request,
                                                     v1::ListProjectsResponse* response) {
  return RunUnary(
      context_.executor, context_.tokens, call, [=, this](const Principal& principal) -> absl::Status {
        std::string id = principal.role == Role::kAdmin ? "" : principal.project;
        if (!request->project().empty()) {
          HONE_ASSIGN_OR_RETURN(const std::string asked, IdIn("projects", request->project()));
          if (!id.empty() && asked != id) return absl::NotFoundError("there is no " + request->project());
          id = asked;
        }
        const std::string query = absl::StrCat("projects ", id, " ", request->month());
        HONE_ASSIGN_OR_RETURN(Page page, ParsePage(request->page_size(), request->page_token(), query));
        HONE_ASSIGN_OR_RETURN(
            std::vector<ProjectRow> rows,
            context_.store.ListProjects(id, request->month(), {page.after, page.limit + 1}));
        response->set_next_page_token(
            FinishPage(rows, page.limit, query, [](const ProjectRow& row) { return row.number; }));
        for (const ProjectRow& row : rows) *response->add_projects() = ProjectMessage(row);
        if (rows.empty() && !request->project().empty())
          return absl::NotFoundError("there is no " + request->project());
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* AdminService::UpdateProject(grpc::CallbackServerContext* call,
                                                      const v1::UpdateProjectRequest* request,
                                                      v1::Project* response) {
  return RunUnary(context_.executor, context_.tokens, call, [=, this](const Principal&) -> absl::Status {
    HONE_ASSIGN_OR_RETURN(const std::string id, IdIn("projects", request->name()));
    HONE_RETURN_IF_ERROR(CheckMinutes(request->max_device_minutes()));
    HONE_RETURN_IF_ERROR(CheckBytes(request->max_storage_bytes()));
    ProjectQuotas quotas;
    if (request->has_max_jobs()) quotas.max_jobs = request->max_jobs();
    if (request->has_max_storage_bytes()) quotas.max_storage_bytes = request->max_storage_bytes();
    if (request->has_max_device_minutes()) quotas.max_device_minutes = request->max_device_minutes();
    HONE_ASSIGN_OR_RETURN(const ProjectRow project, context_.store.UpdateProject(id, quotas));
    *response = ProjectMessage(project);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* AdminService::CreateToken(grpc::CallbackServerContext* call,
                                                    const v1::CreateTokenRequest* request,
                                                    v1::CreateTokenResponse* response) {
  return RunUnary(context_.executor, context_.tokens, call, [=, this](const Principal&) -> absl::Status {
    HONE_ASSIGN_OR_RETURN(const std::string id, IdIn("users", request->user()));
    HONE_ASSIGN_OR_RETURN(const UserRow user, context_.store.GetUser(id));
    const std::string role = request->role().empty() ? user.role : request->role();
    HONE_ASSIGN_OR_RETURN(const Role most, RoleOfPeople(user.role));
    HONE_ASSIGN_OR_RETURN(const Role wanted, RoleOfPeople(role));
    if (wanted > most) {
      return absl::InvalidArgumentError(
          absl::StrCat("a token of users/", id, " may have at most the role ", user.role));
    }
    TokenRow token{.hash = "", .role = role, .subject = id, .label = request->label()};
    if (!request->project().empty()) {
      HONE_ASSIGN_OR_RETURN(token.project, IdIn("projects", request->project()));
    }
    return MakeToken(context_, token, request->lifetime_seconds(), *response);
  });
}

grpc::ServerUnaryReactor* AdminService::CreateEnrolToken(grpc::CallbackServerContext* call,
                                                         const v1::CreateEnrolTokenRequest* request,
                                                         v1::CreateTokenResponse* response) {
  return RunUnary(
      context_.executor, context_.tokens, call, [=, this](const Principal& principal) -> absl::Status {
        const double lifetime = request->lifetime_seconds();
        return MakeToken(context_,
                         {"", std::string(RoleName(Role::kEnrol)), principal.subject, request->label()},
                         lifetime == 0 ? kEnrolLifetimeSeconds : lifetime, *response);
      });
}

grpc::ServerUnaryReactor* AdminService::ListTokens(grpc::CallbackServerContext* call,
                                                   const v1::ListTokensRequest* request,
                                                   v1::ListTokensResponse* response) {
  return RunUnary(context_.executor, context_.tokens, call, [=, this](const Principal&) -> absl::Status {
    HONE_ASSIGN_OR_RETURN(Page page, ParsePage(request->page_size(), request->page_token(), "tokens"));
    HONE_ASSIGN_OR_RETURN(std::vector<TokenRow> rows,
                          context_.store.ListTokens({page.after, page.limit + 1}));
    response->set_next_page_token(
        FinishPage(rows, page.limit, "tokens", [](const TokenRow& row) { return row.number; }));
    for (const TokenRow& row : rows) *response->add_tokens() = TokenMessage(row);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* AdminService::RevokeToken(grpc::CallbackServerContext* call,
                                                    const v1::RevokeTokenRequest* request,
                                                    v1::Token* response) {
  return RunUnary(context_.executor, context_.tokens, call,
                  [=, this](const Principal& principal) -> absl::Status {
                    HONE_ASSIGN_OR_RETURN(const std::string id, IdIn("tokens", request->name()));
                    HONE_ASSIGN_OR_RETURN(const TokenRow token, context_.store.RevokeToken(id));
                    LogEvent("token_revoked", {{"token", id}});
                    *response = TokenMessage(token);
                    return context_.tokens.Reload();
                  });
}

grpc::ServerUnaryReactor* AdminService::CreateBackup(grpc::CallbackServerContext* call,
                                                     const v1::CreateBackupRequest*, v1::Backup* response) {
  return RunUnary(context_.backups, context_.tokens, call,
                  [=, this](const Principal& principal) -> absl::Status {
                    HONE_ASSIGN_OR_RETURN(*response, context_.back_up());
                    LogEvent("backup_made", {{"path", response->path()},
                                             {"bytes", absl::StrCat(response->bytes())},
                                             {"seconds", absl::StrCat(response->seconds())}});
                    return absl::OkStatus();
                  });
}

}  // namespace hone
