#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "compiler/ops/op_rows.h"

namespace hone {
namespace {

DimExpr Moved(const AttrMap&, Types, Types outputs) { return ElementsOf(outputs[0]); }

void AddCopy(const OpLowering& context, const std::string& name, const std::vector<Axis>& axes, ScalarRef value) {
  AddStage(context, context.outputs[0], name, axes, {}, Combine::kNone, std::move(value));
}

InferResult InferTranspose(const AttrMap& attrs, Types inputs) {
  const std::vector<int64_t> perm = IntsAttr(attrs, "perm");
  std::vector<int64_t> sorted = perm;
  std::sort(sorted.begin(), sorted.end());
  for (size_t i = 0; i < sorted.size(); ++i) {
    if (sorted[i] != static_cast<int64_t>(i)) return OpError("perm is not a permutation");
  }
  if (static_cast<int>(perm.size()) != inputs[0].rank()) return OpError("perm does not fit the rank");
  TensorType type{inputs[0].dtype, {}};
  for (const int64_t d : perm) type.shape.push_back(inputs[0].shape[d]);
  return std::vector<TensorType>{type};
}

absl::Status LowerTranspose(const OpLowering& context) {
  const std::vector<int64_t> perm = IntsAttr(context.attrs, "perm");
  const std::vector<Axis> axes = NumberedAxes("i", context.output_types[0].shape);
  std::vector<LoadIndex> indices(perm.size());
  for (size_t i = 0; i < perm.size(); ++i) indices[perm[i]] = DimExpr(axes[i].variable);
  AddCopy(context, "transpose", axes, Load(context.inputs[0], context.input_types[0].dtype, indices));
  return absl::OkStatus();
}

InferResult InferConcat(const AttrMap& attrs, Types inputs) {
  absl::StatusOr<int> axis = NormaliseAxis(IntAttr(attrs, "axis"), inputs[0].rank());
  if (!axis.ok()) return axis.status();
  TensorType type = inputs[0];
  for (size_t i = 1; i < inputs.size(); ++i) {
    if (inputs[i].rank() != type.rank() || inputs[i].dtype != type.dtype) return OpError("parts of different rank or type");
    for (int d = 0; d < type.rank(); ++d) {
      if (d != *axis && !(inputs[i].shape[d] == type.shape[d])) return OpError("parts of different shape");
    }
    type.shape[*axis] = type.shape[*axis] + inputs[i].shape[*axis];
  }
  return std::vector<TensorType>{type};
}

// A chain of selects over the parts; codegen cuts its loops where the choice changes.
absl::Status LowerConcat(const OpLowering& context) {
  const int axis = *NormaliseAxis(IntAttr(context.attrs, "axis"), context.input_types[0].rank());
  const std::vector<Axis> axes = NumberedAxes("i", context.output_types[0].shape);
  std::vector<DimExpr> starts(1, DimExpr(0));
  for (const TensorType& type : context.input_types) starts.push_back(starts.back() + type.shape[axis]);
  ScalarRef value;
  for (size_t i = context.inputs.size(); i-- > 0;) {
    std::vector<LoadIndex> indices = Identity(axes);
    indices[axis] = DimExpr(axes[axis].variable) - starts[i];
    ScalarRef part = Load(context.inputs[i], context.input_types[i].dtype, indices);
    ScalarRef before = Binary(BinaryOp::kLess, IndexValue(axes[axis].variable), IndexValue(starts[i + 1]));
    value = value == nullptr ? part : Select(before, part, value);
  }
  AddCopy(context, "concat", axes, value);
  return absl::OkStatus();
}

InferResult InferSlice(const AttrMap& attrs, Types inputs) {
  const std::vector<DimExpr> starts = DimsAttr(attrs, "starts"), ends = DimsAttr(attrs, "ends");
  const std::vector<int64_t> steps = IntsAttr(attrs, "steps");
  const size_t rank = inputs[0].shape.size();
  if (starts.size() != rank || ends.size() != rank || steps.size() != rank) return OpError("starts, ends and steps have full rank");
  TensorType type{inputs[0].dtype, {}};
  for (size_t d = 0; d < rank; ++d) {
    if (steps[d] == 0) return OpError("a step of 0");
    const DimExpr span = steps[d] > 0 ? ends[d] - starts[d] : starts[d] - ends[d];
    if (starts[d].Bounds().lower < 0 || span.Bounds().upper < 1) return OpError("an empty or negative slice");
    const DimExpr& inside = steps[d] > 0 ? ends[d] : starts[d] + DimExpr(1);
    if (!ProvablyLessEqual(inside, inputs[0].shape[d])) return OpError("a slice beyond the end");
    type.shape.push_back(CeilDiv(span, DimExpr(std::abs(steps[d]))));
  }
  return std::vector<TensorType>{type};
}

absl::Status LowerSlice(const OpLowering& context) {
  const std::vector<DimExpr> starts = DimsAttr(context.attrs, "starts");
  const std::vector<int64_t> steps = IntsAttr(context.attrs, "steps");
  const std::vector<Axis> axes = NumberedAxes("i", context.output_types[0].shape);
  std::vector<LoadIndex> indices;
  for (size_t d = 0; d < axes.size(); ++d) indices.push_back(starts[d] + DimExpr(steps[d]) * DimExpr(axes[d].variable));
  AddCopy(context, "slice", axes, Load(context.inputs[0], context.input_types[0].dtype, indices));
  return absl::OkStatus();
}

InferResult InferGather(const AttrMap& attrs, Types inputs) {
  absl::StatusOr<int> axis = NormaliseAxis(IntAttr(attrs, "axis"), inputs[0].rank());
  if (!axis.ok()) return axis.status();
  if (inputs[1].dtype != DType::kI64 && inputs[1].dtype != DType::kI32) return OpError("indices are not i64 or i32");
  TensorType type{inputs[0].dtype, {inputs[0].shape.begin(), inputs[0].shape.begin() + *axis}};
  type.shape.insert(type.shape.end(), inputs[1].shape.begin(), inputs[1].shape.end());
  type.shape.insert(type.shape.end(), inputs[0].shape.begin() + *axis + 1, inputs[0].shape.end());
  return std::vector<TensorType>{type};
}

// Negative indices count from the end; what is outside is clamped.
absl::Status LowerGather(const OpLowering& context) {
  const TensorType& type = context.input_types[0];
  const TensorType& index_type = context.input_types[1];
  const size_t axis = static_cast<size_t>(*NormaliseAxis(IntAttr(context.attrs, "axis"), type.rank()));
  const std::vector<Axis> axes = NumberedAxes("i", context.output_types[0].shape);
  std::vector<LoadIndex> where;
  for (size_t d = 0; d < index_type.shape.size(); ++d) where.push_back(DimExpr(axes[axis + d].variable));
  ScalarRef index = Cast(Load(context.inputs[1], index_type.dtype, where), DType::kI64);
  ScalarRef wrapped = Binary(BinaryOp::kAdd, index, IndexValue(type.shape[axis]));
  index = Select(Binary(BinaryOp::kLess, index, Integer(0)), wrapped, index);
  std::vector<LoadIndex> indices;
  for (size_t d = 0; d < type.shape.size(); ++d) {
    if (d == axis) {
      indices.push_back(index);
    } else {
      indices.push_back(DimExpr(axes[d < axis ? d : d - 1 + index_type.shape.size()].variable));
    }
  }
  AddCopy(context, "gather", axes, Load(context.inputs[0], type.dtype, indices));
  return absl::OkStatus();
}

InferResult InferPad(const AttrMap& attrs, Types inputs) {
  const std::vector<int64_t> pads = IntsAttr(attrs, "pads");
  const size_t rank = inputs[0].shape.size();
  if (pads.size() != 2 * rank) return OpError("pads needs two numbers per dimension");
  const std::string mode = StringAttr(attrs, "mode", "constant");
  if (mode != "constant" && mode != "reflect" && mode != "edge") return OpError("unknown mode");
  TensorType type = inputs[0];
  for (size_t d = 0; d < rank; ++d) {
    if (pads[d] < 0 || pads[d + rank] < 0) return OpError("negative padding");
    const int64_t most = std::max(pads[d], pads[d + rank]);
    if (mode == "reflect" && most > 0 && !ProvablyLess(DimExpr(most), type.shape[d])) return OpError("reflected padding exceeds the input");
    type.shape[d] = type.shape[d] + DimExpr(pads[d] + pads[d + rank]);
  }
  return std::vector<TensorType>{type};
}

absl::Status LowerPad(const OpLowering& context) {
  const TensorType& type = context.input_types[0];
  const std::vector<int64_t> pads = IntsAttr(context.attrs, "pads");
  const std::string mode = StringAttr(context.attrs, "mode", "constant");
  const size_t rank = type.shape.size();
  const std::vector<Axis> axes = NumberedAxes("i", context.output_types[0].shape);
  std::vector<LoadIndex> indices;
  ScalarRef inside;
  for (size_t d = 0; d < rank; ++d) {
    const DimExpr index = DimExpr(axes[d].variable) - DimExpr(pads[d]);
    const DimExpr last = type.shape[d] - DimExpr(1);
    if (mode == "edge") {
      indices.push_back(Min(Max(index, DimExpr(0)), last));
    } else if (mode == "reflect") {
      const DimExpr folded = Max(index, DimExpr(-1) * index);
      indices.push_back(Min(folded, DimExpr(2) * last - folded));
    } else {
      indices.push_back(index);
      ScalarRef low = Binary(BinaryOp::kLessEqual, Integer(0), IndexValue(index));
      ScalarRef both = Binary(BinaryOp::kAnd, low, Binary(BinaryOp::kLess, IndexValue(index), IndexValue(type.shape[d])));
      if (pads[d] + pads[d + rank] > 0) inside = inside == nullptr ? both : Binary(BinaryOp::kAnd, inside, both);
    }
  }
  ScalarRef value = Load(context.inputs[0], type.dtype, indices);
  if (inside != nullptr) {
    const double fill = FloatAttr(context.attrs, "value", 0);
    value = Select(inside, value, IsFloat(type.dtype) ? Real(fill, type.dtype) : Integer(static_cast<int64_t>(fill), type.dtype));
  }
  AddCopy(context, "pad", axes, value);
  return absl::OkStatus();
}

InferResult InferResize(const AttrMap& attrs, Types inputs) {
  const std::vector<DimExpr> size = DimsAttr(attrs, "size");
  if (inputs[0].rank() != 4 || size.size() != 2) return OpError("an input of rank 4 and two sizes");
  const std::string mode = StringAttr(attrs, "mode", "nearest");
  if (mode != "nearest" && mode != "linear") return OpError("unknown mode");
  if (mode == "linear" && inputs[0].dtype != DType::kF32) return OpError("linear interpolation of a type other than f32");
  const std::vector<double> scales = FloatsAttr(attrs, "scales");
  if (scales.size() != 2 || !(scales[0] > 0) || !(scales[1] > 0)) return OpError("scales needs two positive numbers");
  for (const DimExpr& dim : size) {
    if (dim.Bounds().lower < 1) return OpError("an empty size");
  }
  return std::vector<TensorType>{{inputs[0].dtype, {inputs[0].shape[0], inputs[0].shape[1], size[0], size[1]}}};
}

// Where output position o lies in the input, as f32.
ScalarRef SourcePosition(const OpLowering& context, size_t d, const SymbolRef& out) {
  const std::string coordinates = StringAttr(context.attrs, "coordinates", "asymmetric");
  const double inverse = 1 / FloatsAttr(context.attrs, "scales")[d];
  const double in = static_cast<double>(context.input_types[0].shape[2 + d].AsConstant().value_or(1));
  const double size = static_cast<double>(DimsAttr(context.attrs, "size")[d].AsConstant().value_or(1));
  ScalarRef o = Cast(IndexValue(out), DType::kF32);
  const auto affine = [&](double factor, double offset) {
    return Binary(BinaryOp::kAdd, Binary(BinaryOp::kMul, o, Real(factor)), Real(offset));
  };
  if (coordinates == "align_corners") return affine(size > 1 ? (in - 1) / (size - 1) : 0, 0);
  if (coordinates == "half_pixel") return affine(inverse, 0.5 * inverse - 0.5);
  return affine(inverse, 0);
}

// Whole factors of the asymmetric nearest mode are a division: the index stays an expression.
LoadIndex NearestIndex(const OpLowering& context, size_t d, const SymbolRef& out) {
  const double scale = FloatsAttr(context.attrs, "scales")[d];
  const int64_t factor = static_cast<int64_t>(scale);
  const bool floors = StringAttr(context.attrs, "rounding", "floor") == "floor";
  const std::string coordinates = StringAttr(context.attrs, "coordinates", "asymmetric");
  const bool whole = static_cast<double>(factor) == scale;
  if (whole && ((coordinates == "asymmetric" && floors) || (coordinates == "half_pixel" && !floors))) {
    return FloorDiv(DimExpr(out), DimExpr(factor));
  }
  ScalarRef position = SourcePosition(context, d, out);
  position = floors ? Unary(UnaryOp::kFloor, position)
                    : Unary(UnaryOp::kCeil, Binary(BinaryOp::kSub, position, Real(0.5)));
  return Cast(position, DType::kI64);
}

absl::Status LowerResize(const OpLowering& context) {
  const TensorType& type = context.input_types[0];
  const std::vector<Axis> axes = MakeAxes({"n", "c", "oh", "ow"}, context.output_types[0].shape);
  const DimExpr n(axes[0].variable), c(axes[1].variable);
  if (StringAttr(context.attrs, "mode", "nearest") == "nearest") {
    AddCopy(context, "nearest", axes, Load(context.inputs[0], type.dtype,
            {n, c, NearestIndex(context, 0, axes[2].variable), NearestIndex(context, 1, axes[3].variable)}));
    return absl::OkStatus();
  }
  ScalarRef low[2], fraction[2];
  for (size_t d = 0; d < 2; ++d) {
    ScalarRef position = Binary(BinaryOp::kMax, SourcePosition(context, d, axes[2 + d].variable), Real(0));
    const double last = static_cast<double>(type.shape[2 + d].AsConstant().value_or(1) - 1);
    position = Binary(BinaryOp::kMin, position, Real(last));
    ScalarRef floor = Unary(UnaryOp::kFloor, position);
    fraction[d] = Binary(BinaryOp::kSub, position, floor);
    low[d] = Cast(floor, DType::kI64);
  }
  const auto at = [&](int64_t dh, int64_t dw) {
    const auto step = [](const ScalarRef& base, int64_t by) {
      return by == 0 ? base : Binary(BinaryOp::kAdd, base, Integer(by));
    };
    return Load(context.inputs[0], type.dtype, {n, c, step(low[0], dh), step(low[1], dw)});
  };
  const auto blend = [](ScalarRef a, ScalarRef b, ScalarRef t) {
    return Binary(BinaryOp::kAdd, a, Binary(BinaryOp::kMul, Binary(BinaryOp::kSub, b, a), t));
  };
  AddCopy(context, "linear", axes,
          blend(blend(at(0, 0), at(0, 1), fraction[1]), blend(at(1, 0), at(1, 1), fraction[1]), fraction[0]));
  return absl::OkStatus();
}

InferResult InferExpand(const AttrMap& attrs, Types inputs) {
  absl::StatusOr<std::vector<DimExpr>> shape = BroadcastShapes(inputs[0].shape, DimsAttr(attrs, "shape"));
  if (!shape.ok()) return shape.status();
  return std::vector<TensorType>{{inputs[0].dtype, *shape}};
}

absl::Status LowerExpand(const OpLowering& context) {
  const std::vector<Axis> axes = NumberedAxes("i", context.output_types[0].shape);
  AddCopy(context, "expand", axes, BroadcastLoad(context.inputs[0], context.input_types[0], axes));
  return absl::OkStatus();
}

InferResult InferReshape(const AttrMap& attrs, Types inputs) {
  const std::vector<DimExpr> shape = DimsAttr(attrs, "shape");
  if (!(Product(shape) == ElementsOf(inputs[0]))) {
    return OpError(absl::StrCat("shape ", ShapeText(shape), " has not as many elements as ", ShapeText(inputs[0].shape)));
  }
  return std::vector<TensorType>{{inputs[0].dtype, shape}};
}

// Row-major position, split again.
absl::Status LowerReshape(const OpLowering& context) {
  const std::vector<Axis> axes = NumberedAxes("i", context.output_types[0].shape);
  DimExpr position(0);
  for (const Axis& axis : axes) {
    // An axis of one point is 0; its variable may not show in a division.
    const DimExpr coordinate = axis.extent == DimExpr(1) ? DimExpr(0) : DimExpr(axis.variable);
    position = position * axis.extent + coordinate;
  }
  const TensorType& type = context.input_types[0];
  std::vector<LoadIndex> indices(type.shape.size());
  for (size_t d = type.shape.size(); d-- > 0;) {
    if (type.shape[d] == DimExpr(1)) {
      indices[d] = DimExpr(0);
    } else {
      indices[d] = d == 0 ? position : Mod(position, type.shape[d]);
      position = FloorDiv(position, type.shape[d]);
    }
  }
  AddCopy(context, "reshape", axes, Load(context.inputs[0], type.dtype, indices));
  return absl::OkStatus();
}

InferResult InferCumSum(const AttrMap& attrs, Types inputs) {
  absl::StatusOr<int> axis = NormaliseAxis(IntAttr(attrs, "axis"), inputs[0].rank());
  if (!axis.ok()) return axis.status();
  if (*axis != 0) return OpError("cum_sum runs along axis 0");
  return std::vector<TensorType>{inputs[0]};
}

// A scan along axis 0: carried = carried + slice.
absl::Status LowerCumSum(const OpLowering& context) {
  const TensorType& type = context.input_types[0];
  const std::vector<DimExpr> slice(type.shape.begin() + 1, type.shape.end());
  auto body = std::make_shared<TensorProgram>();
  using Role = ProgramTensor::Role;
  const ProgramTensorId carried = body->AddTensor({"carried", Role::kInput, type.dtype, slice});
  const ProgramTensorId item = body->AddTensor({"item", Role::kInput, type.dtype, slice});
  const ProgramTensorId next = body->AddTensor({"next", Role::kOutput, type.dtype, slice});
  const ProgramTensorId stacked = body->AddTensor({"stacked", Role::kOutput, type.dtype, slice});
  for (const ProgramTensorId output : {next, stacked}) {
    const std::vector<Axis> axes = NumberedAxes("i", slice);
    Stage stage{.name = body->tensors[output].name, .axes = axes};
    stage.body = {Binary(BinaryOp::kAdd, Load(carried, type.dtype, Identity(axes)), Load(item, type.dtype, Identity(axes)))};
    stage.outputs = {output};
    body->stages.push_back(std::move(stage));
  }
  const ProgramTensorId zero = AddTemporary(context, "zero", type.dtype, slice);
  const ProgramTensorId last = AddTemporary(context, "last", type.dtype, slice);
  const ScalarRef nothing = IsFloat(type.dtype) ? Real(0, type.dtype) : Integer(0, type.dtype);
  AddStage(context, zero, "zero", NumberedAxes("i", slice), {}, Combine::kNone, nothing);
  Stage scan{.name = context.prefix + "_scan"};
  scan.scan = Scan{.body = body, .initial = {zero}, .scanned = {context.inputs[0]}, .final_carried = {last},
                   .stacked = {context.outputs[0]}, .length = type.shape[0]};
  context.program.stages.push_back(std::move(scan));
  return absl::OkStatus();
}

std::vector<DimExpr> Dims(std::vector<int64_t> list) { return {list.begin(), list.end()}; }

std::vector<OpCase> TransposeCases() {
  return {{"matrix", {F32({17, 33})}, {{"perm", Dims({1, 0})}}},
          {"heads", {F32({1, 7, 3, 16})}, {{"perm", Dims({0, 2, 1, 3})}}},
          {"to_nhwc", {F32({1, 17, 5, 7})}, {{"perm", Dims({0, 2, 3, 1})}}}};
}
std::vector<OpCase> ConcatCases() {
  return {{"channels", {F32({1, 16, 3, 5}), F32({1, 17, 3, 5})}, {{"axis", int64_t{1}}}},
          {"last", {F32({3, 5}), F32({3, 1}), F32({3, 17})}, {{"axis", int64_t{-1}}}}};
}
std::vector<OpCase> SliceCases() {
  return {{"middle", {F32({3, 17})}, {{"starts", Dims({1, 3})}, {"ends", Dims({3, 16})}, {"steps", Dims({1, 1})}}},
          {"steps", {F32({7, 16})}, {{"starts", Dims({0, 1})}, {"ends", Dims({7, 16})}, {"steps", Dims({2, 3})}}}};
}
std::vector<OpCase> GatherCases() {
  const TensorType indices{DType::kI64, Dims({5})};
  return {{"rows", {F32({7, 16}), indices}, {{"axis", int64_t{0}}}, -7, 7},
          {"columns", {F32({3, 7}), indices}, {{"axis", int64_t{1}}}, -7, 7}};
}
std::vector<OpCase> PadCases() {
  const auto pads = Dims({0, 0, 1, 2, 0, 0, 2, 1});
  std::vector<OpCase> cases;
  for (const char* mode : {"constant", "reflect", "edge"}) {
    cases.push_back({mode, {F32({1, 3, 5, 17})}, {{"pads", pads}, {"mode", std::string(mode)}, {"value", 0.5}}});
  }
  return cases;
}
std::vector<OpCase> ResizeCases() {
  const auto attrs = [](const char* mode, const char* coordinates, std::vector<int64_t> size, double h, double w) {
    return AttrMap{{"mode", std::string(mode)}, {"coordinates", std::string(coordinates)}, {"size", Dims(size)},
                   {"scales", std::vector<double>{h, w}}};
  };
  return {{"double", {F32({1, 16, 3, 5})}, attrs("nearest", "asymmetric", {6, 10}, 2, 2)},
          {"linear", {F32({1, 7, 4, 5})}, attrs("linear", "half_pixel", {9, 10}, 2.25, 2)},
          {"corners", {F32({1, 3, 5, 7})}, attrs("linear", "align_corners", {10, 13}, 2, 13.0 / 7)}};
}
std::vector<OpCase> ExpandCases() { return {{"rows", {F32({1, 17})}, {{"shape", Dims({5, 17})}}}}; }
std::vector<OpCase> ReshapeCases() {
  return {{"flatten", {F32({2, 3, 5})}, {{"shape", Dims({2, 15})}}},
          {"split", {F32({7, 24})}, {{"shape", Dims({7, 2, 3, 4})}}},
          {"squeeze", {F32({1, 17, 1, 1})}, {{"shape", Dims({1, 17})}}}};
}
std::vector<OpCase> CumSumCases() { return {{"rows", {F32({7, 5})}, {{"axis", int64_t{0}}}}}; }

}  // namespace

std::vector<OpRow> DataRows() {
  constexpr int kMany = 1 << 12;
  return {{"transpose", OpClass::kData, 1, 1, "dimensions in the order perm", InferTranspose, LowerTranspose,
           TransposeCases, Moved},
          {"concat", OpClass::kData, 1, kMany, "parts one after another along axis", InferConcat, LowerConcat,
           ConcatCases, Moved},
          {"slice", OpClass::kData, 1, 1, "starts, ends, steps for every dimension", InferSlice, LowerSlice,
           SliceCases, Moved},
          {"gather", OpClass::kData, 2, 2, "x at indices along axis; clamped", InferGather, LowerGather, GatherCases,
           Moved},
          {"pad", OpClass::kData, 1, 1, "pads before and after every dimension; mode, value", InferPad, LowerPad,
           PadCases, Moved},
          {"resize2d", OpClass::kData, 1, 1, "size, mode, coordinates, scales, rounding", InferResize, LowerResize,
           ResizeCases, Moved},
          {"expand", OpClass::kData, 1, 1, "broadcast to shape", InferExpand, LowerExpand, ExpandCases, Moved},
          {"cum_sum", OpClass::kData, 1, 1, "running sum along axis 0", InferCumSum, LowerCumSum, CumSumCases, Moved},
          {"reshape", OpClass::kView, 1, 1, "the same row-major elements under another shape", InferReshape,
           LowerReshape, ReshapeCases, Moved}};
}

}  // namespace hone
