// untuned_module MODEL.onnx OUT_DIR [target=T] [threads=N] [calibration=FILE] [rule] [join] [reference]
// [exact] [trace=T] [INPUT=1,3,224,224 ...]
//
// The module that a job without trials makes, without server: what the models' conformance runs. For one
// thread and a nominal device, unless `threads` and the file of this machine's calibration (hone-worker's
// calibration.json) are given. `rule`: with layouts by rule; `join`: tasks that can be computed over strips
// together are, whatever that costs; `reference`: of reference traces; `exact`: without algorithms that
// change rounding; `trace`: this schedule for all tasks that it is legal for, to see it inside a model.
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "compiler/compile.h"
#include "proto/values/sha256.h"
#include "tuner/prior_costs.h"
#include "tuner/zero_trial.h"
#include "worker/calibration_store.h"
#include "worker/device_detection.h"

namespace hone {
namespace {

// Of equal costs, what the rule says stays; but the fewer tasks the better, unless they cost nothing.
class EqualCosts : public TaskCosts {
 public:
  explicit EqualCosts(double seconds) : seconds_(seconds) {}
  double SecondsFor(const Task&) const override { return seconds_; }

 private:
  const double seconds_;
};

struct Request {
  std::string model, out;
  std::string calibration;  // file
  std::optional<Trace> trace;
  bool reference = false, rule = false, join = false;
  CompileOptions options;
};

absl::StatusOr<Request> ParseArguments(int argc, char** argv) {
  if (argc < 3)
    return absl::InvalidArgumentError(
        "usage: untuned_module MODEL OUT_DIR [target=T] [threads=N] [calibration=FILE] [rule] [join] "
        "[reference] [exact] [trace=T] [INPUT=dims ...]");
  Request request{.model = argv[1], .out = argv[2]};
  std::string target = "host";
  for (int i = 3; i < argc; ++i) {
    const std::vector<std::string> parts = absl::StrSplit(argv[i], absl::MaxSplits('=', 1));
    if (parts[0] == "reference") {
      request.reference = true;
    } else if (parts[0] == "rule") {
      request.rule = true;
    } else if (parts[0] == "join") {
      request.join = true;
    } else if (parts[0] == "exact") {
      request.options.policy = AlgorithmPolicy::kExact;
    } else if (parts[0] == "target") {
      target = parts.back();
    } else if (parts[0] == "trace") {
      absl::StatusOr<Trace> trace = Trace::Parse(parts.back());
      if (!trace.ok()) return trace.status();
      request.trace = *std::move(trace);
    } else if (parts[0] == "calibration") {
      request.calibration = parts.back();
    } else if (parts[0] == "threads") {
      if (!absl::SimpleAtoi(parts.back(), &request.options.threads) || request.options.threads < 1)
        return absl::InvalidArgumentError(absl::StrCat("bad number of threads: ", argv[i]));
    } else {
      for (const std::string& dim :
           static_cast<std::vector<std::string>>(absl::StrSplit(parts.back(), ','))) {
        int64_t size = 0;
        if (!absl::SimpleAtoi(dim, &size))
          return absl::InvalidArgumentError(absl::StrCat("bad shape ", argv[i]));
        request.options.shapes[parts[0]].push_back(size);
      }
    }
  }
  absl::StatusOr<Target> found = FindTarget(target);
  if (!found.ok()) return found.status();
  request.options.target = *found;
  return request;
}

// As a job has it: with all of the model's constants between a task's runs.
absl::StatusOr<Roofline> RooflineFor(const Request& request, const Graph& graph) {
  Device device;
  if (!request.calibration.empty()) {
    device = DetectDevice();
    const std::optional<Calibration> stored = StoredCalibration(request.calibration, device);
    if (!stored)
      return absl::FailedPreconditionError(
          absl::StrCat(request.calibration, " keeps nothing of this device, ", device.device_class));
    device.calibration = *stored;
  }
  Roofline roofline = Roofline::Of(device, request.options.target);
  for (int t = 0; t < graph.tensor_count() && !request.calibration.empty(); ++t) {
    const std::shared_ptr<const ConstantData>& constant = graph.tensor({t}).constant;
    if (constant != nullptr) roofline.model_constant_bytes += static_cast<double>(constant->size);
  }
  return roofline;
}

absl::StatusOr<ModuleFiles> Build(const Request& request) {
  std::ifstream file(request.model, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  const auto bytes = std::make_shared<const std::string>(text.str());
  absl::StatusOr<Graph> graph =
      ImportModel({"model", "model.onnx", {{"model.onnx", {*bytes, bytes}}}}, request.options);
  if (!graph.ok()) return graph.status();
  const absl::StatusOr<Roofline> roofline = RooflineFor(request, *graph);
  if (!roofline.ok()) return roofline.status();
  const PriorCosts prior(*roofline);
  const EqualCosts equal(request.join ? 1 : 0);
  const bool priced = !request.rule && !request.join;
  const absl::StatusOr<CutGraph> cut =
      CutIntoTasks(*std::move(graph), request.options, priced ? static_cast<const TaskCosts&>(prior) : equal);
  if (!cut.ok()) return cut.status();
  ModuleOptions options{.name = "model",
                        .model_digest = Sha256Hex(*bytes),
                        .compiler_build = CompilerBuild(),
                        .target = request.options.target,
                        .threads = request.options.threads};
  std::vector<CompiledTask> tasks;
  int given = 0;
  for (const Task& task : cut->tasks) {
    const absl::StatusOr<TensorProgram> program = LowerTask(task);
    if (!program.ok()) return program.status();
    const absl::StatusOr<Anchor> anchor = FindAnchor(*program);
    if (!anchor.ok()) return anchor.status();
    Trace trace =
        request.reference ? ReferenceTrace() : PickZeroTrial(task, *program, *anchor, *roofline).trace;
    if (request.trace && std::holds_alternative<Scheduled>(Schedule(task, *program, *request.trace))) {
      trace = *request.trace;
      ++given;
    }
    absl::StatusOr<CompiledTask> compiled =
        CompileTask(task, trace, absl::StrCat("hone_task_", tasks.size()));
    if (!compiled.ok()) return compiled.status();
    tasks.push_back(*std::move(compiled));
    options.traces.push_back(trace.ToString());
  }
  if (request.trace && given == 0)
    return absl::InvalidArgumentError(absl::StrCat("legal for no task: ", request.trace->ToString()));
  return BuildModule(*cut, tasks, options);
}

int Main(int argc, char** argv) {
  const absl::StatusOr<Request> request = ParseArguments(argc, argv);
  const absl::StatusOr<ModuleFiles> files = request.ok() ? Build(*request) : request.status();
  if (!files.ok()) {
    std::cerr << files.status() << "\n";
    return 1;
  }
  std::filesystem::create_directories(request->out);
  for (const auto& [name, contents] : *files) {
    std::ofstream file(std::filesystem::path(request->out) / name, std::ios::binary);
    file << contents;
  }
  return 0;
}

}  // namespace
}  // namespace hone

int main(int argc, char** argv) { return hone::Main(argc, argv); }
