#pragma once

#include <functional>
#include <span>
#include <string_view>

#include "absl/status/status.h"
#include "compiler/graph/graph.h"
#include "compiler/target/target.h"

namespace hone {

// A rewriting of the whole graph that keeps what it computes (floating-point results up to rounding).
struct GraphPass {
  std::string_view name;
  std::string_view summary;
  absl::Status (*run)(Graph& graph, const Target& target);
};

// In the order they run in.
std::span<const GraphPass> PassTable();

// Runs the table: compacts and verifies after each pass, then shows the graph to `observe` (may be empty).
absl::Status RunPasses(Graph& graph, const Target& target,
                       const std::function<void(const GraphPass&, const Graph&)>& observe = {});

// The passes, one file each.
absl::Status RemoveDeadCode(Graph& graph, const Target& target);
absl::Status SimplifyGraph(Graph& graph, const Target& target);
absl::Status RecogniseNormalisation(Graph& graph, const Target& target);
absl::Status RecogniseChannelShuffle(Graph& graph, const Target& target);
absl::Status FoldAffine(Graph& graph, const Target& target);
absl::Status SplitConvTranspose(Graph& graph, const Target& target);
absl::Status MovePooling(Graph& graph, const Target& target);
absl::Status ScaleWeights(Graph& graph, const Target& target);
absl::Status AssignLayouts(Graph& graph, const Target& target);
absl::Status PlaceConcats(Graph& graph, const Target& target);

}  // namespace hone
