// What the sandbox costs jobs: hone-job and a hone-job built without the sandbox, in turn. Of an inspection of a small
// model the time from start to exit; of a job of TRIALS random schedules the CPU time, nearly all of it compiling.
//
//   job_tax [ROUNDS [TRIALS]]
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <functional>

#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "proto/values/host_lock.h"
#include "tests/compiler/frontend/onnx/onnx_model.h"
#include "tests/tuner/job_harness.h"

namespace hone {
namespace {

const std::vector<int64_t> kShape = {1, 3, 8, 8};

// Of all children that have ended.
double CpuSeconds() {
  rusage use{};
  getrusage(RUSAGE_CHILDREN, &use);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(use.ru_utime) + seconds(use.ru_stime);
}

double Inspection(const std::string& program, const std::string& model) {
  v1::InspectModelRequest request;
  request.set_target("host");
  v1::ShapeBinding& binding = *request.add_shapes();
  binding.set_input("x");
  binding.mutable_dims()->Add(kShape.begin(), kShape.end());
  const absl::Time begin = absl::Now();
  JobHarness job(program);
  job.Inspect(request, model);
  job.Serve();
  job.CloseAndWait();
  return absl::ToDoubleSeconds(absl::Now() - begin);
}

double Tuning(const std::string& program, const std::string& model, uint32_t trials) {
  v1::StartJob start;
  v1::JobSpec& spec = *start.mutable_spec();
  spec.set_target("host");
  spec.set_threads(1);
  spec.set_seed(3);
  spec.set_strategy("random");
  spec.mutable_budget()->set_trials(trials);
  v1::ShapeBinding& binding = *spec.add_shapes();
  binding.set_input("x");
  binding.mutable_dims()->Add(kShape.begin(), kShape.end());
  const double before = CpuSeconds();
  {
    JobHarness job(program);
    job.Start(start, model);
    job.Serve();
    job.CloseAndWait();
  }
  return CpuSeconds() - before;
}

void Print(const char* what, int rounds, const std::function<double(const char*)>& measure) {
  std::vector<double> ratios, shut_in;
  for (int round = 0; round < rounds; ++round) {
    double seconds[2];
    for (const int side : {round % 2, 1 - round % 2}) {
      seconds[side] = measure(side == 0 ? HONE_BARE_JOB : HONE_JOB_PROGRAM);
    }
    ratios.push_back(seconds[1] / seconds[0]);
    shut_in.push_back(seconds[1]);
  }
  std::sort(ratios.begin(), ratios.end());
  std::sort(shut_in.begin(), shut_in.end());
  const auto at = [](const std::vector<double>& sorted, double q) {
    return sorted[static_cast<size_t>(q * static_cast<double>(sorted.size() - 1))];
  };
  std::printf("%-28s %8.4f s; with / without: p25 %.4f, median %.4f, p75 %.4f (%d rounds)\n", what, at(shut_in, 0.5),
              at(ratios, 0.25), at(ratios, 0.5), at(ratios, 0.75), rounds);
}

int Main(int rounds, uint32_t trials) {
  const auto lock = HostLock::Acquire(HostLock::Mode::kShared);
  const std::string model = SmallClassifier().proto().SerializeAsString();
  Print("inspection, start to exit", 10 * rounds, [&](const char* program) { return Inspection(program, model); });
  Print("tuning, CPU time", rounds, [&](const char* program) { return Tuning(program, model, trials); });
  return 0;
}

}  // namespace
}  // namespace hone

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);   // the harness uses its expectations
  return hone::Main(argc > 1 ? std::atoi(argv[1]) : 10, argc > 2 ? static_cast<uint32_t>(std::atoi(argv[2])) : 24);
}
