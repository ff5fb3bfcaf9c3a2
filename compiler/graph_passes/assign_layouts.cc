// Layouts of images: those of the rule, or those that the solver finds where they cost less once the graph is
// cut.
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "compiler/graph_passes/fuse_into_tasks.h"
#include "compiler/graph_passes/pass_table.h"
#include "compiler/graph_passes/solve_layouts.h"

namespace hone {
namespace {

// Seconds of all tasks of the graph in these layouts.
absl::StatusOr<double> SecondsOfCut(Graph graph, const LayoutChoice& choice, const PassOptions& options) {
  if (absl::Status status = ApplyLayouts(choice, &graph); !status.ok()) return status;
  graph.Compact();
  if (absl::Status status = PlaceConcats(graph, options); !status.ok()) return status;
  graph.Compact();
  const absl::StatusOr<CutGraph> cut =
      FuseIntoTasks(std::move(graph), options.target, options.threads, options.policy);
  if (!cut.ok()) return cut.status();
  return cut->SecondsBy(*options.costs);
}

}  // namespace

absl::Status AssignLayouts(Graph& graph, const PassOptions& options) {
  const LayoutChoice rule = LayoutsByRule(graph, options.target);
  if (options.costs == nullptr) return ApplyLayouts(rule, &graph);
  const absl::StatusOr<LayoutSolution> solved = SolveLayouts(graph, options);
  if (absl::IsNotFound(solved.status())) {
    if (options.remark)
      options.remark(absl::StrCat("layouts by rule: ", std::string(solved.status().message())));
    return ApplyLayouts(rule, &graph);
  }
  if (!solved.ok()) return solved.status();
  const absl::StatusOr<double> by_rule = SecondsOfCut(graph, rule, options);
  if (!by_rule.ok()) return by_rule.status();
  const absl::StatusOr<double> by_solver = SecondsOfCut(graph, solved->choice, options);
  if (!by_solver.ok()) return by_solver.status();
  // What prices do not tell for sure is left to the rule: models have more tasks in common then.
  const bool better = *by_solver < kClearlyCheaper * *by_rule;
  if (options.remark) {
    options.remark(
        absl::StrFormat("layouts of %d images: %s; tasks cost %.4g ms solved (%s), %.4g ms by rule",
                        solved->variables, better ? "solved" : "by rule", 1e3 * *by_solver,
                        solved->optimal ? "proven optimal" : "not proven optimal", 1e3 * *by_rule));
  }
  return ApplyLayouts(better ? solved->choice : rule, &graph);
}

}  // namespace hone
