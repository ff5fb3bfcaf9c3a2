#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/commands/commands.h"
#include "client/commands/listing.h"
#include "client/error.h"
#include "client/resource_name.h"
#include "client/table.h"
#include "client/units.h"

namespace hone {
namespace {

struct Quotas {
  std::optional<uint64_t> jobs, bytes;
  std::optional<double> minutes;
};

// "none" is no limit, which the server calls 0.
absl::StatusOr<Quotas> ReadQuotas(const Arguments& arguments) {
  Quotas quotas;
  if (auto text = arguments.Get("--jobs")) {
    auto jobs = ParseWhole(*text == "none" ? "0" : *text, 0, UINT32_MAX);
    if (!jobs.ok()) return jobs.status();
    quotas.jobs = *jobs;
  }
  if (auto text = arguments.Get("--storage")) {
    auto bytes = ParseBytes(*text == "none" ? "0" : *text);
    if (!bytes.ok()) return bytes.status();
    quotas.bytes = *bytes;
  }
  if (auto text = arguments.Get("--device-time")) {
    auto seconds = *text == "none" ? absl::StatusOr<double>(0.0) : ParseDuration(*text);
    if (!seconds.ok()) return seconds.status();
    quotas.minutes = *seconds / 60;
  }
  return quotas;
}

std::string OfLimit(const std::string& used, const std::string& limit) {
  return limit.empty() ? used : absl::StrCat(used, " of ", limit);
}

std::string Jobs(const v1::Project& project) {
  return OfLimit(absl::StrCat(project.usage().unfinished_jobs()),
                 project.max_jobs() == 0 ? "" : absl::StrCat(project.max_jobs()));
}
std::string Storage(const v1::Project& project) {
  return OfLimit(FormatBytes(project.usage().storage_bytes()),
                 project.max_storage_bytes() == 0 ? "" : FormatBytes(project.max_storage_bytes()));
}
std::string DeviceTime(const v1::Project& project) {
  return OfLimit(FormatDuration(project.usage().device_minutes() * 60),
                 project.max_device_minutes() == 0 ? "" : FormatDuration(project.max_device_minutes() * 60));
}

absl::StatusOr<int> PrintProject(const CommandContext& context, const absl::StatusOr<v1::Project>& project) {
  if (absl::IsInvalidArgument(project.status()))
    return WithRemedy(project.status(), "a name has a-z and 0-9; --help shows how quotas are written");
  if (absl::IsNotFound(project.status())) return WithRemedy(project.status(), "hone project list shows them");
  if (!project.ok()) return project.status();
  if (context.console.json) {
    context.console.PrintJson(MessageJson(*project));
    return kExitOk;
  }
  const std::vector<std::pair<std::string, std::string>> fields = {
      {"project", ShortName(project->name())},
      {"created", FormatTime(project->create_time_micros())},
      {"unfinished jobs", Jobs(*project)},
      {"storage", Storage(*project)},
      {"device time", DeviceTime(*project)}};
  context.console.out << FormatFields(fields, context.console.width);
  return kExitOk;
}

}  // namespace

absl::StatusOr<int> RunProjectCreate(const CommandContext& context) {
  auto quotas = ReadQuotas(context.arguments);
  if (!quotas.ok()) return quotas.status();
  auto client = context.connect();
  if (!client.ok()) return client.status();
  v1::CreateProjectRequest request;
  request.set_name(FullName("projects", context.arguments.positional(0)));
  request.set_max_jobs(static_cast<uint32_t>(quotas->jobs.value_or(0)));
  request.set_max_storage_bytes(quotas->bytes.value_or(0));
  request.set_max_device_minutes(quotas->minutes.value_or(0));
  return PrintProject(context, (*client)->CreateProject(request));
}

absl::StatusOr<int> RunProjectSetQuota(const CommandContext& context) {
  auto quotas = ReadQuotas(context.arguments);
  if (!quotas.ok()) return quotas.status();
  v1::UpdateProjectRequest request;
  request.set_name(FullName("projects", context.arguments.positional(0)));
  if (quotas->jobs) request.set_max_jobs(static_cast<uint32_t>(*quotas->jobs));
  if (quotas->bytes) request.set_max_storage_bytes(*quotas->bytes);
  if (quotas->minutes) request.set_max_device_minutes(*quotas->minutes);
  if (!quotas->jobs && !quotas->bytes && !quotas->minutes)
    return UsageError("nothing to set: give --jobs, --storage or --device-time");
  auto client = context.connect();
  if (!client.ok()) return client.status();
  return PrintProject(context, (*client)->UpdateProject(request));
}

absl::StatusOr<int> RunProjectShow(const CommandContext& context) {
  auto client = context.connect();
  if (!client.ok()) return client.status();
  v1::ListProjectsRequest request;
  request.set_project(FullName("projects", context.arguments.positional(0)));
  auto projects = (*client)->ListProjects(request);
  if (!projects.ok()) return PrintProject(context, projects.status());
  return PrintProject(context, projects->projects(0));
}

// Also `project usage`, which may ask for another month.
absl::StatusOr<int> RunProjectList(const CommandContext& context) {
  auto rows_wanted = ReadRows(context);
  if (!rows_wanted.ok()) return rows_wanted.status();
  auto client = context.connect();
  if (!client.ok()) return client.status();
  v1::ListProjectsRequest request;
  request.set_month(context.arguments.GetOr("--month", ""));
  auto projects = FetchRows(*rows_wanted, &v1::ListProjectsResponse::projects_size,
                            [&](int size, const std::string& token) {
                              request.set_page_size(size);
                              request.set_page_token(token);
                              return (*client)->ListProjects(request);
                            });
  if (!projects.ok()) return projects.status();
  if (context.console.json) {
    context.console.PrintJson(MessageJson(*projects));
    return kExitOk;
  }
  std::vector<std::vector<std::string>> rows;
  for (const v1::Project& project : projects->projects()) {
    rows.push_back({ShortName(project.name()), Jobs(project), Storage(project),
                    absl::StrCat(project.usage().jobs()), absl::StrCat(project.usage().trials()),
                    DeviceTime(project)});
  }
  context.console.out << FormatTable({{"project", Align::kLeft, Narrow::kShrink},
                                      {"unfinished jobs", Align::kRight},
                                      {"storage", Align::kRight},
                                      {"jobs", Align::kRight, Narrow::kDrop},
                                      {"trials", Align::kRight, Narrow::kDrop},
                                      {"device time", Align::kRight}},
                                     rows, context.console.width);
  PrintNextPage(context, projects->next_page_token());
  return kExitOk;
}

}  // namespace hone
