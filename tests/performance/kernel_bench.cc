// How near single kernels come to the multiply-add peak: one thread, warm, constants prepacked, nominal operations, best
// of interleaved rounds, against the probe of the same rounds.
//
//   kernel_bench [TARGET [FILTER [ROUNDS]]]       TARGET: x86-64-v3, x86-64-v4, host (default: all that run here)
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "compiler/ops/op.h"
#include "compiler/schedule/schedule.h"
#include "proto/values/host_lock.h"
#include "tests/compiler/codegen/candidate_runner.h"
#include "tests/tuner/tuning_tasks.h"
#include "worker/cpu_probes.h"
#include "worker/device_detection.h"

namespace hone {
namespace {

using Clock = std::chrono::steady_clock;

Task MatmulTask(int64_t m, int64_t k, int64_t n, const Target& target) {
  Task task;
  const TensorId a = task.graph.AddInput("a", {DType::kF32, {DimExpr(m), DimExpr(k)}});
  auto constant = std::make_shared<ConstantData>();
  constant->dims = {k, n};
  const TensorId b = task.graph.AddConstant("b", constant);
  task.graph.SetOutputs(task.graph.AddNode("matmul", {a, b}, {}, "matmul").value());
  task.target = target;
  return task;
}

struct Subject {
  const char* name;
  Task (*task)(const Target& target);
};

const Subject kSubjects[] = {
    {"matmul 128x768x768", [](const Target& t) { return MatmulTask(128, 768, 768, t); }},
    {"matmul 512^3", [](const Target& t) { return MatmulTask(512, 512, 512, t); }},
    {"1x1 64->64@56", [](const Target& t) { return ConvTask(64, 64, 56, 1, t); }},
    {"1x1 64->256@56", [](const Target& t) { return ConvTask(64, 256, 56, 1, t); }},
    {"1x1 256->64@56", [](const Target& t) { return ConvTask(256, 64, 56, 1, t); }},
    {"1x1 128->512@28", [](const Target& t) { return ConvTask(128, 512, 28, 1, t); }},
    {"1x1 512->128@28", [](const Target& t) { return ConvTask(512, 128, 28, 1, t); }},
    {"1x1 256->1024@14", [](const Target& t) { return ConvTask(256, 1024, 14, 1, t); }},
    {"1x1 1024->256@14", [](const Target& t) { return ConvTask(1024, 256, 14, 1, t); }},
    {"1x1 512->2048@7", [](const Target& t) { return ConvTask(512, 2048, 7, 1, t); }},
    {"1x1 2048->512@7", [](const Target& t) { return ConvTask(2048, 512, 7, 1, t); }},
    {"3x3 64->64@56", [](const Target& t) { return ConvTask(64, 64, 56, 3, t); }},
    {"3x3 128->128@28", [](const Target& t) { return ConvTask(128, 128, 28, 3, t); }},
    {"3x3 256->256@14", [](const Target& t) { return ConvTask(256, 256, 14, 3, t); }},
    {"3x3 512->512@7", [](const Target& t) { return ConvTask(512, 512, 7, 3, t); }},
};

// The default and a grid of the search space.
std::vector<Trace> Traces(const Task& task, const TensorProgram& program) {
  std::vector<Trace> traces = {DefaultTrace(task, program)};
  const int lanes = task.target.vector_width();
  const bool wide = task.target.row->vector_registers == 32;
  const std::vector<std::pair<int, int>> tiles = wide ? std::vector<std::pair<int, int>>{{14, 2}, {13, 2}, {12, 2}, {8, 3}, {7, 4}}
                                                      : std::vector<std::pair<int, int>>{{6, 2}, {5, 2}, {4, 3}, {7, 1}};
  for (const auto& [mr, nv] : tiles) {
    for (const char* rows : {"affine", "table"}) {
      for (const char* order : {"order m,n; block m 4", "order m,n; block m 16", "order n,m"}) {
        const std::string text = absl::StrCat("trace 1; algorithm direct; leaf contract mr=", mr, " nv=", nv, " vw=", lanes,
                                              " hold=b ku=4 rows=", rows, "; ", order, "; parallel m");
        const Trace trace = *Trace::Parse(text);
        if (std::find(traces.begin(), traces.end(), trace) == traces.end()) traces.push_back(trace);
      }
    }
  }
  return traces;
}

struct Entrant {
  Trace trace;
  std::unique_ptr<CandidateRunner> runner;
  double best = 1e9;
};

double SecondsOf(CandidateRunner& runner) {
  const Clock::time_point begin = Clock::now();
  runner.Run();
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

absl::Status RunSubject(const Subject& subject, const Target& target, const CpuProbe& probe, int rounds) {
  const Task task = subject.task(target);
  const absl::StatusOr<TensorProgram> program = LowerTask(task);
  if (!program.ok()) return program.status();
  const auto zeros = [](const std::vector<TensorSpec>& specs) {
    std::vector<HostTensor> tensors;
    for (const TensorSpec& spec : specs) {
      tensors.push_back(HostTensor::Zeros(spec.dtype, spec.dims));
      for (int64_t e = 0; e < tensors.back().Elements(); ++e) tensors.back().Set(e, 0.001 * static_cast<double>(e % 97));
    }
    return tensors;
  };
  std::vector<Entrant> entrants;
  for (const Trace& trace : Traces(task, *program)) {
    const auto scheduled = Schedule(task, *program, trace);
    if (!std::holds_alternative<Scheduled>(scheduled)) continue;
    const auto code = CompileNest(task, std::get<Scheduled>(scheduled), "kernel");
    if (!code.ok()) return code.status();
    const auto object = LinkCandidate(task, *code);
    if (!object.ok()) return object.status();
    auto runner = CandidateRunner::Load(*object);
    if (!runner.ok()) return runner.status();
    (*runner)->SetInputs(zeros(task.InputSpecs()), zeros(task.ConstantSpecs()));
    entrants.push_back({trace, *std::move(runner)});
  }
  double peak = 0;
  for (int round = 0; round < rounds; ++round) {
    peak = std::max(peak, MeasureGflops(probe, 0.001));
    for (Entrant& entrant : entrants) {
      SecondsOf(*entrant.runner);   // caches and predictors, after the one before
      for (int i = 0; i < 2; ++i) entrant.best = std::min(entrant.best, SecondsOf(*entrant.runner));
    }
  }
  const double flops = static_cast<double>(task.Flops().Constant());
  const auto percent = [&](const Entrant& entrant) { return 100 * flops / entrant.best / 1e9 / peak; };
  const Entrant& best = *std::min_element(entrants.begin(), entrants.end(), [](const Entrant& a, const Entrant& b) { return a.best < b.best; });
  std::printf("%-20s %-10s peak %6.1f GF  default %5.1f %%  best %5.1f %%  %9.1f us  %s\n", subject.name,
              target.ToString().c_str(), peak, percent(entrants.front()), percent(best), best.best * 1e6,
              best.trace.ToString().c_str());
  std::fflush(stdout);
  return absl::OkStatus();
}

int Main(int argc, char** argv) {
  const std::string wanted = argc > 1 ? argv[1] : "all", filter = argc > 2 ? argv[2] : "";
  const int rounds = argc > 3 ? std::atoi(argv[3]) : 15;
  const auto lock = HostLock::Acquire(HostLock::Mode::kExclusive);
  if (!lock.ok()) return 1;
  std::printf("%s, one thread, best of %d rounds\n", DetectDevice().cpu_name.c_str(), rounds);
  int faults = 0;
  for (const CpuProbe& probe : CpuProbes()) {
    const auto target = FindTarget(probe.target);
    if (!target.ok() || !probe.runs_here() || probe.target == "x86-64-v2") continue;
    if (wanted != "all" && wanted != probe.target && !(wanted == "host" && *target == *FindTarget("host"))) continue;
    for (const Subject& subject : kSubjects) {
      if (std::string(subject.name).find(filter) == std::string::npos) continue;
      const absl::Status status = RunSubject(subject, *target, probe, rounds);
      if (!status.ok()) std::fprintf(stderr, "%s: %s\n", subject.name, status.ToString().c_str());
      faults += status.ok() ? 0 : 1;
    }
  }
  return faults == 0 ? 0 : 1;
}

}  // namespace
}  // namespace hone

int main(int argc, char** argv) { return hone::Main(argc, argv); }
