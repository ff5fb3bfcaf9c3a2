#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "compiler/dim_expr/dim_expr.h"
#include "compiler/tensor_program/tensor_program.h"
#include "proto/values/dtype.h"

namespace hone {

struct TensorType {
  DType dtype = DType::kF32;
  std::vector<DimExpr> shape;
  int rank() const { return static_cast<int>(shape.size()); }
  std::string ToString() const;  // "f32[1,64,s0]"
  bool operator==(const TensorType&) const = default;
};

// Attribute values; dimension lists may be symbolic. Text form: 3, 0.5, "text", [1, s0], [0.5, 2.0], i64 (a
// dtype).
using AttrValue =
    std::variant<int64_t, double, std::string, std::vector<DimExpr>, std::vector<double>, DType>;
using AttrMap = std::map<std::string, AttrValue>;

// Typed access with defaults; the operator's table row states which attributes exist.
int64_t IntAttr(const AttrMap& attrs, std::string_view name, int64_t fallback = 0);
double FloatAttr(const AttrMap& attrs, std::string_view name, double fallback = 0);
std::string StringAttr(const AttrMap& attrs, std::string_view name, std::string_view fallback = "");
std::vector<DimExpr> DimsAttr(const AttrMap& attrs, std::string_view name);
std::vector<int64_t> IntsAttr(const AttrMap& attrs, std::string_view name);  // constant dims only
std::vector<double> FloatsAttr(const AttrMap& attrs, std::string_view name);
DType DTypeAttr(const AttrMap& attrs, std::string_view name);
std::string AttrsText(const AttrMap& attrs);
absl::StatusOr<AttrMap> ParseAttrs(std::string_view text, const std::map<std::string, SymbolRef>& symbols);

// An attribute that an operator takes.
struct AttrSpec {
  enum class Kind : uint8_t { kInt, kReal, kText, kInts /* constant */, kDims, kReals, kDType };
  std::string_view name;
  Kind kind;
  bool required = false;
  std::string_view choices = {};  // kText: the allowed values, separated by '|'
};

// What passes may know of an operator. They ask for the class, never for the name.
enum class OpClass : uint8_t {
  kElementwise,  // out[i] = f(a[i], b[i], ...) with numpy broadcasting; fuses into anything
  kContraction,  // matmul-like: sum of products; anchors a task
  kWindow,       // depthwise convolution, pooling; anchors a task
  kRow,          // softmax, normalisation, reductions; anchors a task
  kData,  // transpose, concat, slice, gather, pad, resize: moves elements; anchors a task, may fuse with
          // elementwise
  kView,  // reshape-like: the same row-major bytes under another shape; no task where layouts are plain
};

// Everything that a row needs to append its stages: operand tensors of the program, types, attributes.
struct OpLowering {
  TensorProgram& program;
  const AttrMap& attrs;
  std::vector<ProgramTensorId> inputs;
  std::vector<TensorType> input_types;
  std::vector<ProgramTensorId> outputs;  // already added, to be written by stages
  std::vector<TensorType> output_types;
  std::string prefix;  // for names of stages and temporaries: unique in the program
};

// One generated test: operand shapes and attributes over odd sizes (1, 3, 7, 17, primes).
struct OpCase {
  std::string name;
  std::vector<TensorType> inputs;
  AttrMap attrs;
  double low = -1, high = 1;  // range of the generated values
};

// An operator of the normalised set: everything the compiler knows of it.
struct OpRow {
  std::string_view name;  // "conv2d"
  OpClass op_class;
  int min_inputs, max_inputs;
  std::string_view summary;  // one line: semantics, attributes, shapes
  // Total: any attributes and inputs give types or InvalidArgument that names the fault.
  absl::StatusOr<std::vector<TensorType>> (*infer)(const AttrMap& attrs, std::span<const TensorType> inputs);
  absl::Status (*lower)(const OpLowering& context);  // requires that infer accepts
  std::vector<OpCase> (*cases)();
  // Nominal multiply-adds x 2 plus other operations, for one evaluation.
  DimExpr (*flops)(const AttrMap& attrs, std::span<const TensorType> inputs,
                   std::span<const TensorType> outputs);
  std::span<const AttrSpec> attributes;  // all that exist; infer refuses others
};

std::span<const OpRow> OpTable();
const OpRow* FindOp(std::string_view name);  // null if there is none

}  // namespace hone
