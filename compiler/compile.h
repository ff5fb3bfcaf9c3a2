#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "compiler/codegen/codegen.h"
#include "compiler/frontend/onnx/onnx_import.h"
#include "compiler/graph_passes/cut_graph.h"
#include "compiler/module/module.h"
#include "compiler/schedule/trace.h"

// Model bytes -> module, one function per arrow of the design; one can stop after any of them and dump text.
namespace hone {

struct CompileOptions {
  Target target;
  int threads = 1;                                        // the module is tuned for
  AlgorithmPolicy policy = AlgorithmPolicy::kFast;
  std::map<std::string, std::vector<int64_t>> shapes;     // input name -> dims, binds symbols
};

// What a task is expected to cost; owned by the compiler, answered by the tuner (roofline prior, then records).
class TaskCosts {
 public:
  virtual ~TaskCosts() = default;
  virtual double SecondsFor(const Task& task) const = 0;
};

absl::StatusOr<Graph> ImportModel(const ModelFiles& files, const CompileOptions& options);
absl::StatusOr<CutGraph> CutIntoTasks(Graph graph, const CompileOptions& options, const TaskCosts& costs);
absl::StatusOr<CompiledTask> CompileTask(const Task& task, const Trace& trace, const std::string& symbol);
// One trace per task of the cut, in order.
absl::StatusOr<ModuleFiles> BuildModule(const CutGraph& cut, const std::vector<CompiledTask>& tasks,
                                        const ModuleOptions& options);

// Text after a phase: "import", any pass name, "cut", "program:<task>", "plan". NotFound lists the phases.
absl::StatusOr<std::string> DumpAfter(const ModelFiles& files, const CompileOptions& options, std::string_view phase);

}  // namespace hone
