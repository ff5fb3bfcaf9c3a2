#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "compiler/ops/op.h"
#include "compiler/ops/op_signature.h"

// What the files of this folder share: the parts of the table and helpers to write rows.
namespace hone {

std::vector<OpRow> ElementwiseRows();
std::vector<OpRow> ContractionRows();
std::vector<OpRow> WindowRows();
std::vector<OpRow> RowRows();
std::vector<OpRow> DataRows();
std::vector<OpRow> ResizeRows();
std::vector<OpRow> ViewRows();

absl::Status OpError(const std::string& what);

// A constant of any element type; what an integer type cannot hold saturates.
ScalarRef Literal(double value, DType dtype);

// Axes named after `names` with these extents; extents are constant or symbolic.
std::vector<Axis> MakeAxes(const std::vector<std::string>& names, const std::vector<DimExpr>& extents);
std::vector<Axis> NumberedAxes(const std::string& prefix, const std::vector<DimExpr>& extents);
std::vector<LoadIndex> Identity(const std::vector<Axis>& axes);

// Appends a stage that writes output `output` of the context.
void AddStage(const OpLowering& context, ProgramTensorId output, const std::string& name,
              std::vector<Axis> axes, std::vector<Axis> reduce, Combine combine, ScalarRef body);
// A new temporary of the context's program.
ProgramTensorId AddTemporary(const OpLowering& context, const std::string& name, DType dtype,
                             std::vector<DimExpr> shape);

// Numpy broadcasting.
absl::StatusOr<std::vector<DimExpr>> BroadcastShapes(const std::vector<DimExpr>& a,
                                                     const std::vector<DimExpr>& b);
// The load of an operand of shape `shape` at the last axes; dimensions of extent one are taken at 0.
ScalarRef BroadcastLoad(ProgramTensorId tensor, const TensorType& type, const std::vector<Axis>& axes);

DimExpr ElementsOf(const TensorType& type);
// A negative axis counts from the end; InvalidArgument outside [-rank, rank).
absl::StatusOr<int> NormaliseAxis(int64_t axis, int rank);

// An input with zeros (or `value`) around dimensions 2.. as a stage of its own; the tensor itself without
// padding.
struct Padding {
  std::vector<int64_t> before, after;  // per spatial dimension
};
ProgramTensorId PadInput(const OpLowering& context, const Padding& padding, double value);

// For test cases and attributes.
TensorType F32(std::vector<int64_t> dims);
std::vector<DimExpr> Dims(std::vector<int64_t> list);

// The operations of rows that move elements, and their one stage.
DimExpr Moved(const AttrMap& attrs, Types inputs, Types outputs);
void AddCopy(const OpLowering& context, const std::string& name, const std::vector<Axis>& axes,
             ScalarRef value);

}  // namespace hone
