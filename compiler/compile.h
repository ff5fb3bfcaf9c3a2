#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "compiler/codegen/codegen.h"
#include "compiler/frontend/onnx/onnx_import.h"
#include "compiler/graph_passes/cut_graph.h"
#include "compiler/module/build_module.h"
#include "compiler/schedule/trace.h"
#include "compiler/task/task_costs.h"

// Model bytes -> module, one function per arrow of the design; one can stop after any of them and dump text.
namespace hone {

struct CompileOptions {
  Target target;
  int threads = 1;  // the module is tuned for
  AlgorithmPolicy policy = AlgorithmPolicy::kFast;
  std::map<std::string, std::vector<int64_t>> shapes;  // input name -> dims, binds symbols
};

// Unimplemented: lists all nodes that are not supported. InvalidArgument: a broken model, or open dimensions.
absl::StatusOr<Graph> ImportModel(const ModelFiles& files, const CompileOptions& options);
// Runs the graph passes, then cuts. Costs decide on layouts, and where tasks are joined into strips.
absl::StatusOr<CutGraph> CutIntoTasks(Graph graph, const CompileOptions& options, const TaskCosts& costs);
// InvalidArgument: the trace is no schedule of the task.
absl::StatusOr<CompiledTask> CompileTask(const Task& task, const Trace& trace, const std::string& symbol);

// What a user wants to know before anything is queued, as JSON: model, opset, nodes, inputs and outputs
// [{name, dtype, shape: numbers or names of open dimensions}], operators {name: count}, unsupported [{node,
// operator, attribute, opset, reason, remedy}], unbound_symbols [name], and for models that can be compiled
// flops, constant_bytes, tasks [{label, weight, flops}], estimated_tuning_seconds.
absl::StatusOr<std::string> InspectModel(const ModelFiles& files, const CompileOptions& options,
                                         const TaskCosts& costs);

// Text after a phase: "import", any pass name (what the pass remarks in front, in lines that begin with #),
// "cut", "program:<task>", "nest:<task>", "plan". NotFound lists the phases.
absl::StatusOr<std::string> DumpAfter(const ModelFiles& files, const CompileOptions& options,
                                      const TaskCosts& costs, std::string_view phase);

}  // namespace hone
