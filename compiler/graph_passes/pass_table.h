#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "compiler/graph/graph.h"
#include "compiler/task/task_costs.h"

namespace hone {

struct PassOptions {
  Target target;
  int threads = 1;  // as the tasks will have them
  AlgorithmPolicy policy = AlgorithmPolicy::kFast;
  const TaskCosts* costs = nullptr;  // what layouts are chosen by; null: a rule
  std::function<void(const std::string&)>
      remark;  // hears what a pass has to say about its result, a line; may be empty
};

// A rewriting of the whole graph that keeps what it computes (floating-point results up to rounding).
struct GraphPass {
  std::string_view name;
  std::string_view summary;
  absl::Status (*run)(Graph& graph, const PassOptions& options);
};

// In the order they run in.
std::span<const GraphPass> PassTable();

// Runs the table: compacts and verifies after each pass, then shows the graph to `observe` (may be empty).
absl::Status RunPasses(Graph& graph, const PassOptions& options,
                       const std::function<void(const GraphPass&, const Graph&)>& observe = {});

// The passes, one file each.
absl::Status RemoveDeadCode(Graph& graph, const PassOptions& options);
absl::Status SimplifyGraph(Graph& graph, const PassOptions& options);
absl::Status DropPaddedTaps(Graph& graph, const PassOptions& options);
absl::Status RecogniseNormalisation(Graph& graph, const PassOptions& options);
absl::Status RecogniseChannelShuffle(Graph& graph, const PassOptions& options);
absl::Status MoveMaps(Graph& graph, const PassOptions& options);
absl::Status FoldAffine(Graph& graph, const PassOptions& options);
absl::Status MergeConvolutions(Graph& graph, const PassOptions& options);
absl::Status SplitConvTranspose(Graph& graph, const PassOptions& options);
absl::Status MovePooling(Graph& graph, const PassOptions& options);
absl::Status ScaleWeights(Graph& graph, const PassOptions& options);
absl::Status AssignLayouts(Graph& graph, const PassOptions& options);
absl::Status PlaceConcats(Graph& graph, const PassOptions& options);
absl::Status OrderRows(Graph& graph, const PassOptions& options);

}  // namespace hone
