#include "absl/strings/str_cat.h"
#include "client/commands/commands.h"
#include "client/commands/listing.h"
#include "client/error.h"
#include "client/resource_name.h"
#include "client/table.h"
#include "client/units.h"

namespace hone {
namespace {

absl::StatusOr<int> PrintUser(const CommandContext& context, const absl::StatusOr<v1::User>& user) {
  const std::string& name = context.arguments.positional(0);
  if (absl::IsAlreadyExists(user.status()))
    return WithRemedy(user.status(), absl::StrCat("hone user update ", name, " changes what they may do"));
  if (absl::IsInvalidArgument(user.status()))
    return WithRemedy(user.status(), "a name has a-z and 0-9; a role is viewer, user, operator or admin");
  if (absl::IsNotFound(user.status())) return WithRemedy(user.status(), "hone user list shows them");
  if (!user.ok()) return user.status();
  if (context.console.json) {
    context.console.PrintJson(MessageJson(*user));
  } else {
    context.console.out << "user " << ShortName(user->name()) << ": " << user->role()
                        << (user->disabled() ? ", disabled" : "") << "\n";
  }
  return kExitOk;
}

}  // namespace

absl::StatusOr<int> RunUserList(const CommandContext& context) {
  auto rows_wanted = ReadRows(context);
  if (!rows_wanted.ok()) return rows_wanted.status();
  auto client = context.connect();
  if (!client.ok()) return client.status();
  auto users =
      FetchRows(*rows_wanted, &v1::ListUsersResponse::users_size,
                [&](int size, const std::string& token) { return (*client)->ListUsers(size, token); });
  if (!users.ok()) return users.status();
  if (context.console.json) {
    context.console.PrintJson(MessageJson(*users));
    return kExitOk;
  }
  std::vector<std::vector<std::string>> rows;
  for (const v1::User& user : users->users()) {
    rows.push_back({ShortName(user.name()), user.role(), user.disabled() ? "disabled" : "active",
                    FormatTime(user.create_time_micros())});
  }
  context.console.out << FormatTable(
      {{"user"}, {"role"}, {"state"}, {"created (UTC)", Align::kLeft, Narrow::kDrop}}, rows,
      context.console.width);
  PrintNextPage(context, users->next_page_token());
  return kExitOk;
}

absl::StatusOr<int> RunUserCreate(const CommandContext& context) {
  auto client = context.connect();
  if (!client.ok()) return client.status();
  v1::CreateUserRequest request;
  request.set_name(FullName("users", context.arguments.positional(0)));
  request.set_role(context.arguments.GetOr("--role", "user"));
  return PrintUser(context, (*client)->CreateUser(request));
}

absl::StatusOr<int> RunUserUpdate(const CommandContext& context) {
  const Arguments& arguments = context.arguments;
  v1::UpdateUserRequest request;
  request.set_name(FullName("users", arguments.positional(0)));
  if (auto role = arguments.Get("--role")) request.set_role(*role);
  if (arguments.Has("--disable")) request.set_disabled(true);
  if (arguments.Has("--enable")) request.set_disabled(false);
  if (arguments.Has("--disable") && arguments.Has("--enable"))
    return UsageError("--disable and --enable exclude each other");
  if (!request.has_role() && !request.has_disabled())
    return UsageError("nothing to change: give --role, --disable or --enable");
  auto client = context.connect();
  if (!client.ok()) return client.status();
  return PrintUser(context, (*client)->UpdateUser(request));
}

}  // namespace hone
