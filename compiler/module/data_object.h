#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "compiler/codegen/codegen.h"
#include "compiler/graph/graph.h"
#include "compiler/plan/plan.h"

namespace hone {

struct ModuleTables {
  const Plan* plan = nullptr;
  const Graph* graph = nullptr;                      // names, types and shapes of inputs and outputs
  const std::vector<CompiledTask>* tasks = nullptr;
  std::string triple;
  std::string describe;                              // JSON
  int threads = 1;
  uint64_t cpu_features = 0;
  std::string constants_symbol;                      // empty: there are none, or they are in the sidecar
  uint64_t sidecar_digest = 0;
};

// The object that defines hone_module_data (compiler/runtime/module_data.h). Unimplemented, with the reason, for what
// the runtime does not interpret yet: symbolic shapes and control flow.
absl::StatusOr<std::string> WriteDataObject(const ModuleTables& tables);

}  // namespace hone
