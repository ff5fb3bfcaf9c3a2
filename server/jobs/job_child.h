#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/jobs/job_containment.h"
#include "server/jobs/job_link.h"

namespace hone {

struct JobChildOptions {
  std::string binary;    // hone-job
  std::string log_path;  // what it writes to stdout and stderr is appended when it has ended
  const JobContainment* containment = nullptr;  // outlives it
  uint64_t address_space_bytes = 0;             // RLIMIT_AS
  uint64_t outbox_bytes = 0;                    // what it may hand over with one message
  uint64_t cpu_seconds = 24 * 3600;             // RLIMIT_CPU
};

// One hone-job process with our end of its link. It exits when the link closes, so it never outlives the
// server. In a session of its own: a terminal's Ctrl-C does not reach it. Started and reaped by one thread, with which
// it ends. Not thread-safe.
class JobChild {
 public:
  // Unavailable if the program cannot be started.
  static absl::StatusOr<std::unique_ptr<JobChild>> Start(const JobChildOptions& options);
  ~JobChild();  // kills it if it still runs

  JobLink& link() { return link_; }
  pid_t pid() const { return pid_; }
  // The file in memory that its blobs lie in (proto/hone/v1/job_link.proto). It cannot change the size.
  int outbox() const { return outbox_.get(); }
  // Gives the memory back once the blobs are taken.
  absl::Status EmptyOutbox();
  // Closes the link and waits for its end, which killing enforces after `patience`: "exited with code 3",
  // "was killed by signal 9", and the last line it wrote.
  std::string Reap(absl::Duration patience);
  bool ran_out_of_memory() const { return ran_out_of_memory_; }  // known once it is reaped

 private:
  JobChild(const JobChildOptions& options, FileDescriptor link, FileDescriptor outbox, FileDescriptor words)
      : options_(options), outbox_(std::move(outbox)), words_(std::move(words)), link_(std::move(link)) {}
  absl::Status Spawn(int link, int words);
  absl::Status Contain();
  std::string LogWords();

  const JobChildOptions options_;
  const FileDescriptor outbox_, words_;
  JobCgroup cgroup_;
  pid_t pid_ = -1;  // not started, or reaped
  bool ran_out_of_memory_ = false;
  JobLink link_;
};

}  // namespace hone
