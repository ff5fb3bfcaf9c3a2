#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/jobs/job_link.h"

namespace hone {

struct JobChildOptions {
  std::string binary;    // hone-job
  std::string log_path;  // its stdout and stderr, appended
  uint64_t address_space_bytes = uint64_t{32}
                                 << 30;  // RLIMIT_AS: a runaway compile ends the child, not the machine
  uint64_t cpu_seconds = 24 * 3600;      // RLIMIT_CPU
};

// One hone-job process with our end of its link. It exits when the link closes, so it never outlives the
// server. In a session of its own: a terminal's Ctrl-C does not reach it. Not thread-safe.
class JobChild {
 public:
  // Unavailable if the program cannot be started.
  static absl::StatusOr<std::unique_ptr<JobChild>> Start(const JobChildOptions& options);
  ~JobChild();  // kills it if it still runs

  JobLink& link() { return link_; }
  pid_t pid() const { return pid_; }
  // Closes the link and waits for its end, which killing enforces after `patience`: "exited with code 3",
  // "was killed by signal 9".
  std::string Reap(absl::Duration patience);

 private:
  JobChild(pid_t pid, FileDescriptor socket) : pid_(pid), link_(std::move(socket)) {}

  pid_t pid_;  // -1 once reaped
  JobLink link_;
};

}  // namespace hone
