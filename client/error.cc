#include "client/error.h"

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"

namespace hone {
namespace {

constexpr char kRemedy[] = "hone/remedy";
constexpr char kUsage[] = "hone/usage";

constexpr ExitCode kExitCodes[] = {
    {kExitOk, "done"},
    {kExitFailure, "failed: the job, a check or the machine; the message says which"},
    {kExitUsage, "wrong command line"},
    {kExitBadInput, "bad input: the model, a shape, a file"},
    {kExitUnreachable, "the server cannot be reached or does not answer in time"},
    {kExitDenied, "the server refuses the token"},
    {kExitNotFound, "no such job, module, worker or file"},
    {kExitDetached, "interrupted with Ctrl-C; a job goes on without the terminal"},
};

void CopyPayloads(const absl::Status& from, absl::Status& to) {
  from.ForEachPayload([&](absl::string_view url, const absl::Cord& value) { to.SetPayload(url, value); });
}

}  // namespace

absl::Status WithRemedy(absl::Status status, absl::string_view remedy) {
  if (!status.ok() && !status.GetPayload(kRemedy)) status.SetPayload(kRemedy, absl::Cord(remedy));
  return status;
}

std::string RemedyOf(const absl::Status& status) {
  auto remedy = status.GetPayload(kRemedy);
  return remedy ? std::string(*remedy) : std::string();
}

absl::Status WithContext(const absl::Status& status, absl::string_view context) {
  if (status.ok()) return status;
  absl::Status result(status.code(), absl::StrCat(context, ": ", status.message()));
  CopyPayloads(status, result);
  return result;
}

std::span<const ExitCode> ExitCodes() { return kExitCodes; }

int ExitCodeFor(const absl::Status& status) {
  if (status.GetPayload(kUsage)) return kExitUsage;
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return kExitOk;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kUnimplemented:
      return kExitBadInput;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
      return kExitUnreachable;
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kPermissionDenied:
      return kExitDenied;
    case absl::StatusCode::kNotFound:
      return kExitNotFound;
    default:
      return kExitFailure;
  }
}

absl::Status UsageError(absl::string_view message) {
  absl::Status status = absl::InvalidArgumentError(message);
  status.SetPayload(kUsage, absl::Cord("1"));
  return status;
}

}  // namespace hone
