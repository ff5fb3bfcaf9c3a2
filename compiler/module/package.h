#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "compiler/graph_passes/cut_graph.h"
#include "compiler/module/module.h"
#include "compiler/plan/plan.h"

namespace hone {

// A C identifier (and file name) from any text: other bytes become '_', a digit at the start gets "m_" before it, at
// most 64 bytes, never empty.
std::string ModuleIdentifier(std::string_view name);

// What describe() returns, as JSON.
struct DescribeFacts {
  const CutGraph* cut = nullptr;
  const Plan* plan = nullptr;
  const ModuleOptions* options = nullptr;
  uint64_t cpu_features = 0;
  bool sidecar = false;
  uint64_t sidecar_digest = 0;
};
std::string DescribeModule(const DescribeFacts& facts);

// The text files around a module: headers, sample program, Makefile, Python loader, README, describe.json, report.json.
ModuleFiles PackageFiles(const Graph& graph, const ModuleOptions& options, const std::string& describe, bool sidecar);

}  // namespace hone
