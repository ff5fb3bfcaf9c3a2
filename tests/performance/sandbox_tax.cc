// What the sandbox costs the measured code: the same candidate in hone-runner and in a runner built without the sandbox,
// window by window in turn, several pairs of processes per task.
//
//   sandbox_tax [PAIRS [ROUNDS]]
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "proto/values/host_lock.h"
#include "tests/performance/task_bench.h"
#include "tests/tuner/tuning_tasks.h"
#include "worker/runner_process.h"

namespace hone {
namespace {

FileDescriptor ObjectOf(const Task& task) {
  const TensorProgram program = Must(LowerTask(task));
  const auto scheduled = Schedule(task, program, DefaultTrace(task, program));
  const std::string object = Must(LinkCandidate(task, Must(CompileNest(task, std::get<Scheduled>(scheduled), "task"))));
  FileDescriptor file = Must(MakeMemfd("candidate", 0));
  if (write(file.get(), object.data(), object.size()) != static_cast<ssize_t>(object.size())) std::exit(2);
  return file;
}

double SecondsPerCall(RunnerProcess& runner) {
  const StepResult step = runner.RunWindow(1, absl::Milliseconds(20), absl::Seconds(20));
  if (step.ending) Must(absl::StatusOr<int>(absl::InternalError(step.ending->message)));
  return 1e-9 * static_cast<double>(step.reply.wall_nanoseconds) / step.reply.calls;
}

// Of time in the sandbox to time outside, one per round.
std::vector<double> Ratios(const Task& task, int pairs, int rounds) {
  const FileDescriptor object = ObjectOf(task);
  const std::vector<TensorSpec> inputs = task.InputSpecs(), constants = task.ConstantSpecs(), outputs = task.OutputSpecs();
  const TensorFile tensors = Must(TensorFile::Generate(inputs, constants, 1, 1));
  RunnerJob job{.threads = static_cast<uint32_t>(task.threads), .inputs = &tensors, .outputs = &outputs};
  job.address_space_bytes = uint64_t{4} << 30;
  job.cpu_seconds = 600;
  const Cancellation never;
  std::vector<double> ratios;
  for (int pair = 0; pair < pairs; ++pair) {
    std::unique_ptr<RunnerProcess> runners[2];
    for (const int side : {pair % 2, 1 - pair % 2}) {
      runners[side] = Must(RunnerProcess::Start(side == 0 ? HONE_BARE_RUNNER : HONE_RUNNER, job, object.get(), &never));
      if (const StepResult loaded = runners[side]->AwaitLoaded(absl::Seconds(20)); loaded.ending) {
        Must(absl::StatusOr<int>(absl::InternalError(loaded.ending->message)));
      }
    }
    for (int round = 0; round < rounds; ++round) {
      double seconds[2];
      for (const int side : {round % 2, 1 - round % 2}) seconds[side] = SecondsPerCall(*runners[side]);
      ratios.push_back(seconds[1] / seconds[0]);
    }
  }
  std::sort(ratios.begin(), ratios.end());
  return ratios;
}

int Main(int pairs, int rounds) {
  const HostLock lock = Must(HostLock::Acquire(HostLock::Mode::kExclusive));
  const Target target = Must(FindTarget("host"));
  std::vector<Task> tasks = JudgedTasks(target);
  tasks.push_back(tasks[0]);
  tasks.back().threads = 2;
  std::printf("%-56s %8s %8s %8s\n", "task", "p25", "median", "p75");
  std::vector<double> medians;
  for (const Task& task : tasks) {
    const std::vector<double> ratios = Ratios(task, pairs, rounds);
    const auto at = [&](double q) { return ratios[static_cast<size_t>(q * static_cast<double>(ratios.size() - 1))]; };
    medians.push_back(at(0.5));
    std::printf("%-46s %d threads %8.4f %8.4f %8.4f\n", task.Label().c_str(), task.threads, at(0.25), at(0.5), at(0.75));
  }
  std::sort(medians.begin(), medians.end());
  std::printf("median of the tasks' medians: %.4f (bar: 1.01)\n", medians[medians.size() / 2]);
  return 0;
}

}  // namespace
}  // namespace hone

int main(int argc, char** argv) {
  return hone::Main(argc > 1 ? std::atoi(argv[1]) : 8, argc > 2 ? std::atoi(argv[2]) : 20);
}
