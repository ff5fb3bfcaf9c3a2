#pragma once

#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

// Errors as people meet them: a cause (the status message) and a remedy (what to do about it).
namespace hone {

// Attaches what the user can do. The innermost remedy wins: an outer layer never replaces it.
absl::Status WithRemedy(absl::Status status, absl::string_view remedy);
std::string RemedyOf(const absl::Status& status);  // empty if there is none

// Puts "context: " before the message; code and remedy stay.
absl::Status WithContext(const absl::Status& status, absl::string_view context);

struct ExitCode {
  int code;
  const char* meaning;
};

inline constexpr int kExitOk = 0;
inline constexpr int kExitFailure = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitBadInput = 3;
inline constexpr int kExitUnreachable = 4;
inline constexpr int kExitDenied = 5;
inline constexpr int kExitNotFound = 6;
inline constexpr int kExitDetached = 130;

std::span<const ExitCode> ExitCodes();  // in order, for the help text
int ExitCodeFor(const absl::Status& status);

// A mistake in the command line itself.
absl::Status UsageError(absl::string_view message);

}  // namespace hone
