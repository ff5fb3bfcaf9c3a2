// Users and tokens.
#include "absl/strings/str_cat.h"
#include "server/execution/status_macros.h"
#include "server/storage/sqlite_store.h"

namespace hone {
namespace {

constexpr int64_t kExpiredMicros =
    int64_t{30} * 24 * 3600 * 1000000;  // how long expired tokens are remembered

constexpr char kTokenColumns[] =
    "SELECT tokens.number, hash, tokens.role, subject, label, expire_time, tokens.create_time, revoke_time, "
    "IFNULL(users.role, ''), IFNULL(users.disabled, 0), project FROM tokens LEFT JOIN users ON users.id = "
    "subject ";

absl::Status ReadTokens(Query& query, std::vector<TokenRow>& tokens) {
  while (query.Next()) {
    tokens.push_back({.hash = query.Text(1),
                      .role = query.Text(2),
                      .subject = query.Text(3),
                      .label = query.Text(4),
                      .expire_time = query.Int(5),
                      .project = query.Text(10),
                      .number = query.Int(0),
                      .create_time = query.Int(6),
                      .revoke_time = query.Int(7),
                      .user_role = query.Text(8),
                      .user_disabled = query.Int(9) != 0});
  }
  return query.status();
}

absl::StatusOr<TokenRow> ReadToken(Connection& db, const std::string& id) {
  std::vector<TokenRow> tokens;
  Query query(db, absl::StrCat(kTokenColumns, "WHERE substr(hash, 1, 16) = ?"), id);
  HONE_RETURN_IF_ERROR(ReadTokens(query, tokens));
  if (tokens.empty()) return absl::NotFoundError("there is no tokens/" + id);
  return tokens.front();
}

constexpr char kUserColumns[] = "SELECT number, id, role, disabled, create_time FROM users ";

absl::Status ReadUsers(Query& query, std::vector<UserRow>& users) {
  while (query.Next()) {
    users.push_back({query.Int(0), query.Text(1), query.Text(2), query.Int(3) != 0, query.Int(4)});
  }
  return query.status();
}

absl::StatusOr<UserRow> ReadUser(Connection& db, const std::string& id) {
  std::vector<UserRow> users;
  Query query(db, absl::StrCat(kUserColumns, "WHERE id = ?"), id);
  HONE_RETURN_IF_ERROR(ReadUsers(query, users));
  if (users.empty()) return absl::NotFoundError("there is no users/" + id);
  return users.front();
}

}  // namespace

absl::StatusOr<TokenRow> SqliteStore::PutToken(const TokenRow& token) {
  TokenRow put;
  HONE_RETURN_IF_ERROR(writer_.Run([&](Connection& db) -> absl::Status {
    HONE_RETURN_IF_ERROR(
        Query(db, "DELETE FROM tokens WHERE expire_time > 0 AND expire_time < ?", Now() - kExpiredMicros)
            .Run());
    HONE_RETURN_IF_ERROR(
        Query(db,
              "INSERT INTO tokens(hash, role, subject, label, expire_time, project, create_time) "
              "SELECT ?, ?, ?, ?, ?, id, ? FROM projects WHERE id = ? ON CONFLICT(hash) DO NOTHING",
              token.hash, token.role, token.subject, token.label, token.expire_time, Now(), token.project)
            .Run());
    if (db.Changes() == 0 && !ReadToken(db, token.Id()).ok())
      return absl::NotFoundError("there is no projects/" + token.project);
    HONE_ASSIGN_OR_RETURN(put, ReadToken(db, token.Id()));
    return absl::OkStatus();
  }));
  return put;
}

absl::StatusOr<std::vector<TokenRow>> SqliteStore::ListTokens(const Page& page) {
  std::vector<TokenRow> tokens;
  HONE_RETURN_IF_ERROR(readers_.Run([&](Connection& db) {
    Query query(db, absl::StrCat(kTokenColumns, "WHERE tokens.number > ? ORDER BY tokens.number LIMIT ?"),
                page.after, page.limit);
    return ReadTokens(query, tokens);
  }));
  return tokens;
}

absl::StatusOr<TokenRow> SqliteStore::RevokeToken(const std::string& id) {
  TokenRow revoked;
  HONE_RETURN_IF_ERROR(writer_.Run([&](Connection& db) -> absl::Status {
    HONE_RETURN_IF_ERROR(
        Query(db, "UPDATE tokens SET revoke_time = ? WHERE substr(hash, 1, 16) = ? AND revoke_time = 0",
              Now(), id)
            .Run());
    HONE_ASSIGN_OR_RETURN(revoked, ReadToken(db, id));
    return absl::OkStatus();
  }));
  return revoked;
}

absl::StatusOr<UserRow> SqliteStore::CreateUser(const UserRow& user) {
  UserRow created;
  HONE_RETURN_IF_ERROR(writer_.Run([&](Connection& db) -> absl::Status {
    HONE_RETURN_IF_ERROR(Query(db,
                               "INSERT INTO users(id, role, create_time) VALUES(?, ?, ?) "
                               "ON CONFLICT(id) DO NOTHING",
                               user.id, user.role, Now())
                             .Run());
    if (db.Changes() == 0)
      return absl::AlreadyExistsError(absl::StrCat("there is a users/", user.id, " already"));
    HONE_ASSIGN_OR_RETURN(created, ReadUser(db, user.id));
    return absl::OkStatus();
  }));
  return created;
}

absl::StatusOr<UserRow> SqliteStore::GetUser(const std::string& id) {
  UserRow user;
  HONE_RETURN_IF_ERROR(readers_.Run([&](Connection& db) -> absl::Status {
    HONE_ASSIGN_OR_RETURN(user, ReadUser(db, id));
    return absl::OkStatus();
  }));
  return user;
}

absl::StatusOr<std::vector<UserRow>> SqliteStore::ListUsers(const Page& page) {
  std::vector<UserRow> users;
  HONE_RETURN_IF_ERROR(readers_.Run([&](Connection& db) {
    Query query(db, absl::StrCat(kUserColumns, "WHERE number > ? ORDER BY number LIMIT ?"), page.after,
                page.limit);
    return ReadUsers(query, users);
  }));
  return users;
}

absl::StatusOr<UserRow> SqliteStore::UpdateUser(const std::string& id, const std::optional<std::string>& role,
                                                const std::optional<bool>& disabled) {
  UserRow updated;
  HONE_RETURN_IF_ERROR(writer_.Run([&](Connection& db) -> absl::Status {
    HONE_RETURN_IF_ERROR(
        Query(db, "UPDATE users SET role = IFNULL(?, role), disabled = IFNULL(?, disabled) WHERE id = ?",
              role, disabled, id)
            .Run());
    HONE_ASSIGN_OR_RETURN(updated, ReadUser(db, id));
    return absl::OkStatus();
  }));
  return updated;
}

}  // namespace hone
