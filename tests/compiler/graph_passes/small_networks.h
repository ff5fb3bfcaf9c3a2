#pragma once

#include <string>
#include <vector>

#include "compiler/graph_passes/cut_graph.h"
#include "compiler/tensor_program/interpreter.h"

namespace hone {

// Graphs of a few nodes, as the frontend makes them: what passes and cut are tried on.
struct SmallNetwork {
  std::string name;
  Graph graph;
};
std::vector<SmallNetwork> SmallNetworks();
Graph FindSmallNetwork(const std::string& name);

std::vector<HostTensor> MakeInputs(const Graph& graph);

// Evaluates the calls of a cut through their tasks' programs, in order.
absl::StatusOr<std::vector<HostTensor>> EvaluateCut(const CutGraph& cut,
                                                    const std::vector<HostTensor>& inputs);

// The largest difference, relative to the largest value.
double Difference(const std::vector<HostTensor>& a, const std::vector<HostTensor>& b);

}  // namespace hone
