// layout_bench FOLDER MODEL.onnx [TARGET [INPUT=1,3,224,224 ...]]
//
// How well prices choose layouts: every task that is priced, measured here (one thread, zero-trial schedule)
// beside its price; then what the model's tasks take together with layouts by rule, by prices and by measured
// times. FOLDER keeps compiled tasks, so that a second run only measures.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "proto/values/host_lock.h"
#include "proto/values/tensor_values.h"
#include "tests/performance/bench_model.h"
#include "tests/performance/task_bench.h"
#include "tuner/prior_costs.h"
#include "tuner/zero_trial.h"
#include "worker/device_detection.h"

namespace hone {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kWindowSeconds = 1e-3;
constexpr int kWindows = 9;

// Of the shortest window.
double SecondsOfRun(CandidateRunner* runner) {
  const auto window = [&](int calls) {
    const Clock::time_point begin = Clock::now();
    for (int i = 0; i < calls; ++i) runner->Run();
    return std::chrono::duration<double>(Clock::now() - begin).count() / calls;
  };
  window(1);
  const int calls = std::max(1, static_cast<int>(kWindowSeconds / window(2)));
  double least = HUGE_VAL;
  for (int i = 0; i < kWindows; ++i) least = std::min(least, window(calls));
  return least;
}

class MeasuredCosts : public TaskCosts {
 public:
  MeasuredCosts(std::filesystem::path folder, const Roofline& roofline)
      : folder_(std::move(folder)), roofline_(roofline) {}

  double SecondsFor(const Task& task) const override {
    const auto [known, added] = seconds_.try_emplace(task.Key(), 0);
    if (!added) return known->second;
    const TensorProgram program = Must(LowerTask(task));
    const ZeroTrial pick = PickZeroTrial(task, program, Must(FindAnchor(program)), roofline_);
    known->second = Measure(task, program, pick.trace);
    std::string layouts;
    for (const TensorId id : task.graph.inputs())
      absl::StrAppend(&layouts, task.graph.tensor(id).layout.ToString(), " ");
    absl::StrAppend(&layouts, "-> ", task.graph.tensor(task.graph.outputs()[0]).layout.ToString());
    std::printf("%9.2f us, priced %9.2f us (%.2f)  %s: %s | %s\n", 1e6 * known->second, 1e6 * pick.seconds,
                known->second / pick.seconds, task.Label().c_str(), layouts.c_str(),
                pick.trace.ToString().c_str());
    return known->second;
  }

 private:
  double Measure(const Task& task, const TensorProgram& program, const Trace& trace) const {
    const std::filesystem::path path =
        folder_ / absl::StrCat(task.Id(), "-", std::hash<std::string>()(trace.ToString()));
    if (!std::filesystem::exists(path)) {
      const auto scheduled = Schedule(task, program, trace);
      const Scheduled* legal = std::get_if<Scheduled>(&scheduled);
      if (legal == nullptr) return HUGE_VAL;
      std::ofstream(path, std::ios::binary)
          << Must(LinkCandidate(task, Must(CompileNest(task, *legal, "task"))));
    }
    const std::unique_ptr<CandidateRunner> runner = Must(CandidateRunner::Load(ReadFile(path)));
    std::vector<HostTensor> inputs, constants;
    uint64_t number = 0;
    for (const auto& [specs, tensors] :
         {std::pair{task.InputSpecs(), &inputs}, {task.ConstantSpecs(), &constants}}) {
      for (const TensorSpec& spec : specs) {
        tensors->push_back(HostTensor::Zeros(spec.dtype, spec.dims));
        GenerateTensor(spec, 1, number++, tensors->back().bytes.data());
      }
    }
    runner->SetInputs(inputs, constants);
    return SecondsOfRun(runner.get());
  }

  const std::filesystem::path folder_;
  const Roofline roofline_;
  mutable std::map<std::string, double> seconds_;  // by key
};

// Of equal costs, what the rule says stays.
class NoCosts : public TaskCosts {
 public:
  double SecondsFor(const Task&) const override { return 0; }
};

void PrintSum(const char* name, const CutGraph& cut, const TaskCosts& measured, const TaskCosts& prior) {
  std::printf("layouts by %-8s  %zu calls of %zu tasks, %.4f ms, priced %.4f ms\n", name, cut.calls.size(),
              cut.tasks.size(), 1e3 * cut.SecondsBy(measured), 1e3 * cut.SecondsBy(prior));
}

int Main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: layout_bench FOLDER MODEL.onnx [TARGET [INPUT=dims ...]]\n");
    return 2;
  }
  std::filesystem::create_directories(argv[1]);
  const auto [options, graph] = ReadBenchModel(argv[2], argc, argv, 3);
  Device device = DetectDevice();
  device.calibration = Must(CalibrateAlone(device, HostLock::kDefaultPath));
  const Roofline roofline = Roofline::Of(device, options.target);
  const PriorCosts prior(roofline);
  const MeasuredCosts measured(argv[1], roofline);
  const Clock::time_point begin = Clock::now();
  const CutGraph by_prices = Must(CutIntoTasks(graph, options, prior));
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  const HostLock lock = Must(HostLock::Acquire(HostLock::Mode::kExclusive));
  const CutGraph by_times = Must(CutIntoTasks(graph, options, measured));
  PrintSum("rule", Must(CutIntoTasks(graph, options, NoCosts())), measured, prior);
  PrintSum("prices", by_prices, measured, prior);
  PrintSum("times", by_times, measured, prior);
  std::printf("the passes and the cut with prices took %.2f s\n", seconds);
  return 0;
}

}  // namespace
}  // namespace hone

int main(int argc, char** argv) { return hone::Main(argc, argv); }
