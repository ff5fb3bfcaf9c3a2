#include "client/resource_name.h"

#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/error.h"
#include "client/progress.h"

namespace hone {
namespace {

constexpr absl::Duration kPoll = absl::Seconds(20);

// The one item whose name begins with `prefix`.
template <typename Item, typename Items>
absl::StatusOr<Item> OnlyMatch(const Items& items, const std::string& prefix, const char* noun,
                               const char* lister) {
  const Item* found = nullptr;
  for (const Item& item : items) {
    if (!absl::StartsWith(item.name(), prefix)) continue;
    if (found != nullptr) {
      return WithRemedy(absl::InvalidArgumentError(absl::StrCat("'", prefix, "' begins several names, ",
                                                                found->name(), " and ", item.name())),
                        "give more letters");
    }
    found = &item;
  }
  if (found == nullptr)
    return WithRemedy(absl::NotFoundError(absl::StrCat("there is no ", noun, " ", prefix)), lister);
  return *found;
}

}  // namespace

std::string FullName(absl::string_view collection, absl::string_view text) {
  return absl::StartsWith(text, absl::StrCat(collection, "/")) ? std::string(text)
                                                               : absl::StrCat(collection, "/", text);
}

std::string ShortName(absl::string_view name) {
  const size_t slash = name.rfind('/');
  return std::string(slash == absl::string_view::npos ? name : name.substr(slash + 1));
}

absl::StatusOr<v1::Job> ResolveJob(HoneClient& client, absl::string_view text) {
  const std::string name = FullName("jobs", text);
  auto job = client.GetJob(name);
  if (!absl::IsNotFound(job.status()) && !absl::IsInvalidArgument(job.status())) return job;
  auto jobs = FetchRows(Rows(), &v1::ListJobsResponse::jobs_size,
                        [&](int size, const std::string& token) { return client.ListJobs(size, token); });
  if (!jobs.ok()) return jobs.status();
  return OnlyMatch<v1::Job>(jobs->jobs(), name, "job", "hone job list shows the jobs");
}

absl::StatusOr<v1::Module> ResolveModule(HoneClient& client, absl::string_view text) {
  if (!absl::StartsWith(text, "jobs/")) {
    auto module = client.GetModule(FullName("modules", text));
    if (module.ok() || absl::StartsWith(text, "modules/")) return module;
    if (!absl::IsNotFound(module.status()) && !absl::IsInvalidArgument(module.status())) return module;
  }
  auto job = ResolveJob(client, text);
  while (job.ok() && job->state() == v1::JOB_STATE_CANCELLED && !HasEnded(*job)) {
    job = client.WatchJob(job->name(), job->revision(), kPoll);
  }
  if (!job.ok()) return job.status();
  if (!job->module().empty()) return client.GetModule(job->module());
  const std::string id = ShortName(job->name());
  absl::Status none = absl::FailedPreconditionError(
      absl::StrCat("job ", id, " (", JobStateName(job->state()), ") has no module",
                   job->error().empty() ? "" : ": ", job->error()));
  return WithRemedy(none, HasEnded(*job) ? absl::StrCat("let it go on: hone job resume ", id)
                                         : absl::StrCat("wait for it: hone job watch ", id,
                                                        "; or take the best so far: hone job cancel ", id));
}

absl::StatusOr<v1::Model> ResolveModel(HoneClient& client, absl::string_view text) {
  auto models = FetchRows(Rows(), &v1::ListModelsResponse::models_size,
                          [&](int size, const std::string& token) { return client.ListModels(size, token); });
  if (!models.ok()) return models.status();
  return OnlyMatch<v1::Model>(models->models(), FullName("models", text), "model",
                              "hone model list shows the models");
}

absl::StatusOr<v1::Worker> ResolveWorker(HoneClient& client, absl::string_view text) {
  auto workers =
      FetchRows(Rows(), &v1::ListWorkersResponse::workers_size,
                [&](int size, const std::string& token) { return client.ListWorkers(size, token); });
  if (!workers.ok()) return workers.status();
  return OnlyMatch<v1::Worker>(workers->workers(), FullName("workers", text), "worker",
                               "hone worker list shows the workers");
}

absl::StatusOr<v1::Token> ResolveToken(HoneClient& client, absl::string_view text) {
  auto tokens = FetchRows(Rows(), &v1::ListTokensResponse::tokens_size,
                          [&](int size, const std::string& token) { return client.ListTokens(size, token); });
  if (!tokens.ok()) return tokens.status();
  return OnlyMatch<v1::Token>(tokens->tokens(), FullName("tokens", text), "token",
                              "hone token list shows the tokens");
}

}  // namespace hone
