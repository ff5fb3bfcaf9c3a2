// untuned_module MODEL.onnx OUT_DIR [target=T] [rule] [join] [reference] [exact] [INPUT=1,3,224,224 ...]
//
// The module that a job without trials makes for one thread, without server: what the models' conformance
// runs. `rule`: with layouts by rule; `join`: tasks that can be computed over strips together are, whatever
// that costs; `reference`: of reference traces; `exact`: without algorithms that change rounding.
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
  bool reference = false, rule = false, join = false;
  CompileOptions options;
};

absl::StatusOr<Request> ParseArguments(int argc, char** argv) {
  if (argc < 3)
    return absl::InvalidArgumentError(
        "usage: untuned_module MODEL OUT_DIR [target=T] [rule] [join] [reference] [exact] [INPUT=dims ...]");
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

absl::StatusOr<ModuleFiles> Build(const Request& request) {
  std::ifstream file(request.model, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  const auto bytes = std::make_shared<const std::string>(text.str());
  absl::StatusOr<Graph> graph =
      ImportModel({"model", "model.onnx", {{"model.onnx", {*bytes, bytes}}}}, request.options);
  if (!graph.ok()) return graph.status();
  const Roofline roofline = Roofline::Of(Device(), request.options.target);
  const PriorCosts prior(roofline);
  const EqualCosts equal(request.join ? 1 : 0);
  const bool priced = !request.rule && !request.join;
  const absl::StatusOr<CutGraph> cut =
      CutIntoTasks(*std::move(graph), request.options, priced ? static_cast<const TaskCosts&>(prior) : equal);
  if (!cut.ok()) return cut.status();
  ModuleOptions options{.name = "model",
                        .model_digest = Sha256Hex(*bytes),
                        .compiler_build = CompilerBuild(),
                        .target = request.options.target};
  std::vector<CompiledTask> tasks;
  for (const Task& task : cut->tasks) {
    const absl::StatusOr<TensorProgram> program = LowerTask(task);
    if (!program.ok()) return program.status();
    const absl::StatusOr<Anchor> anchor = FindAnchor(*program);
    if (!anchor.ok()) return anchor.status();
    const Trace trace =
        request.reference ? ReferenceTrace() : PickZeroTrial(task, *program, *anchor, roofline).trace;
    absl::StatusOr<CompiledTask> compiled =
        CompileTask(task, trace, absl::StrCat("hone_task_", tasks.size()));
    if (!compiled.ok()) return compiled.status();
    tasks.push_back(*std::move(compiled));
    options.traces.push_back(trace.ToString());
  }
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
