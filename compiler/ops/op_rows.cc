#include "compiler/ops/op_rows.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"

namespace hone {

absl::Status OpError(const std::string& what) { return absl::InvalidArgumentError(what); }

ScalarRef Literal(double value, DType dtype) {
  if (IsFloat(dtype)) return Real(value, dtype);
  if (dtype == DType::kBool) return Integer(value != 0 ? 1 : 0, dtype);
  const bool is_unsigned =
      dtype == DType::kU8 || dtype == DType::kU16 || dtype == DType::kU32 || dtype == DType::kU64;
  const int bits = static_cast<int>(8 * DTypeBytes(dtype)) - (is_unsigned ? 0 : 1);
  const double top = std::ldexp(1.0, bits), low = is_unsigned ? 0 : -top;
  if (std::isnan(value)) return Integer(0, dtype);
  if (value <= low)
    return Integer(is_unsigned ? 0 : -1 - static_cast<int64_t>((uint64_t{1} << bits) - 1), dtype);
  if (value >= top) return Integer(static_cast<int64_t>(~uint64_t{0} >> (64 - bits)), dtype);
  return Integer(value < 0 ? static_cast<int64_t>(value) : static_cast<int64_t>(static_cast<uint64_t>(value)),
                 dtype);
}

std::vector<Axis> MakeAxes(const std::vector<std::string>& names, const std::vector<DimExpr>& extents) {
  std::vector<Axis> axes;
  for (size_t i = 0; i < extents.size(); ++i) {
    const Interval bounds = extents[i].Bounds();
    const bool bounded = bounds.upper != Interval().upper;
    const int64_t last = bounded ? std::max<int64_t>(0, bounds.upper - 1) : Symbol::kUnbounded;
    // An axis of extent one is still a variable: a constant would vanish from the indices that name it.
    axes.push_back({MakeSymbol(names[i], 0, std::max<int64_t>(1, last)), extents[i]});
  }
  return axes;
}

std::vector<Axis> NumberedAxes(const std::string& prefix, const std::vector<DimExpr>& extents) {
  std::vector<std::string> names;
  for (size_t i = 0; i < extents.size(); ++i) names.push_back(absl::StrCat(prefix, i));
  return MakeAxes(names, extents);
}

std::vector<LoadIndex> Identity(const std::vector<Axis>& axes) {
  std::vector<LoadIndex> indices;
  for (const Axis& axis : axes) indices.push_back(DimExpr(axis.variable));
  return indices;
}

void AddStage(const OpLowering& context, ProgramTensorId output, const std::string& name,
              std::vector<Axis> axes, std::vector<Axis> reduce, Combine combine, ScalarRef body) {
  Stage stage{
      .name = absl::StrCat(context.prefix, "_", name), .axes = std::move(axes), .reduce = std::move(reduce)};
  stage.combine = stage.reduce.empty() ? Combine::kNone : combine;
  stage.body = {std::move(body)};
  stage.outputs = {output};
  context.program.stages.push_back(std::move(stage));
}

ProgramTensorId AddTemporary(const OpLowering& context, const std::string& name, DType dtype,
                             std::vector<DimExpr> shape) {
  return context.program.AddTensor(
      {absl::StrCat(context.prefix, "_", name), ProgramTensor::Role::kTemporary, dtype, std::move(shape)});
}

absl::StatusOr<std::vector<DimExpr>> BroadcastShapes(const std::vector<DimExpr>& a,
                                                     const std::vector<DimExpr>& b) {
  std::vector<DimExpr> shape(std::max(a.size(), b.size()));
  for (size_t i = 0; i < shape.size(); ++i) {
    const DimExpr x = i < a.size() ? a[a.size() - 1 - i] : DimExpr(1);
    const DimExpr y = i < b.size() ? b[b.size() - 1 - i] : DimExpr(1);
    if (!(x == y) && !(x == DimExpr(1)) && !(y == DimExpr(1))) {
      return OpError(absl::StrCat("shapes ", ShapeText(a), " and ", ShapeText(b), " do not broadcast"));
    }
    shape[shape.size() - 1 - i] = x == DimExpr(1) ? y : x;
  }
  return shape;
}

ScalarRef BroadcastLoad(ProgramTensorId tensor, const TensorType& type, const std::vector<Axis>& axes) {
  std::vector<LoadIndex> indices;
  const size_t skip = axes.size() - type.shape.size();
  for (size_t d = 0; d < type.shape.size(); ++d) {
    const bool repeated = type.shape[d] == DimExpr(1) && !(axes[skip + d].extent == DimExpr(1));
    indices.push_back(repeated ? DimExpr(0) : DimExpr(axes[skip + d].variable));
  }
  return Load(tensor, type.dtype, std::move(indices));
}

DimExpr ElementsOf(const TensorType& type) { return Product(type.shape); }

absl::StatusOr<int> NormaliseAxis(int64_t axis, int rank) {
  if (axis < -rank || axis >= rank)
    return OpError(absl::StrCat("axis ", axis, " of a tensor of rank ", rank));
  return static_cast<int>(axis < 0 ? axis + rank : axis);
}

ProgramTensorId PadInput(const OpLowering& context, const Padding& padding, double value) {
  const TensorType& type = context.input_types[0];
  const auto none = [](int64_t pad) { return pad == 0; };
  if (std::all_of(padding.before.begin(), padding.before.end(), none) &&
      std::all_of(padding.after.begin(), padding.after.end(), none)) {
    return context.inputs[0];
  }
  std::vector<DimExpr> shape = type.shape;
  for (size_t i = 0; i < padding.before.size(); ++i)
    shape[2 + i] = shape[2 + i] + DimExpr(padding.before[i] + padding.after[i]);
  const ProgramTensorId padded = AddTemporary(context, "padded", type.dtype, shape);
  const std::vector<Axis> axes = NumberedAxes("p", shape);
  std::vector<LoadIndex> indices = Identity(axes);
  ScalarRef inside;
  const auto require = [&](ScalarRef condition) {
    inside = inside == nullptr ? condition : Binary(BinaryOp::kAnd, inside, condition);
  };
  for (size_t i = 0; i < padding.before.size(); ++i) {
    const DimExpr index = DimExpr(axes[2 + i].variable) - DimExpr(padding.before[i]);
    if (padding.before[i] > 0) require(Binary(BinaryOp::kLessEqual, Integer(0), IndexValue(index)));
    if (padding.after[i] > 0)
      require(Binary(BinaryOp::kLess, IndexValue(index), IndexValue(type.shape[2 + i])));
    indices[2 + i] = index;
  }
  AddStage(context, padded, "pad", axes, {}, Combine::kNone,
           Select(inside, Load(context.inputs[0], type.dtype, indices), Literal(value, type.dtype)));
  return padded;
}

TensorType F32(std::vector<int64_t> dims) { return {DType::kF32, Dims(std::move(dims))}; }
std::vector<DimExpr> Dims(std::vector<int64_t> list) { return {list.begin(), list.end()}; }

DimExpr Moved(const AttrMap&, Types, Types outputs) { return ElementsOf(outputs[0]); }

void AddCopy(const OpLowering& context, const std::string& name, const std::vector<Axis>& axes,
             ScalarRef value) {
  AddStage(context, context.outputs[0], name, axes, {}, Combine::kNone, std::move(value));
}

std::span<const OpRow> OpTable() {
  static const std::vector<OpRow> table = [] {
    std::vector<OpRow> rows;
    for (auto part :
         {ElementwiseRows, ContractionRows, WindowRows, RowRows, DataRows, ResizeRows, ViewRows}) {
      const std::vector<OpRow> more = part();
      rows.insert(rows.end(), more.begin(), more.end());
    }
    return rows;
  }();
  return table;
}

const OpRow* FindOp(std::string_view name) {
  for (const OpRow& row : OpTable()) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

}  // namespace hone
