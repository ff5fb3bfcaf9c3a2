#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "compiler/dim_expr/dim_expr.h"
#include "compiler/graph/graph.h"
#include "compiler/layout/axis_transform.h"
#include "compiler/layout/layout.h"

namespace hone {

// Where a buffer of a run lives.
enum class BufferKind : uint8_t { kInput, kOutput, kConstant, kArena };

struct Buffer {
  std::string name;
  BufferKind kind = BufferKind::kArena;
  int64_t bytes = 0;          // finite upper bound
  int64_t offset = 0;         // kArena and kConstant: byte offset, 64-byte aligned; kInput/kOutput: position
  int first_step = -1, last_step = -1;   // lifetime, both included; -1: never used
};

// What a kConstant buffer holds: a graph constant, transformed, in a layout, padding zero. Shared by all calls that want the same.
struct PackedTensor {
  int buffer = -1;
  TensorId tensor;
  Layout layout;
  AxisTransforms transforms;
};

// A step of `run`. Buffers by index. If, loop and select-bucket bodies are nested plans.
struct CallTask {
  int compiled_task = -1;     // index into the module's compiled tasks
  std::vector<int> buffers;   // inputs, packed constants, outputs
  int outputs = 0;            // so many of the last ones are written
};
struct CallRuntime {
  std::string function;       // of compiler/runtime; "copy": all bytes of the first buffer to the second
  std::vector<int> buffers;
};
struct EvaluateShape {
  int slot = 0;               // into the run's table of int64 sizes
  DimExpr value;
};
struct Alias {
  int buffer = -1, of = -1;
  int64_t offset = 0;         // bytes
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
  std::vector<PackedTensor> constants;
  int64_t arena_bytes = 0;    // with scratch
  int64_t constant_bytes = 0;
  int64_t scratch_bytes = 0;  // shared by all tasks: the last bytes of the arena
  std::string ToString() const;
  // Internal unless every step's buffers exist and live there, views lie inside what they view, no two buffers that
  // live at the same time overlap unless one views the other or both the same, and of these no byte is written twice.
  absl::Status Verify() const;
};

}  // namespace hone
