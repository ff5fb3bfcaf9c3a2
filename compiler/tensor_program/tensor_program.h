#pragma once

#include <optional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "compiler/dim_expr/dim_expr.h"
#include "compiler/tensor_program/scalar.h"
#include "proto/values/dtype.h"

namespace hone {

// What a task computes, in logical coordinates, without any order: stages `out[i...] = combine over r... of expr(i, r)`.

struct ProgramTensor {
  enum class Role { kInput, kConstant, kTemporary, kOutput };
  std::string name;              // unique in the program
  Role role = Role::kTemporary;
  DType dtype = DType::kF32;
  std::vector<DimExpr> shape;
};

// An iteration axis: variable in [0, extent).
struct Axis {
  SymbolRef variable;            // its name is the axis' name, unique in the stage: "oc", "oh", "ic"
  DimExpr extent;
};

// How a reduction combines. Sums of f32 accumulate in f32 in compiled code (any order), in f64 in the interpreter;
// integer sums are exact in the accumulator dtype of the stage.
enum class Combine : uint8_t { kNone, kSum, kProd, kMax, kMin, kTuple };

// A declared associative combiner of tuples: parameters 0..n-1 are the left tuple, n..2n-1 the right one.
struct TupleCombiner {
  std::vector<ScalarRef> identity;
  std::vector<ScalarRef> combine;
};

struct TensorProgram;

// A loop that carries state: for t in [0, length) (downwards if reverse): carried = body(carried, inputs at t).
// The body's inputs are, in order: the carried tensors, then the scanned slices; its outputs: the next carried tensors,
// then the slices to stack along axis 0.
struct Scan {
  std::shared_ptr<const TensorProgram> body;
  std::vector<ProgramTensorId> initial;    // carried tensors' initial values
  std::vector<ProgramTensorId> scanned;    // sliced along axis 0
  std::vector<ProgramTensorId> final_carried;   // receives the last carried tuple
  std::vector<ProgramTensorId> stacked;
  DimExpr length;
  bool reverse = false;
};

struct Stage {
  std::string name;                         // unique in the program
  std::vector<Axis> axes;                   // one per dimension of the outputs, in their order
  std::vector<Axis> reduce;                 // empty unless combine != kNone
  Combine combine = Combine::kNone;
  std::vector<ScalarRef> body;              // one per tuple component
  std::vector<ProgramTensorId> outputs;     // one per tuple component, all of the axes' extents
  std::optional<TupleCombiner> tuple;       // combine == kTuple
  std::optional<Scan> scan;                 // then axes, reduce and body are empty
};

// Stages in dependence order; every tensor is written by exactly one stage or is an input/constant.
struct TensorProgram {
  std::vector<ProgramTensor> tensors;
  std::vector<Stage> stages;

  ProgramTensorId AddTensor(ProgramTensor tensor);
  std::vector<ProgramTensorId> TensorsOf(ProgramTensor::Role role) const;   // in order of id
  const Stage* ProducerOf(ProgramTensorId tensor) const;                    // null for inputs and constants
  int UsesOf(ProgramTensorId tensor) const;                                 // number of stages that load it

  // The text form; it parses back to an equal text. Parse verifies too: InvalidArgument.
  std::string ToString() const;
  static absl::StatusOr<TensorProgram> Parse(std::string_view text);
  // Internal, naming the stage: names unique, every tensor written once and before it is read, ranks, types and extents
  // match, combiners pure, and no load provably out of range (unless it is guarded by a select or an `and`).
  absl::Status Verify() const;
};

}  // namespace hone
