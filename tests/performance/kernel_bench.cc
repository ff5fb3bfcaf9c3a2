// How near single kernels come to their limits: one thread or several, warm, constants prepacked, nominal
// operations, best of interleaved rounds, against the probes of the same rounds. Matmuls and convolutions in
// percent of the multiply-add peak; what moves as much as it computes in percent of the roofline (peak, or
// reads from the cache level that holds all operands), beside memcpy of as many bytes in all.
//
//   kernel_bench [TARGET [FILTER [ROUNDS [FOLDER [THREADS [TRACES]]]]]]    TARGET: x86-64-v3, x86-64-v4,
//   host, all (what runs here)
//
// FILTER is a part of the subjects' names. FOLDER, if not empty, receives the objects of the default and the
// best schedule. TRACES names a file of schedules, a line each, that are measured and listed instead of the
// grid.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "compiler/ops/op.h"
#include "compiler/runtime/input_generator.h"
#include "compiler/runtime/thread_pool.h"
#include "compiler/schedule/schedule.h"
#include "proto/values/host_lock.h"
#include "tests/compiler/codegen/candidate_runner.h"
#include "tests/performance/stage_subjects.h"
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

// Few channels are row-major, as a model's input is.
Task StridedTask(int64_t in, int64_t out, int64_t size, int64_t kernel, const Target& target, int64_t stride = 2) {
  return OneOperator(target, "conv2d", {{{1, in, size, size}}, {{out, in, kernel, kernel}, true}},
                     WindowAttrs(stride, kernel / 2), true, in < 8);
}

const Subject kContractSubjects[] = {
    {"matmul 128x768x768", [](const Target& t) { return MatmulTask(128, 768, 768, t); }},
    {"matmul 512^3", [](const Target& t) { return MatmulTask(512, 512, 512, t); }},
    {"matmul 196x1024x256", [](const Target& t) { return MatmulTask(196, 1024, 256, t); }},
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
    {"3x3/2 128->128@56", [](const Target& t) { return StridedTask(128, 128, 56, 3, t); }},
    {"3x3/2 256->256@28", [](const Target& t) { return StridedTask(256, 256, 28, 3, t); }},
    {"3x3/2 512->512@14", [](const Target& t) { return StridedTask(512, 512, 14, 3, t); }},
    {"5x5/2 64->64@56", [](const Target& t) { return StridedTask(64, 64, 56, 5, t); }},
    {"3x3 3->64@224", [](const Target& t) { return StridedTask(3, 64, 224, 3, t, 1); }},
    {"3x3/2 3->32@224", [](const Target& t) { return StridedTask(3, 32, 224, 3, t); }},
    {"7x7/2 3->64@224", [](const Target& t) { return StridedTask(3, 64, 224, 7, t); }},
};

bool IsDirect(const Trace& trace) { return trace.Find("algorithm")->operands[0] == "direct"; }

// Winograd's algorithm: sizes of its tiles, tiles per block, register tiles. Where it does not apply they are refused.
void AddWinogradTraces(const Task& task, std::vector<Trace>* traces) {
  using Leaves = std::vector<const char*>;
  const bool wide = task.target.row->vector_registers == 32;
  const Leaves leaves = wide ? Leaves{"mr=14 nv=2 hold=b", "mr=8 nv=3 hold=b", "mr=7 nv=4 hold=none", "mr=4 nv=6 hold=a"}
                             : Leaves{"mr=6 nv=2 hold=b", "mr=4 nv=3 hold=b", "mr=5 nv=2 hold=b"};
  for (const int m : {2, 4, 5, 6, 7}) {
    for (const int tiles : {4, 9, 16, 28, 49}) {
      for (const char* leaf : leaves) {
        const std::string text = absl::StrCat("trace 1; algorithm winograd m=", m, " tiles=", tiles, "; leaf contract ", leaf, " vw=",
                                              task.target.vector_width(), " ku=4 rows=affine; order n,m; parallel m");
        traces->push_back(*Trace::Parse(text));
      }
    }
  }
}

// A grid of the search space.
std::vector<Trace> ContractTraces(const Task& task) {
  std::vector<Trace> traces;
  const int lanes = task.target.vector_width();
  const bool wide = task.target.row->vector_registers == 32;
  const std::vector<std::pair<int, int>> tiles = wide ? std::vector<std::pair<int, int>>{{14, 2}, {13, 2}, {12, 2}, {8, 3}, {7, 4}}
                                                      : std::vector<std::pair<int, int>>{{6, 2}, {5, 2}, {4, 3}, {7, 1}};
  for (const auto& [mr, nv] : tiles) {
    for (const char* rows : {"affine", "table", "bands"}) {
      for (const char* order : {"order m,n; block m 4", "order m,n; block m 16", "order n,m"}) {
        const std::string text = absl::StrCat("trace 1; algorithm direct; leaf contract mr=", mr, " nv=", nv, " vw=", lanes,
                                              " hold=", nv == 4 ? "none" : "b", " ku=4 rows=", rows, "; ", order, "; parallel m");
        traces.push_back(*Trace::Parse(text));
      }
    }
  }
  const size_t shared_by_rows = task.threads > 1 ? traces.size() : 0;
  for (size_t i = 0; i < shared_by_rows; ++i) {
    traces.push_back(traces[i]);
    traces.back().primitives.back().operands = {"n"};
  }
  const size_t direct = traces.size();
  for (size_t i = 0; i < direct; ++i) {
    for (const char* levels : {"1", "2"}) {
      traces.push_back(traces[i]);
      traces.back().primitives[1] = {"algorithm", {"strassen"}, {{"levels", levels}}};
    }
  }
  AddWinogradTraces(task, &traces);
  return traces;
}

std::vector<Trace> StageTraces(const Task& task) {
  std::vector<Trace> traces;
  for (const char* tile : {"window tile=1", "window tile=2", "window tile=3", "window tile=4", "window tile=5", "window tile=6",
                           "window tile=7", "window tile=8", "window tile=10", "window tile=14", "row unroll=1",
                           "row unroll=2", "row unroll=4", "row unroll=8"}) {
    for (const int width : task.target.row->vector_widths) {
      traces.push_back(*Trace::Parse(absl::StrCat("trace 1; algorithm direct; leaf ", tile, " vw=", width, "; parallel outer")));
    }
  }
  return traces;
}

// Threads that stand ready while it lives.
class Threads {
 public:
  explicit Threads(int count)
      : memory_(aligned_alloc(64, (HoneThreadPoolBytes(count) + 63) / 64 * 64)),
        pool_((std::memset(memory_, 0, HoneThreadPoolBytes(count)), HoneThreadPoolInit(memory_, count))),
        parallel_{count, HoneThreadPoolParallelFor, pool_} {
    HoneThreadPoolBegin(pool_);
  }
  ~Threads() {
    HoneThreadPoolEnd(pool_);
    HoneThreadPoolDestroy(pool_);
    free(memory_);
  }
  Threads(const Threads&) = delete;
  const HoneParallel& parallel() const { return parallel_; }

 private:
  void* memory_;
  HoneThreadPool* pool_;
  HoneParallel parallel_;
};

struct Entrant {
  Trace trace;
  std::string object;
  std::unique_ptr<CandidateRunner> runner;
  int calls = 1;   // per measurement
  double best = 1e9;
  double error = 0;   // largest difference from the default's outputs / their largest
};

template <typename F>
double SecondsOf(int calls, const F& call) {
  const Clock::time_point begin = Clock::now();
  for (int i = 0; i < calls; ++i) call();
  return std::chrono::duration<double>(Clock::now() - begin).count() / calls;
}

absl::StatusOr<Entrant> Enter(const Task& task, const Scheduled& scheduled, const Trace& trace) {
  const auto values = [](const std::vector<TensorSpec>& specs, uint64_t seed) {
    std::vector<HostTensor> tensors;
    for (const TensorSpec& spec : specs) {
      tensors.push_back(HostTensor::Zeros(spec.dtype, spec.dims));
      for (int64_t e = 0; e < tensors.back().Elements(); ++e) {
        tensors.back().Set(e, HoneGenerateReal(seed, tensors.size(), static_cast<uint64_t>(e), -1, 1));
      }
    }
    return tensors;
  };
  const auto code = CompileNest(task, scheduled, "kernel");
  if (!code.ok()) return code.status();
  const auto object = LinkCandidate(task, *code);
  if (!object.ok()) return object.status();
  auto runner = CandidateRunner::Load(*object);
  if (!runner.ok()) return runner.status();
  (*runner)->SetInputs(values(task.InputSpecs(), 1), values(task.ConstantSpecs(), 2));
  return Entrant{trace, *object, *std::move(runner)};
}

// The default first. Traces that give the same code enter once.
absl::StatusOr<std::vector<Entrant>> Entrants(const Task& task, std::vector<Trace> grid) {
  const absl::StatusOr<TensorProgram> program = LowerTask(task);
  if (!program.ok()) return program.status();
  grid.insert(grid.begin(), DefaultTrace(task, *program));
  std::vector<Entrant> entrants;
  std::vector<std::string> nests;
  for (const Trace& trace : grid) {
    const auto scheduled = Schedule(task, *program, trace);
    if (!std::holds_alternative<Scheduled>(scheduled)) continue;
    const std::string nest = std::get<Scheduled>(scheduled).nest.ToString();
    if (std::find(nests.begin(), nests.end(), nest) != nests.end()) continue;
    nests.push_back(nest);
    absl::StatusOr<Entrant> entrant = Enter(task, std::get<Scheduled>(scheduled), trace);
    if (!entrant.ok()) return entrant.status();
    entrants.push_back(*std::move(entrant));
  }
  return entrants;
}

// Drops what a tuner would refuse for its rounding.
void DropInexact(const Task& task, std::vector<Entrant>* entrants) {
  constexpr double kTolerance = 2e-5;
  HostTensor expected;
  for (Entrant& entrant : *entrants) {
    const TensorSpec spec = task.OutputSpecs()[0];
    std::vector<HostTensor> outputs = {HostTensor::Zeros(spec.dtype, spec.dims)};
    entrant.runner->Run();
    entrant.runner->GetOutputs(&outputs);
    if (&entrant == &entrants->front()) expected = outputs[0];
    double most = 0;
    for (int64_t e = 0; e < expected.Elements(); ++e) {
      most = std::max(most, std::fabs(expected.Get(e)));
      entrant.error = std::max(entrant.error, std::fabs(expected.Get(e) - outputs[0].Get(e)));
    }
    entrant.error /= most;
  }
  std::erase_if(*entrants, [](const Entrant& entrant) { return !(entrant.error <= kTolerance); });
}

struct Limits {
  double gflops = 0, memcpy_seconds = 1e9;
};

Limits Measure(const CpuProbe& probe, int rounds, int threads, int64_t bytes,
               std::vector<Entrant>* entrants) {
  const Threads workers(threads);
  constexpr double kMeasurement = 3e-5;   // seconds: the clock does not count
  const std::vector<char> from(static_cast<size_t>(bytes / 2), 1);
  std::vector<char> to(from.size());
  const auto copy = [&] {
    std::memcpy(to.data(), from.data(), from.size());
    asm volatile("" : : "r"(to.data()) : "memory");
  };
  const auto calls = [](double seconds) { return std::max(1, static_cast<int>(kMeasurement / seconds)); };
  copy();
  const int copies = calls(SecondsOf(1, copy));
  for (Entrant& entrant : *entrants) {
    entrant.runner->Run(workers.parallel());
    entrant.calls = calls(SecondsOf(1, [&] { entrant.runner->Run(workers.parallel()); }));
  }
  Limits limits;
  for (int round = 0; round < rounds; ++round) {
    limits.gflops = std::max(limits.gflops, threads * MeasureGflops(probe, 0.001));
    copy();
    limits.memcpy_seconds = std::min(limits.memcpy_seconds, SecondsOf(copies, copy));
    for (Entrant& entrant : *entrants) {
      entrant.runner->Run(workers.parallel());  // caches and predictors, after the one before
      for (int i = 0; i < 2; ++i) {
        entrant.best = std::min(entrant.best,
                                SecondsOf(entrant.calls, [&] { entrant.runner->Run(workers.parallel()); }));
      }
    }
  }
  return limits;
}

void Keep(const std::string& folder, std::string name, const std::string& object) {
  std::replace_if(name.begin(), name.end(), [](char c) { return c == ' ' || c == '/'; }, '_');
  std::ofstream(folder + "/" + name + ".so", std::ios::binary) << object;
}

// Bytes of everything that a run reads or writes, each once.
int64_t CompulsoryBytes(const Task& task) {
  int64_t bytes = 0;
  for (const auto& specs : {task.InputSpecs(), task.ConstantSpecs(), task.OutputSpecs()}) {
    for (const TensorSpec& spec : specs) bytes += spec.Bytes();
  }
  return bytes;
}

struct Options {
  int rounds = 15, threads = 1;
  std::string folder;   // of the objects; empty: they are not kept
  std::vector<Trace> traces;  // to be listed instead of the grid
};

// The best of every other algorithm.
void PrintOthers(const std::vector<Entrant>& entrants, const Entrant& direct, const std::function<double(const Entrant&)>& percent) {
  std::map<std::string, const Entrant*> others;
  for (const Entrant& entrant : entrants) {
    const Primitive& algorithm = *entrant.trace.Find("algorithm");
    if (algorithm.operands[0] == "direct") continue;
    const Entrant*& other = others[absl::StrCat(algorithm.operands[0], " ", std::string(algorithm.Option("levels").value_or("")))];
    if (other == nullptr || entrant.best < other->best) other = &entrant;
  }
  for (const auto& [name, other] : others) {
    std::printf("%-20s %-10s %s %5.2f x direct  %5.1f %%  %9.1f us  error %.1e  %s\n", "", "", name.c_str(), direct.best / other->best,
                percent(*other), other->best * 1e6, other->error, other->trace.ToString().c_str());
  }
}

absl::Status RunSubject(const Subject& subject, bool contract, const CpuProbe& probe, const Target& target,
                        const Options& options) {
  Task task = subject.task(target);
  task.threads = options.threads;
  std::vector<Trace> grid = options.traces;
  if (grid.empty()) grid = contract ? ContractTraces(task) : StageTraces(task);
  absl::StatusOr<std::vector<Entrant>> entrants = Entrants(task, std::move(grid));
  if (!entrants.ok()) return entrants.status();
  if (contract) DropInexact(task, &*entrants);
  const int64_t bytes = CompulsoryBytes(task);
  const Limits limits = Measure(probe, options.rounds, options.threads, bytes, &*entrants);
  const double flops = static_cast<double>(task.Flops().Constant());
  const Entrant& first = entrants->front();
  // The best direct one: other algorithms have a line of their own.
  const auto better = [](const Entrant& a, const Entrant& b) {
    return std::pair(!IsDirect(a.trace), a.best) < std::pair(!IsDirect(b.trace), b.best);
  };
  const Entrant& best = *std::min_element(entrants->begin(), entrants->end(), better);
  if (contract) {
    const auto percent = [&](const Entrant& entrant) { return 100 * flops / entrant.best / 1e9 / limits.gflops; };
    std::printf("%-20s %-10s peak %6.1f GF  default %5.1f %%  best %5.1f %%  %9.1f us  %s\n", subject.name,
                target.ToString().c_str(), limits.gflops, percent(first), percent(best), best.best * 1e6,
                best.trace.ToString().c_str());
    if (options.traces.empty()) {
      PrintOthers(*entrants, best, percent);
    } else {
      for (const Entrant& entrant : *entrants) {
        std::printf("%46s %5.1f %%  %9.1f us  %s\n", "", percent(entrant), entrant.best * 1e6,
                    entrant.trace.ToString().c_str());
      }
    }
  } else {
    const double read = ReadProbe(static_cast<uint64_t>(bytes)).Gbps(static_cast<uint64_t>(bytes), 0.005);
    const double floor = std::max(flops / limits.gflops, static_cast<double>(bytes) / read) * 1e-9;
    std::printf("%-20s %-10s %6.1f GB/s %6.1f GF/s  default %8.1f us  best %8.1f us  roofline %5.1f %% %5.1f %%  memcpy %5.1f %%  %s\n",
                subject.name, target.ToString().c_str(), static_cast<double>(bytes) / best.best * 1e-9,
                flops / best.best * 1e-9, first.best * 1e6, best.best * 1e6, 100 * floor / first.best,
                100 * floor / best.best, 100 * limits.memcpy_seconds / best.best, best.trace.ToString().substr(33).c_str());
  }
  std::fflush(stdout);
  if (options.folder.empty()) return absl::OkStatus();
  Keep(options.folder, absl::StrCat(subject.name, ".", target.ToString(), ".default"), first.object);
  Keep(options.folder, absl::StrCat(subject.name, ".", target.ToString(), ".best"), best.object);
  return absl::OkStatus();
}

int Main(int argc, char** argv) {
  const std::string wanted = argc > 1 ? argv[1] : "all", filter = argc > 2 ? argv[2] : "";
  Options options;
  if (argc > 3) options.rounds = std::atoi(argv[3]);
  if (argc > 4) options.folder = argv[4];
  if (argc > 5) options.threads = std::max(1, std::atoi(argv[5]));
  if (argc > 6) {
    std::ifstream lines(argv[6]);
    for (std::string line; std::getline(lines, line);) {
      const absl::StatusOr<Trace> trace = Trace::Parse(line);
      if (!trace.ok()) {
        std::fprintf(stderr, "%s: %s\n", line.c_str(), trace.status().ToString().c_str());
        return 1;
      }
      options.traces.push_back(*trace);
    }
    if (options.traces.empty()) {
      std::fprintf(stderr, "%s: no schedules there\n", argv[6]);
      return 1;
    }
  }
  const auto lock = HostLock::Acquire(HostLock::Mode::kExclusive);
  if (!lock.ok()) return 1;
  std::printf("%s, %d thread%s, best of %d rounds\n", DetectDevice().cpu_name.c_str(), options.threads,
              options.threads > 1 ? "s" : "", options.rounds);
  int faults = 0;
  for (const CpuProbe& probe : CpuProbes()) {
    const auto target = FindTarget(probe.target);
    if (!target.ok() || !probe.runs_here() || probe.target == "x86-64-v2") continue;
    if (wanted != "all" && wanted != probe.target && !(wanted == "host" && *target == *FindTarget("host"))) continue;
    const auto run = [&](std::span<const Subject> subjects, bool contract) {
      for (const Subject& subject : subjects) {
        if (std::string(subject.name).find(filter) == std::string::npos) continue;
        const absl::Status status = RunSubject(subject, contract, probe, *target, options);
        if (!status.ok()) std::fprintf(stderr, "%s: %s\n", subject.name, status.ToString().c_str());
        faults += status.ok() ? 0 : 1;
      }
    };
    run(kContractSubjects, true);
    run(kStageSubjects, false);
  }
  return faults == 0 ? 0 : 1;
}

}  // namespace
}  // namespace hone

int main(int argc, char** argv) { return hone::Main(argc, argv); }
