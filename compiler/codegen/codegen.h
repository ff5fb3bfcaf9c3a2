#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "compiler/codegen/link.h"
#include "compiler/layout/axis_transform.h"
#include "compiler/layout/layout.h"
#include "compiler/schedule/schedule.h"
#include "compiler/task/task.h"

namespace hone {

// How a task constant is stored for the compiled task: its logical tensor, transformed, in this layout (padding zero).
struct PackedConstant {
  int constant = 0;            // index into Task::Constants()
  Layout layout;
  int64_t bytes = 0;           // rounded up to 64
  AxisTransforms transforms;
};

// Compiled code of one task under one trace. The entry point is
//   int32_t symbol(void* const* buffers, void* scratch, const HoneParallel* parallel)   (0 = ok)
// buffers: inputs (in their boundary layouts), packed constants (in the order of `constants`), outputs. All buffers and
// scratch are 64-byte aligned.
struct CompiledTask {
  std::string symbol;
  std::vector<ObjectRef> objects;
  std::vector<PackedConstant> constants;
  int64_t scratch_bytes = 0;
  NestStatistics statistics;
};

// Everything is thread-safe and pure: the same task and schedule give the same bytes, whatever was compiled or linked before.
absl::StatusOr<CompiledTask> CompileNest(const Task& task, const Scheduled& scheduled, const std::string& symbol);

// The candidate shared object of compiler/runtime/hone_candidate.h. Contains the task, packing and unpacking.
absl::StatusOr<std::string> LinkCandidate(const Task& task, const CompiledTask& compiled);

// "llvm 19.1.7, hone <digest of the code generator's sources>": part of every record.
std::string CompilerBuild();

}  // namespace hone
