#include "compiler/compile.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "compiler/graph_passes/fuse_into_tasks.h"
#include "compiler/graph_passes/pass_table.h"
#include "compiler/plan/build_plan.h"

namespace hone {
namespace {

constexpr size_t kMaxListed = 20;

absl::Status UnsupportedError(const OnnxImport& import) {
  std::string text = absl::StrCat(import.unsupported.size(), " nodes are not supported:");
  for (size_t i = 0; i < import.unsupported.size() && i < kMaxListed; ++i) {
    const UnsupportedNode& node = import.unsupported[i];
    absl::StrAppend(&text, "\n  '", node.node, "' (", node.op, node.attribute.empty() ? "" : ", ",
                    node.attribute, ", opset ", node.opset, "): ", node.reason, "; ", node.remedy);
  }
  return absl::UnimplementedError(text);
}

absl::Status UnboundError(const OnnxImport& import) {
  std::string text = "dimensions are open; give the inputs' shapes:";
  for (const InterfaceTensor& input : import.inputs) {
    absl::StrAppend(&text, " --shape ", input.name, "=", ShapeText(input.type.shape));
  }
  return absl::InvalidArgumentError(text);
}

absl::StatusOr<Scheduled> ScheduleTask(const Task& task, const Trace& trace) {
  const absl::StatusOr<TensorProgram> program = LowerTask(task);
  if (!program.ok()) return program.status();
  std::variant<Scheduled, Rejection> scheduled = Schedule(task, *program, trace);
  if (const Rejection* rejection = std::get_if<Rejection>(&scheduled)) {
    return absl::InvalidArgumentError(absl::StrCat("trace '", trace.ToString(), "' of ", task.Label(), ": ",
                                                   std::string(RejectionText(*rejection))));
  }
  return std::get<Scheduled>(std::move(scheduled));
}

absl::StatusOr<Scheduled> ScheduleByDefault(const Task& task) {
  const absl::StatusOr<TensorProgram> program = LowerTask(task);
  if (!program.ok()) return program.status();
  return ScheduleTask(task, DefaultTrace(task, *program));
}

absl::StatusOr<std::string> DumpPlan(const CutGraph& cut) {
  std::vector<CompiledTask> tasks;
  for (size_t i = 0; i < cut.tasks.size(); ++i) {
    const absl::StatusOr<Scheduled> scheduled = ScheduleByDefault(cut.tasks[i]);
    if (!scheduled.ok()) return scheduled.status();
    absl::StatusOr<CompiledTask> task = CompileNest(cut.tasks[i], *scheduled, absl::StrCat("hone_task_", i));
    if (!task.ok()) return task.status();
    tasks.push_back(*std::move(task));
  }
  const absl::StatusOr<Plan> plan = BuildPlan(cut, tasks);
  if (!plan.ok()) return plan.status();
  return plan->ToString();
}

// "program:3" and "nest:3".
absl::StatusOr<std::string> DumpTask(const CutGraph& cut, const std::string& phase) {
  const size_t colon = phase.find(':');
  int index = -1;
  if (!absl::SimpleAtoi(phase.substr(colon + 1), &index) || index < 0 ||
      index >= static_cast<int>(cut.tasks.size())) {
    return absl::NotFoundError(
        absl::StrCat("'", phase, "': the model has tasks 0 to ", cut.tasks.size() - 1));
  }
  if (phase.starts_with("program:")) {
    const absl::StatusOr<TensorProgram> program = LowerTask(cut.tasks[index]);
    if (!program.ok()) return program.status();
    return program->ToString();
  }
  const absl::StatusOr<Scheduled> scheduled = ScheduleByDefault(cut.tasks[index]);
  if (!scheduled.ok()) return scheduled.status();
  return scheduled->nest.ToString();
}

PassOptions PassOptionsOf(const CompileOptions& options, const TaskCosts& costs) {
  return {.target = options.target, .threads = options.threads, .policy = options.policy, .costs = &costs};
}

absl::StatusOr<CutGraph> Cut(Graph graph, const CompileOptions& options, const TaskCosts& costs) {
  return FuseIntoTasks(std::move(graph), options.target, options.threads, options.policy, &costs);
}

std::string PhaseNames() {
  std::string text = "import";
  for (const GraphPass& pass : PassTable()) absl::StrAppend(&text, ", ", std::string(pass.name));
  return text + ", cut, program:<task>, nest:<task>, plan";
}

}  // namespace

absl::StatusOr<Graph> ImportModel(const ModelFiles& files, const CompileOptions& options) {
  absl::StatusOr<OnnxImport> import = ImportOnnx(files, options.shapes);
  if (!import.ok()) return import.status();
  if (!import->unsupported.empty()) return UnsupportedError(*import);
  if (!import->unbound_symbols.empty()) return UnboundError(*import);
  return std::move(import->graph);
}

absl::StatusOr<CutGraph> CutIntoTasks(Graph graph, const CompileOptions& options, const TaskCosts& costs) {
  if (absl::Status status = RunPasses(graph, PassOptionsOf(options, costs)); !status.ok()) return status;
  return Cut(std::move(graph), options, costs);
}

absl::StatusOr<CompiledTask> CompileTask(const Task& task, const Trace& trace, const std::string& symbol) {
  const absl::StatusOr<Scheduled> scheduled = ScheduleTask(task, trace);
  if (!scheduled.ok()) return scheduled.status();
  return CompileNest(task, *scheduled, symbol);
}

absl::StatusOr<std::string> DumpAfter(const ModelFiles& files, const CompileOptions& options,
                                      const TaskCosts& costs, std::string_view phase) {
  const std::string wanted(phase);
  absl::StatusOr<Graph> graph = ImportModel(files, options);
  if (!graph.ok()) return graph.status();
  if (wanted == "import") return graph->ToString();
  std::string text, remarks;
  const auto observe = [&](const GraphPass& pass, const Graph& after) {
    if (pass.name == wanted) text = remarks + after.ToString();
    remarks.clear();
  };
  PassOptions passes = PassOptionsOf(options, costs);
  passes.remark = [&](const std::string& line) { absl::StrAppend(&remarks, "# ", line, "\n"); };
  if (absl::Status status = RunPasses(*graph, passes, observe); !status.ok()) return status;
  if (!text.empty()) return text;
  const absl::StatusOr<CutGraph> cut = Cut(*std::move(graph), options, costs);
  if (!cut.ok()) return cut.status();
  if (wanted == "cut") return cut->ToString();
  if (wanted == "plan") return DumpPlan(*cut);
  if (wanted.starts_with("program:") || wanted.starts_with("nest:")) return DumpTask(*cut, wanted);
  return absl::NotFoundError(absl::StrCat("no phase '", wanted, "'; there are: ", PhaseNames()));
}

}  // namespace hone
