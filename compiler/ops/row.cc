#include <algorithm>

#include "absl/strings/str_cat.h"
#include "compiler/ops/op_rows.h"

namespace hone {
namespace {

ScalarRef Sub(ScalarRef a, ScalarRef b) { return Binary(BinaryOp::kSub, std::move(a), std::move(b)); }
ScalarRef Mul(ScalarRef a, ScalarRef b) { return Binary(BinaryOp::kMul, std::move(a), std::move(b)); }

// The rows of a tensor: `outer` axes that name a row, `inner` axes that are reduced. Indices of the whole
// tensor are either the axes' own or, for the reduced ones, of another set of variables.
struct Rows {
  std::vector<int> reduced;         // sorted dimensions
  std::vector<DimExpr> shape;       // of the input
  std::vector<DimExpr> kept_shape;  // with extent one at reduced dimensions

  bool IsReduced(size_t d) const {
    return std::find(reduced.begin(), reduced.end(), static_cast<int>(d)) != reduced.end();
  }
};

absl::StatusOr<Rows> RowsOf(const TensorType& type, const std::vector<int64_t>& axes) {
  Rows rows{.shape = type.shape, .kept_shape = type.shape};
  for (const int64_t axis : axes) {
    absl::StatusOr<int> normal = NormaliseAxis(axis, type.rank());
    if (!normal.ok()) return normal.status();
    if (rows.IsReduced(static_cast<size_t>(*normal))) return OpError("an axis is reduced twice");
    rows.reduced.push_back(*normal);
    rows.kept_shape[*normal] = DimExpr(1);
  }
  std::sort(rows.reduced.begin(), rows.reduced.end());
  return rows;
}

// Appends `out[kept] = combine over the reduced dimensions of body(x at the point)`.
void AddReduction(
    const OpLowering& context, const Rows& rows, ProgramTensorId output, const std::string& name,
    Combine combine,
    const std::function<ScalarRef(const std::vector<LoadIndex>&, const std::vector<Axis>&)>& body) {
  const std::vector<Axis> axes = NumberedAxes("i", rows.kept_shape);
  std::vector<DimExpr> extents;
  for (const int d : rows.reduced) extents.push_back(rows.shape[d]);
  const std::vector<Axis> reduce = NumberedAxes("r", extents);
  std::vector<LoadIndex> point = Identity(axes);
  for (size_t r = 0; r < rows.reduced.size(); ++r) point[rows.reduced[r]] = DimExpr(reduce[r].variable);
  AddStage(context, output, name, axes, reduce, combine, body(point, axes));
}

// The load of a per-row value at a point of the whole tensor.
ScalarRef RowValue(const Rows& rows, ProgramTensorId tensor, DType dtype, std::vector<LoadIndex> point) {
  for (const int d : rows.reduced) point[d] = DimExpr(0);
  return Load(tensor, dtype, std::move(point));
}

using Kind = AttrSpec::Kind;
using Elements = OpSignature::Elements;

constexpr AttrSpec kSoftmaxAttrs[] = {{"axis", Kind::kInt}};
constexpr OpSignature kSoftmax{1, 1, kSoftmaxAttrs, Elements::kFloat, true, 1};

InferResult InferSoftmax(const AttrMap& attrs, Types inputs) {
  absl::StatusOr<Rows> rows = RowsOf(inputs[0], {IntAttr(attrs, "axis", -1)});
  if (!rows.ok()) return rows.status();
  return std::vector<TensorType>{inputs[0]};
}

// exp(x - max) / sum, or x - max - log(sum).
absl::Status LowerSoftmax(const OpLowering& context, bool logarithm) {
  const TensorType& type = context.input_types[0];
  const DType dtype = type.dtype;
  const Rows rows = *RowsOf(type, {IntAttr(context.attrs, "axis", -1)});
  const ProgramTensorId most = AddTemporary(context, "max", dtype, rows.kept_shape);
  const ProgramTensorId powers = AddTemporary(context, "exp", dtype, type.shape);
  const ProgramTensorId sum = AddTemporary(context, "sum", dtype, rows.kept_shape);
  AddReduction(context, rows, most, "row_max", Combine::kMax,
               [&](const auto& point, const auto&) { return Load(context.inputs[0], dtype, point); });
  const std::vector<Axis> e = NumberedAxes("e", type.shape), o = NumberedAxes("o", type.shape);
  const auto shifted = [&](const std::vector<LoadIndex>& point) {
    return Sub(Load(context.inputs[0], dtype, point), RowValue(rows, most, dtype, point));
  };
  AddStage(context, powers, "exponentials", e, {}, Combine::kNone,
           Unary(UnaryOp::kExp, shifted(Identity(e))));
  AddReduction(context, rows, sum, "row_sum", Combine::kSum,
               [&](const auto& point, const auto&) { return Load(powers, dtype, point); });
  const ScalarRef total = RowValue(rows, sum, dtype, Identity(o));
  ScalarRef result = logarithm ? Sub(shifted(Identity(o)), Unary(UnaryOp::kLog, total))
                               : Binary(BinaryOp::kDiv, Load(powers, dtype, Identity(o)), total);
  AddStage(context, context.outputs[0], "normalised", o, {}, Combine::kNone, std::move(result));
  return absl::OkStatus();
}
absl::Status LowerPlainSoftmax(const OpLowering& context) { return LowerSoftmax(context, false); }
absl::Status LowerLogSoftmax(const OpLowering& context) { return LowerSoftmax(context, true); }

std::vector<OpCase> SoftmaxCases() {
  return {{"last", {F32({3, 5, 17})}, {{"axis", int64_t{-1}}}, -4, 4},
          {"wide", {F32({2, 128})}, {{"axis", int64_t{1}}}, -4, 4},
          {"channels", {F32({2, 7, 3, 5})}, {{"axis", int64_t{1}}}, -4, 4},
          {"single", {F32({4, 1})}, {{"axis", int64_t{-1}}}, -4, 4}};
}

std::vector<int64_t> FromAxis(int64_t axis, int rank) {
  std::vector<int64_t> axes;
  for (int64_t d = axis < 0 ? axis + rank : axis; d < rank; ++d) axes.push_back(d);
  return axes;
}

constexpr AttrSpec kLayerNormAttrs[] = {{"axis", Kind::kInt}, {"epsilon", Kind::kReal}};
constexpr OpSignature kLayerNorm{1, 3, kLayerNormAttrs, Elements::kFloat};

InferResult InferLayerNorm(const AttrMap& attrs, Types inputs) {
  absl::StatusOr<int> axis = NormaliseAxis(IntAttr(attrs, "axis", -1), inputs[0].rank());
  if (!axis.ok()) return axis.status();
  for (size_t i = 1; i < inputs.size(); ++i) {
    absl::StatusOr<std::vector<DimExpr>> both = BroadcastShapes(inputs[0].shape, inputs[i].shape);
    if (!both.ok()) return both.status();
    if (*both != inputs[0].shape)
      return OpError(absl::StrCat(inputs[i].ToString(), " does not fit ", inputs[0].ToString()));
  }
  return std::vector<TensorType>{inputs[0]};
}

// (x - mean) / sqrt(variance + epsilon) * scale + bias over the dimensions from `axis` on.
absl::Status LowerLayerNorm(const OpLowering& context) {
  const TensorType& type = context.input_types[0];
  const DType dtype = type.dtype;
  const Rows rows = *RowsOf(type, FromAxis(IntAttr(context.attrs, "axis", -1), type.rank()));
  DimExpr count(1);
  for (const int d : rows.reduced) count = count * type.shape[d];
  const auto average = [&](ProgramTensorId sum, ProgramTensorId mean, const char* name) {
    const std::vector<Axis> axes = NumberedAxes("i", rows.kept_shape);
    AddStage(context, mean, name, axes, {}, Combine::kNone,
             Binary(BinaryOp::kDiv, Load(sum, dtype, Identity(axes)), Cast(IndexValue(count), dtype)));
  };
  ProgramTensorId parts[4];
  const char* names[] = {"sum", "mean", "square_sum", "variance"};
  for (int i = 0; i < 4; ++i) parts[i] = AddTemporary(context, names[i], dtype, rows.kept_shape);
  const auto centred = [&](const std::vector<LoadIndex>& point) {
    return Sub(Load(context.inputs[0], dtype, point), RowValue(rows, parts[1], dtype, point));
  };
  AddReduction(context, rows, parts[0], "row_sum", Combine::kSum,
               [&](const auto& point, const auto&) { return Load(context.inputs[0], dtype, point); });
  average(parts[0], parts[1], "row_mean");
  AddReduction(context, rows, parts[2], "row_squares", Combine::kSum,
               [&](const auto& point, const auto&) { return Mul(centred(point), centred(point)); });
  average(parts[2], parts[3], "row_variance");
  const std::vector<Axis> axes = NumberedAxes("o", type.shape);
  const std::vector<LoadIndex> point = Identity(axes);
  ScalarRef spread = Binary(BinaryOp::kAdd, RowValue(rows, parts[3], dtype, point),
                            Real(FloatAttr(context.attrs, "epsilon", 1e-5), dtype));
  ScalarRef value = Mul(centred(point), Unary(UnaryOp::kRsqrt, spread));
  if (context.inputs.size() > 1)
    value = Mul(value, BroadcastLoad(context.inputs[1], context.input_types[1], axes));
  if (context.inputs.size() > 2) {
    value = Binary(BinaryOp::kAdd, value, BroadcastLoad(context.inputs[2], context.input_types[2], axes));
  }
  AddStage(context, context.outputs[0], "normalised", axes, {}, Combine::kNone, value);
  return absl::OkStatus();
}

std::vector<OpCase> LayerNormCases() {
  return {{"plain", {F32({3, 17})}, {}},
          {"scaled", {F32({2, 5, 64}), F32({64}), F32({64})}, {{"epsilon", 1e-6}}},
          {"two_axes", {F32({3, 5, 7}), F32({5, 7})}, {{"axis", int64_t{1}}}}};
}

// Reductions: attributes axes, keepdims.
std::vector<DimExpr> WithoutReduced(const Rows& rows) {
  std::vector<DimExpr> shape;
  for (size_t d = 0; d < rows.shape.size(); ++d) {
    if (!rows.IsReduced(d)) shape.push_back(rows.shape[d]);
  }
  return shape;
}

constexpr AttrSpec kReduceAttrs[] = {{"axes", Kind::kInts, true}, {"keepdims", Kind::kInt}};
constexpr OpSignature kReduce{1, 1, kReduceAttrs, Elements::kNumeric, true, 1};

InferResult InferReduce(const AttrMap& attrs, Types inputs) {
  absl::StatusOr<Rows> rows = RowsOf(inputs[0], IntsAttr(attrs, "axes"));
  if (!rows.ok()) return rows.status();
  if (rows->reduced.empty()) return OpError("no axis to reduce");
  const bool keep = IntAttr(attrs, "keepdims", 1) != 0;
  return std::vector<TensorType>{{inputs[0].dtype, keep ? rows->kept_shape : WithoutReduced(*rows)}};
}

template <Combine combine, bool mean>
absl::Status LowerReduce(const OpLowering& context) {
  const TensorType& type = context.input_types[0];
  const Rows rows = *RowsOf(type, IntsAttr(context.attrs, "axes"));
  const std::vector<DimExpr>& shape = context.output_types[0].shape;
  const bool keep = shape.size() == type.shape.size();
  const std::vector<Axis> axes = NumberedAxes("i", shape);
  std::vector<DimExpr> extents;
  DimExpr count(1);
  for (const int d : rows.reduced) {
    extents.push_back(type.shape[d]);
    count = count * type.shape[d];
  }
  const std::vector<Axis> reduce = NumberedAxes("r", extents);
  std::vector<LoadIndex> point;
  size_t next_axis = 0, next_reduced = 0;
  for (size_t d = 0; d < type.shape.size(); ++d) {
    const bool reduced = rows.IsReduced(d);
    if (reduced) point.push_back(DimExpr(reduce[next_reduced++].variable));
    if (!reduced) point.push_back(DimExpr(axes[next_axis].variable));
    if (!reduced || keep) ++next_axis;
  }
  const ProgramTensorId result = mean ? AddTemporary(context, "sum", type.dtype, shape) : context.outputs[0];
  AddStage(context, result, "reduce", axes, reduce, combine, Load(context.inputs[0], type.dtype, point));
  if (!mean) return absl::OkStatus();
  const std::vector<Axis> o = NumberedAxes("o", shape);
  ScalarRef total = Load(result, type.dtype, Identity(o));
  ScalarRef value = count.IsConstant() && IsFloat(type.dtype)
                        ? Mul(total, Real(1.0 / static_cast<double>(count.Constant()), type.dtype))
                        : Binary(BinaryOp::kDiv, total, Cast(IndexValue(count), type.dtype));
  AddStage(context, context.outputs[0], "mean", o, {}, Combine::kNone, value);
  return absl::OkStatus();
}

DimExpr InputFlops(const AttrMap&, Types inputs, Types) { return ElementsOf(inputs[0]); }
DimExpr RowFlops(const AttrMap&, Types inputs, Types) { return DimExpr(5) * ElementsOf(inputs[0]); }

std::vector<OpCase> ReduceCases() {
  return {{"rows", {F32({5, 37})}, {{"axes", Dims({1})}}},
          {"spatial", {F32({1, 16, 7, 7})}, {{"axes", Dims({2, 3})}}},
          {"dropped", {F32({3, 5, 7})}, {{"axes", Dims({0, 2})}, {"keepdims", int64_t{0}}}},
          {"all", {F32({3, 17})}, {{"axes", Dims({0, 1})}, {"keepdims", int64_t{0}}}},
          {"integers", {{DType::kI64, Dims({3, 7})}}, {{"axes", Dims({-1})}}, -9, 9}};
}

constexpr AttrSpec kArgMaxAttrs[] = {{"axis", Kind::kInt}, {"keepdims", Kind::kInt}};
constexpr OpSignature kArgMax{1, 1, kArgMaxAttrs, Elements::kNumeric, true, 1};

InferResult InferArgMax(const AttrMap& attrs, Types inputs) {
  absl::StatusOr<Rows> rows = RowsOf(inputs[0], {IntAttr(attrs, "axis", 0)});
  if (!rows.ok()) return rows.status();
  const bool keep = IntAttr(attrs, "keepdims", 1) != 0;
  return std::vector<TensorType>{{DType::kI64, keep ? rows->kept_shape : WithoutReduced(*rows)}};
}

// A tuple reduction: (value, index); of equal values the first index stays.
absl::Status LowerArgMax(const OpLowering& context) {
  const TensorType& type = context.input_types[0];
  const int axis = *NormaliseAxis(IntAttr(context.attrs, "axis", 0), type.rank());
  const std::vector<DimExpr>& shape = context.output_types[0].shape;
  const bool keep = shape.size() == type.shape.size();
  const std::vector<Axis> axes = NumberedAxes("i", shape);
  const std::vector<Axis> reduce = NumberedAxes("r", {type.shape[axis]});
  const DimExpr position(reduce[0].variable);
  std::vector<LoadIndex> point;
  for (int d = 0, next = 0; d < type.rank(); ++d) {
    point.push_back(d == axis ? position : DimExpr(axes[next].variable));
    if (d != axis || keep) ++next;
  }
  const ProgramTensorId most = AddTemporary(context, "max", type.dtype, shape);
  Stage stage{
      .name = context.prefix + "_arg_max", .axes = axes, .reduce = reduce, .combine = Combine::kTuple};
  stage.body = {Load(context.inputs[0], type.dtype, point), IndexValue(position)};
  stage.outputs = {most, context.outputs[0]};
  const ScalarRef better = Binary(BinaryOp::kLess, Parameter(0, type.dtype), Parameter(2, type.dtype));
  const ScalarRef lowest = Literal(-std::numeric_limits<double>::infinity(), type.dtype);
  stage.tuple = TupleCombiner{{lowest, Integer(0)},
                              {Select(better, Parameter(2, type.dtype), Parameter(0, type.dtype)),
                               Select(better, Parameter(3, DType::kI64), Parameter(1, DType::kI64))}};
  context.program.stages.push_back(std::move(stage));
  return absl::OkStatus();
}

std::vector<OpCase> ArgMaxCases() {
  return {{"last", {F32({7, 13})}, {{"axis", int64_t{-1}}, {"keepdims", int64_t{0}}}},
          {"first", {F32({5, 17})}, {{"axis", int64_t{0}}}},
          {"ties", {{DType::kI32, Dims({7, 19})}}, {{"axis", int64_t{1}}}, 0, 3}};
}

}  // namespace

std::vector<OpRow> RowRows() {
  const auto reduce = [](std::string_view name, std::string_view summary, decltype(OpRow::lower) lower) {
    return MakeRow<kReduce, InferReduce>(name, OpClass::kRow, summary, lower, ReduceCases, InputFlops);
  };
  return {MakeRow<kSoftmax, InferSoftmax>("softmax", OpClass::kRow, "e^x / sum of e^x along axis",
                                          LowerPlainSoftmax, SoftmaxCases, RowFlops),
          MakeRow<kSoftmax, InferSoftmax>("log_softmax", OpClass::kRow, "logarithm of softmax along axis",
                                          LowerLogSoftmax, SoftmaxCases, RowFlops),
          MakeRow<kLayerNorm, InferLayerNorm>(
              "layer_norm", OpClass::kRow,
              "x [, scale [, bias]]: normalised from axis on, times scale, plus bias; epsilon",
              LowerLayerNorm, LayerNormCases, RowFlops),
          reduce("reduce_sum", "sum over axes; keepdims", LowerReduce<Combine::kSum, false>),
          reduce("reduce_mean", "mean over axes; keepdims", LowerReduce<Combine::kSum, true>),
          reduce("reduce_max", "maximum over axes; keepdims", LowerReduce<Combine::kMax, false>),
          reduce("reduce_min", "minimum over axes; keepdims", LowerReduce<Combine::kMin, false>),
          reduce("reduce_prod", "product over axes; keepdims", LowerReduce<Combine::kProd, false>),
          MakeRow<kArgMax, InferArgMax>("arg_max", OpClass::kRow,
                                        "index of the first maximum along axis, i64; keepdims", LowerArgMax,
                                        ArgMaxCases, InputFlops)};
}

}  // namespace hone
