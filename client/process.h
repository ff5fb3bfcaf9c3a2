#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace hone {

// A process that cannot be mistaken for a later one with the same number.
struct ProcessId {
  int pid = 0;
  uint64_t start_ticks = 0;  // field 22 of /proc/PID/stat

  bool operator==(const ProcessId&) const = default;
};

std::optional<ProcessId> IdentifyProcess(int pid);  // nothing if it does not run (a zombie does not)
bool IsRunning(const ProcessId& process);

// Starts a program in a session of its own, without our terminal and descriptors; its output is appended to
// `log`.
absl::StatusOr<ProcessId> StartDetached(const std::vector<std::string>& command, const std::string& log);
// SIGTERM, and SIGKILL if it is still there after `grace`. Not running is fine.
absl::Status StopProcess(const ProcessId& process, absl::Duration grace);

// A child with pipes to its stdin and stdout; stderr goes to ours if `keep_stderr`, else nowhere. Killed and
// reaped by the destructor.
class PipedProcess {
 public:
  static absl::StatusOr<std::unique_ptr<PipedProcess>> Start(const std::vector<std::string>& command,
                                                             bool keep_stderr);
  ~PipedProcess();
  PipedProcess(const PipedProcess&) = delete;
  PipedProcess& operator=(const PipedProcess&) = delete;

  absl::Status WriteLine(const std::string& line);
  // Unavailable: the child ended; DeadlineExceeded.
  absl::StatusOr<std::string> ReadLine(absl::Duration timeout);

 private:
  PipedProcess(int pid, int in, int out) : pid_(pid), in_(in), out_(out) {}

  int pid_;
  int in_;   // we write
  int out_;  // we read
  std::string buffer_;
};

}  // namespace hone
