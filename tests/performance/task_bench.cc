#include "tests/performance/task_bench.h"

#include <sys/resource.h>
#include <time.h>

#include "proto/values/host_lock.h"
#include "proto/values/tensor_values.h"
#include "tests/tuner/tuning_tasks.h"
#include "worker/comparison.h"
#include "worker/rotation.h"
#include "worker/stopwatch.h"

namespace hone {
namespace {

constexpr double kTolerance = 2e-5;

double Now(clockid_t clock) {
  timespec time;
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

int64_t InvoluntarySwitches() {
  rusage usage;
  getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_nivcsw;
}

class LocalContestant : public Contestant {
 public:
  explicit LocalContestant(CandidateRunner* runner) : runner_(runner) {}
  Report RunWindow(uint32_t calls) override {
    runner_->Run();
    const int64_t switches = InvoluntarySwitches();
    const double wall = Now(CLOCK_MONOTONIC), cpu = Now(CLOCK_THREAD_CPUTIME_ID);
    for (uint32_t i = 0; i < calls; ++i) runner_->Run();
    const double spent = Now(CLOCK_THREAD_CPUTIME_ID) - cpu, elapsed = Now(CLOCK_MONOTONIC) - wall;
    Report report;
    report.window = {.seconds = elapsed / calls, .calls = calls, .cpu_fraction = spent / elapsed};
    report.window.kept = InvoluntarySwitches() == switches && report.window.cpu_fraction > kKeptCpuFraction;
    return report;
  }

 private:
  CandidateRunner* runner_;
};

}  // namespace

TaskBench::TaskBench(const Task& task) : task_(task), program_(Must(LowerTask(task))) {
  uint64_t number = 0;
  for (const auto& [specs, tensors] : {std::pair{task.InputSpecs(), &inputs_}, {task.ConstantSpecs(), &constants_}}) {
    for (const TensorSpec& spec : specs) {
      tensors->push_back(HostTensor::Zeros(spec.dtype, spec.dims));
      GenerateTensor(spec, 1, number++, tensors->back().bytes.data());
    }
  }
  const auto oracle = Load(ReferenceTrace());
  oracle->Run();
  expected_ = Outputs(*oracle);
}

std::vector<Measurement> TaskBench::Measure(const std::vector<Trace>& traces, uint32_t windows, bool race) {
  std::vector<std::unique_ptr<CandidateRunner>> runners;
  std::vector<LocalContestant> contestants;
  std::vector<double> first;
  std::vector<bool> wrong;
  for (const Trace& trace : traces) {
    runners.push_back(Load(trace));
    contestants.emplace_back(runners.back().get());
    const Stopwatch watch;
    runners.back()->Run();
    first.push_back(watch.Seconds());
    const std::vector<HostTensor> outputs = Outputs(*runners.back());
    wrong.push_back(CompareTensors(task_.OutputSpecs()[0], expected_[0].bytes.data(), outputs[0].bytes.data()).max_error >
                    kTolerance);
  }
  std::vector<Contestant*> pointers;
  for (LocalContestant& contestant : contestants) pointers.push_back(&contestant);
  const HostLock lock = Must(HostLock::Acquire(HostLock::Mode::kExclusive));
  RotationOptions options{.windows = windows};
  if (race) options.incumbent = 0;
  std::vector<Measurement> measurements = Rotate(pointers, first, options, nullptr);
  for (size_t i = 0; i < wrong.size(); ++i) {
    if (wrong[i]) measurements[i].outcome = Outcome::kWrongOutput;
  }
  return measurements;
}

std::unique_ptr<CandidateRunner> TaskBench::Load(const Trace& trace) {
  std::string& object = objects_[trace.ToString()];
  if (object.empty()) {
    const auto scheduled = Schedule(task_, program_, trace);
    const CompiledTask compiled = Must(CompileNest(task_, std::get<Scheduled>(scheduled), "task"));
    object = Must(LinkCandidate(task_, compiled));
  }
  std::unique_ptr<CandidateRunner> runner = Must(CandidateRunner::Load(object));
  runner->SetInputs(inputs_, constants_);
  return runner;
}

std::vector<HostTensor> TaskBench::Outputs(CandidateRunner& runner) const {
  std::vector<HostTensor> outputs;
  for (const TensorSpec& spec : task_.OutputSpecs()) outputs.push_back(HostTensor::Zeros(spec.dtype, spec.dims));
  runner.GetOutputs(&outputs);
  return outputs;
}

std::vector<Task> JudgedTasks(const Target& target) {
  struct Row {
    int64_t channels, out, size, kernel;
  };
  constexpr Row kRows[] = {{64, 64, 56, 3}, {256, 64, 56, 1}, {128, 128, 28, 3}, {1024, 256, 14, 1}, {512, 512, 7, 3}};
  std::vector<Task> tasks;
  for (const Row& row : kRows) tasks.push_back(ConvTask(row.channels, row.out, row.size, row.kernel, target));
  return tasks;
}

}  // namespace hone
