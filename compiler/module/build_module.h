#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "compiler/codegen/codegen.h"
#include "compiler/graph_passes/cut_graph.h"
#include "compiler/module/module.h"

namespace hone {

// Plans, packs the constants, links: the files of a module (module.h). tasks[i] is the compiled cut.tasks[i]; their
// symbols are distinct. Memory: a few times the packed constants. Thread-safe.
absl::StatusOr<ModuleFiles> BuildModule(const CutGraph& cut, const std::vector<CompiledTask>& tasks,
                                        const ModuleOptions& options);

}  // namespace hone
