#include <cmath>

#include "absl/strings/str_cat.h"
#include "compiler/ops/op_rows.h"

namespace hone {
namespace {

using Kind = AttrSpec::Kind;
using Elements = OpSignature::Elements;

constexpr AttrSpec kResizeAttrs[] = {
    {"size", Kind::kDims, true},
    {"scales", Kind::kReals, true},
    {"mode", Kind::kText, false, "nearest|linear"},
    {"coordinates", Kind::kText, false, "asymmetric|half_pixel|align_corners"},
    {"rounding", Kind::kText, false, "floor|ceil|round_prefer_floor|round_prefer_ceil"}};
constexpr OpSignature kResize{1, 1, kResizeAttrs, Elements::kAny, true, 4, 4};

InferResult InferResize(const AttrMap& attrs, Types inputs) {
  const std::vector<DimExpr> size = DimsAttr(attrs, "size");
  if (size.size() != 2) return OpError("size needs two numbers");
  if (StringAttr(attrs, "mode", "nearest") == "linear" && !IsFloat(inputs[0].dtype)) {
    return OpError(absl::StrCat("linear interpolation of ", inputs[0].ToString()));
  }
  const std::vector<double> scales = FloatsAttr(attrs, "scales");
  const auto positive = [](double scale) { return scale > 0 && std::isfinite(scale); };
  if (scales.size() != 2 || !positive(scales[0]) || !positive(scales[1]))
    return OpError("scales needs two positive numbers");
  for (size_t d = 0; d < 2; ++d) {
    if (size[d].Bounds().lower < 1) return OpError("an empty size");
    if (inputs[0].shape[2 + d].Bounds().upper < 1) return OpError("an empty input");
  }
  return std::vector<TensorType>{
      {inputs[0].dtype, {inputs[0].shape[0], inputs[0].shape[1], size[0], size[1]}}};
}

// Where output position o lies in the input, as f32, in the order of operations that ONNX states.
ScalarRef SourcePosition(const OpLowering& context, size_t d, const SymbolRef& out) {
  const std::string coordinates = StringAttr(context.attrs, "coordinates", "asymmetric");
  const ScalarRef scale = Real(FloatsAttr(context.attrs, "scales")[d]);
  const DimExpr last_in = context.input_types[0].shape[2 + d] - DimExpr(1);
  const DimExpr last_out = DimsAttr(context.attrs, "size")[d] - DimExpr(1);
  const ScalarRef o = Cast(IndexValue(out), DType::kF32);
  const auto number = [](const DimExpr& expr) {
    return expr.IsConstant() ? Real(static_cast<double>(expr.Constant()))
                             : Cast(IndexValue(expr), DType::kF32);
  };
  if (coordinates == "align_corners") {
    return Binary(BinaryOp::kDiv, Binary(BinaryOp::kMul, o, number(last_in)),
                  number(Max(last_out, DimExpr(1))));
  }
  if (coordinates == "asymmetric") return Binary(BinaryOp::kDiv, o, scale);
  return Binary(BinaryOp::kSub, Binary(BinaryOp::kDiv, Binary(BinaryOp::kAdd, o, Real(0.5)), scale),
                Real(0.5));
}

ScalarRef Rounded(const std::string& rounding, ScalarRef position) {
  if (rounding == "floor") return Unary(UnaryOp::kFloor, std::move(position));
  if (rounding == "ceil") return Unary(UnaryOp::kCeil, std::move(position));
  if (rounding == "round_prefer_ceil")
    return Unary(UnaryOp::kFloor, Binary(BinaryOp::kAdd, std::move(position), Real(0.5)));
  return Unary(UnaryOp::kCeil, Binary(BinaryOp::kSub, std::move(position), Real(0.5)));
}

// For a whole factor f the index stays an expression in two cases. Asymmetric, rounded down: floor(o / f).
// Half-pixel, half rounded down: ceil((2o + 1) / 2f - 1); (2o + 1) / 2f is never whole, so that is its floor,
// again floor(o / f).
LoadIndex NearestIndex(const OpLowering& context, size_t d, const SymbolRef& out) {
  const double scale = FloatsAttr(context.attrs, "scales")[d];
  const std::string rounding = StringAttr(context.attrs, "rounding", "floor");
  const std::string coordinates = StringAttr(context.attrs, "coordinates", "asymmetric");
  const bool divides = (coordinates == "asymmetric" && rounding == "floor") ||
                       (coordinates == "half_pixel" && rounding == "round_prefer_floor");
  if (divides && scale == std::floor(scale) && scale <= 1 << 16) {
    const DimExpr factor(static_cast<int64_t>(scale));
    const DimExpr size = DimsAttr(context.attrs, "size")[d];
    if (ProvablyLessEqual(size, factor * context.input_types[0].shape[2 + d]))
      return FloorDiv(DimExpr(out), factor);
  }
  return Cast(Rounded(rounding, SourcePosition(context, d, out)), DType::kI64);
}

absl::Status LowerNearest(const OpLowering& context, const std::vector<Axis>& axes) {
  AddCopy(context, "nearest", axes,
          Load(context.inputs[0], context.input_types[0].dtype,
               {DimExpr(axes[0].variable), DimExpr(axes[1].variable),
                NearestIndex(context, 0, axes[2].variable), NearestIndex(context, 1, axes[3].variable)}));
  return absl::OkStatus();
}

// Positions are clamped into the input; at its last element the second neighbour (clamped as computed indices
// are) has no weight.
absl::Status LowerLinear(const OpLowering& context, const std::vector<Axis>& axes) {
  const TensorType& type = context.input_types[0];
  ScalarRef low[2], fraction[2];
  for (size_t d = 0; d < 2; ++d) {
    const DimExpr last = type.shape[2 + d] - DimExpr(1);
    ScalarRef limit =
        last.IsConstant() ? Real(static_cast<double>(last.Constant())) : Cast(IndexValue(last), DType::kF32);
    ScalarRef position = Binary(BinaryOp::kMax, SourcePosition(context, d, axes[2 + d].variable), Real(0));
    position = Binary(BinaryOp::kMin, position, std::move(limit));
    ScalarRef floor = Unary(UnaryOp::kFloor, position);
    fraction[d] = Binary(BinaryOp::kSub, position, floor);
    if (type.dtype != DType::kF32) fraction[d] = Cast(fraction[d], type.dtype);
    low[d] = Cast(floor, DType::kI64);
  }
  const auto at = [&](int64_t dh, int64_t dw) {
    const auto step = [](const ScalarRef& base, int64_t by) {
      return by == 0 ? base : Binary(BinaryOp::kAdd, base, Integer(by));
    };
    return Load(context.inputs[0], type.dtype,
                {DimExpr(axes[0].variable), DimExpr(axes[1].variable), step(low[0], dh), step(low[1], dw)});
  };
  const auto blend = [](ScalarRef a, ScalarRef b, ScalarRef t) {
    return Binary(BinaryOp::kAdd, a, Binary(BinaryOp::kMul, Binary(BinaryOp::kSub, b, a), t));
  };
  AddCopy(context, "linear", axes,
          blend(blend(at(0, 0), at(0, 1), fraction[1]), blend(at(1, 0), at(1, 1), fraction[1]), fraction[0]));
  return absl::OkStatus();
}

absl::Status LowerResize(const OpLowering& context) {
  const std::vector<Axis> axes = MakeAxes({"n", "c", "oh", "ow"}, context.output_types[0].shape);
  return StringAttr(context.attrs, "mode", "nearest") == "nearest" ? LowerNearest(context, axes)
                                                                   : LowerLinear(context, axes);
}

std::vector<OpCase> ResizeCases() {
  const auto attrs = [](const char* mode, const char* coordinates, std::vector<int64_t> size, double h,
                        double w) {
    return AttrMap{{"mode", std::string(mode)},
                   {"coordinates", std::string(coordinates)},
                   {"size", Dims(std::move(size))},
                   {"scales", std::vector<double>{h, w}}};
  };
  return {{"double", {F32({1, 16, 3, 5})}, attrs("nearest", "asymmetric", {6, 10}, 2, 2)},
          {"nearest", {F32({1, 3, 7, 5})}, attrs("nearest", "half_pixel", {5, 11}, 5.0 / 7, 2.2)},
          {"linear", {F32({1, 7, 4, 5})}, attrs("linear", "half_pixel", {9, 10}, 2.25, 2)},
          {"corners", {F32({1, 3, 5, 7})}, attrs("linear", "align_corners", {10, 13}, 2, 13.0 / 7)}};
}

}  // namespace

std::vector<OpRow> ResizeRows() {
  return {MakeRow<kResize, InferResize>("resize2d", OpClass::kData,
                                        "size, scales; mode, coordinates, rounding", LowerResize, ResizeCases,
                                        Moved)};
}

}  // namespace hone
