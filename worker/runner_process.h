#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "proto/values/measurement.h"
#include "worker/cancellation.h"
#include "proto/values/file_descriptor.h"
#include "worker/runner_protocol.h"
#include "worker/stopwatch.h"
#include "worker/tensor_file.h"

namespace hone {

// Why a runner gave no (more) answers.
struct Ending {
  Outcome outcome = Outcome::kCrash;
  std::string message;
};

// What one step of a runner gave: an answer, or its end.
struct StepResult {
  std::optional<Ending> ending;
  RunnerReply reply = {};      // range-checked against `elapsed_seconds`
  double elapsed_seconds = 0;  // by this process's clock
};

struct RunnerJob {
  RunnerSubjectKind subject = kRunnerCandidate;
  uint32_t threads = 1;
  const TensorFile* inputs = nullptr;  // inputs and constants; outlives the runner
  const std::vector<TensorSpec>* outputs = nullptr;
  uint64_t rotation_bytes = 0;
  bool rotation_is_cached = false;
  uint64_t address_space_bytes = 0;
  uint64_t cpu_seconds = 0;
  bool allow_unsandboxed = false;
};

// One hone-runner child with one object in it, in its own process group. The destructor kills the group and
// reaps the child. After an Ending every further step gives the same Ending. Not thread-safe; the thread that
// starts a runner must outlive it (the kernel kills the child with it).
class RunnerProcess {
 public:
  // `object` is a sealed memfd. Fails only for the machine's reasons.
  static absl::StatusOr<std::unique_ptr<RunnerProcess>> Start(const std::string& runner_path,
                                                              const RunnerJob& job, int object,
                                                              const Cancellation* cancellation);
  ~RunnerProcess();

  StepResult AwaitLoaded(absl::Duration limit);
  // Runs once on an input set; the outputs are then in outputs().
  StepResult Check(uint32_t input_set, absl::Duration limit);
  StepResult RunWindow(uint32_t calls, absl::Duration at_least, absl::Duration limit);

  const TensorFile& outputs() const { return outputs_; }
  const std::optional<Ending>& ending() const { return ending_; }
  // Its threads, oldest first, each to a CPU of its own: two on one would halve the speed of all that this
  // rotation compares. Ignored where the system refuses.
  void PinTo(const std::vector<int>& cpus);

 private:
  RunnerProcess(pid_t pid, FileDescriptor control, TensorFile outputs, const Cancellation* cancellation);
  StepResult Step(const RunnerCommand& command, absl::Duration limit);
  // Waits for the reply to `sequence_`, or finds out why there is none. `watch` started with the step.
  StepResult AwaitReply(const Stopwatch& watch, absl::Duration limit);
  Ending Finish(Ending ending);  // remembers it and kills what is left
  Ending EndingOfDeadChild();

  const pid_t pid_;
  FileDescriptor control_;
  TensorFile outputs_;
  const Cancellation* const cancellation_;
  uint32_t sequence_ = 0;
  bool entered_ = false;  // the object was touched: what happens now is its doing
  bool reaped_ = false;
  std::optional<Ending> ending_;
};

}  // namespace hone
