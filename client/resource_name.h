#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/hone_client.h"

namespace hone {

// "jobs/7f3a91" -> "7f3a91".
std::string ShortName(absl::string_view name);

// "7f3a91" -> "jobs/7f3a91"; a full name stays.
std::string FullName(absl::string_view collection, absl::string_view text);

// The job that `text` means: a name, an id, or the beginning of exactly one id.
absl::StatusOr<v1::Job> ResolveJob(HoneClient& client, absl::string_view text);
// The module that `text` means: a module's name or id, or a job as above. Of a job that has no module yet it
// waits until the job has ended if that is under way (cancelled), else FailedPrecondition.
absl::StatusOr<v1::Module> ResolveModule(HoneClient& client, absl::string_view text);
absl::StatusOr<v1::Model> ResolveModel(HoneClient& client, absl::string_view text);
absl::StatusOr<v1::Worker> ResolveWorker(HoneClient& client, absl::string_view text);
absl::StatusOr<v1::Token> ResolveToken(HoneClient& client, absl::string_view text);

}  // namespace hone
