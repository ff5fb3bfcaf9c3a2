#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "client/command.h"

namespace hone {

struct WatchedJob {
  v1::Job job;
  bool detached = false;  // Ctrl-C came first
};

// Follows a job to its end, showing progress. A server that goes away is looked for again (this user's own is
// started again); `client` is then replaced. Ctrl-C ends the watching, not the job.
absl::StatusOr<WatchedJob> WatchToEnd(const CommandContext& context, std::shared_ptr<HoneClient>& client,
                                      const std::string& name);

// How to come back to a job and how to take what it has.
std::string ComeBackText(const std::string& name, const std::string& out);

}  // namespace hone
