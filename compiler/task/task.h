#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "compiler/graph/graph.h"
#include "compiler/target/target.h"
#include "compiler/tensor_program/tensor_program.h"
#include "proto/values/tensor_spec.h"

namespace hone {

enum class AlgorithmPolicy { kFast, kExact };  // kExact forbids what changes rounding beyond summation order

// The unit of tuning: a fused subgraph with fixed boundary layouts, compiled to one function. Constants are
// present by dtype and shape only (IsWrittenByValue() ones by value), so tasks with equal keys share
// measurements and code.
struct Task {
  Graph graph;  // inputs = task inputs; constants = task constants, in order of tensor id
  Target target;
  int threads = 1;
  AlgorithmPolicy policy = AlgorithmPolicy::kFast;

  // The canonical text ("TaskKey"): symbols and tensors renamed, everything that decides the code. Parses
  // back.
  std::string Key() const;
  static absl::StatusOr<Task> Parse(std::string_view key);
  std::string Id() const;     // sha256 of Key()
  std::string Label() const;  // for people: "conv2d 64x56x56 -> 64 3x3 + add + relu"
  DimExpr Flops() const;

  // Constants that are not written by value, in order: the operands of pack_constants.
  std::vector<TensorId> Constants() const;
  std::vector<TensorSpec> InputSpecs() const;  // static tasks only
  std::vector<TensorSpec> ConstantSpecs() const;
  std::vector<TensorSpec> OutputSpecs() const;
};

// The direct algorithm's program, in logical coordinates: inputs, constants (not by value) and outputs in
// task order.
absl::StatusOr<TensorProgram> LowerTask(const Task& task);

}  // namespace hone
