#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "compiler/dim_expr/dim_expr.h"

namespace hone {

// Where a buffer of a run lives.
enum class BufferKind : uint8_t { kInput, kOutput, kConstant, kArena };

struct Buffer {
  std::string name;
  BufferKind kind = BufferKind::kArena;
  int64_t bytes = 0;          // finite upper bound
  int64_t offset = 0;         // kArena and kConstant: byte offset, 64-byte aligned; kInput/kOutput: position
  int first_step = -1, last_step = -1;   // lifetime
};

// A step of `run`. Buffers by index. If, loop and select-bucket bodies are nested plans.
struct CallTask {
  int compiled_task = -1;     // index into the module's compiled tasks
  std::vector<int> buffers;   // inputs, packed constants, outputs
};
struct CallRuntime {
  std::string function;       // of compiler/runtime
  std::vector<int> buffers;
};
struct EvaluateShape {
  int slot = 0;               // into the run's table of int64 sizes
  DimExpr value;
};
struct Alias {
  int buffer = -1, of = -1;
};
struct Plan;
struct If {
  int condition = -1;         // buffer of one bool
  std::vector<Plan> branches; // then, else
};
struct Loop {
  int trip_count = -1;        // buffer of one i64
  std::vector<Plan> body;     // one plan
};
struct SelectBucket {
  int slot = 0;               // which size selects
  std::vector<int64_t> upper; // ascending bounds, one per bucket
  std::vector<Plan> buckets;
};
using Step = std::variant<CallTask, CallRuntime, EvaluateShape, Alias, If, Loop, SelectBucket>;

// The whole `run` as data: printable, verified, planned for memory; code generation emits `run` from it.
struct Plan {
  std::vector<Buffer> buffers;
  std::vector<Step> steps;
  int64_t arena_bytes = 0;
  int64_t constant_bytes = 0;
  int64_t scratch_bytes = 0;  // shared by all tasks, at the end of the arena
  std::string ToString() const;
};

}  // namespace hone
