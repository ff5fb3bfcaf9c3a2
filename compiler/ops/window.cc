#include "absl/strings/str_cat.h"
#include "compiler/ops/op_rows.h"
#include "compiler/ops/window_geometry.h"

namespace hone {

absl::StatusOr<WindowGeometry> WindowGeometry::Of(const AttrMap& attrs, std::vector<DimExpr> kernel) {
  WindowGeometry geometry{.kernel = std::move(kernel)};
  const auto list = [&](const char* name, size_t length, int64_t fallback,
                        int64_t least) -> absl::StatusOr<std::vector<int64_t>> {
    if (attrs.find(name) == attrs.end()) return std::vector<int64_t>(length, fallback);
    std::vector<int64_t> values = IntsAttr(attrs, name);
    if (values.size() != length) return OpError(absl::StrCat(name, " needs ", length, " numbers"));
    for (const int64_t value : values) {
      if (value < least || value > kMost) return OpError(absl::StrCat(name, " out of range: ", value));
    }
    return values;
  };
  absl::StatusOr<std::vector<int64_t>> strides = list("strides", 2, 1, 1),
                                       dilations = list("dilations", 2, 1, 1), pads = list("pads", 4, 0, 0);
  for (const auto* part : {&strides, &dilations, &pads}) {
    if (!part->ok()) return part->status();
  }
  geometry.strides = *strides;
  geometry.dilations = *dilations;
  geometry.before = {(*pads)[0], (*pads)[1]};
  geometry.after = {(*pads)[2], (*pads)[3]};
  for (const DimExpr& size : geometry.kernel) {
    if (size.Bounds().lower < 1) return OpError("the kernel is empty");
  }
  return geometry;
}

absl::StatusOr<std::vector<DimExpr>> WindowGeometry::OutputOf(const std::vector<DimExpr>& input) const {
  std::vector<DimExpr> output;
  for (size_t d = 0; d < input.size(); ++d) {
    const DimExpr reach = DimExpr(dilations[d]) * (kernel[d] - DimExpr(1)) + DimExpr(1);
    const DimExpr room = input[d] + DimExpr(before[d] + after[d]) - reach;
    if (room.Bounds().upper < 0) return OpError("the window is larger than the padded input");
    output.push_back(FloorDiv(room, DimExpr(strides[d])) + DimExpr(1));
  }
  return output;
}

namespace {

struct WindowAxes {
  std::vector<Axis> axes, reduce;
};

WindowAxes AxesOf(const OpLowering& context, const WindowGeometry& geometry) {
  return {MakeAxes({"n", "c", "oh", "ow"}, context.output_types[0].shape),
          MakeAxes({"kh", "kw"}, geometry.kernel)};
}

ScalarRef InputAt(const OpLowering& context, const WindowGeometry& geometry, const WindowAxes& window,
                  ProgramTensorId x, DimExpr channel) {
  return Load(x, context.input_types[0].dtype,
              {DimExpr(window.axes[0].variable), std::move(channel),
               geometry.Index(0, window.axes[2].variable, window.reduce[0].variable),
               geometry.Index(1, window.axes[3].variable, window.reduce[1].variable)});
}

// Depthwise convolution: weights [c * multiplier, 1, kh, kw].
using Kind = AttrSpec::Kind;
using Elements = OpSignature::Elements;

constexpr AttrSpec kWindowAttrs[] = {
    {"strides", Kind::kInts}, {"pads", Kind::kInts}, {"dilations", Kind::kInts}};
constexpr OpSignature kDepthwise{2, 2, kWindowAttrs, Elements::kNumeric, true, 4, 4};

InferResult InferDepthwise(const AttrMap& attrs, Types inputs) {
  const std::vector<DimExpr>& x = inputs[0].shape;
  const std::vector<DimExpr>& w = inputs[1].shape;
  if (!(w[1] == DimExpr(1)) || x[1].Bounds().lower < 1 || w[0].Bounds().lower < 1 ||
      !(Mod(w[0], x[1]) == DimExpr(0))) {
    return OpError(absl::StrCat("weights ", ShapeText(w), " do not fit input ", ShapeText(x)));
  }
  absl::StatusOr<WindowGeometry> geometry = WindowGeometry::Of(attrs, {w[2], w[3]});
  if (!geometry.ok()) return geometry.status();
  absl::StatusOr<std::vector<DimExpr>> spatial = geometry->OutputOf({x[2], x[3]});
  if (!spatial.ok()) return spatial.status();
  return std::vector<TensorType>{{inputs[0].dtype, {x[0], w[0], (*spatial)[0], (*spatial)[1]}}};
}

absl::Status LowerDepthwise(const OpLowering& context) {
  const std::vector<DimExpr>& w = context.input_types[1].shape;
  const WindowGeometry geometry = *WindowGeometry::Of(context.attrs, {w[2], w[3]});
  const ProgramTensorId x = PadInput(context, geometry.padding(), 0);
  const WindowAxes window = AxesOf(context, geometry);
  const DimExpr c(window.axes[1].variable);
  const DimExpr multiplier = FloorDiv(w[0], context.input_types[0].shape[1]);
  ScalarRef weight =
      Load(context.inputs[1], context.input_types[1].dtype,
           {c, DimExpr(0), DimExpr(window.reduce[0].variable), DimExpr(window.reduce[1].variable)});
  AddStage(context, context.outputs[0], "depthwise", window.axes, window.reduce, Combine::kSum,
           Binary(BinaryOp::kMul, InputAt(context, geometry, window, x, FloorDiv(c, multiplier)), weight));
  return absl::OkStatus();
}

DimExpr DepthwiseFlops(const AttrMap&, Types inputs, Types outputs) {
  return DimExpr(2) * ElementsOf(outputs[0]) * inputs[1].shape[2] * inputs[1].shape[3];
}

std::vector<OpCase> DepthwiseCases() {
  const std::vector<DimExpr> two(2, DimExpr(2)), pads(4, DimExpr(1)), wide(4, DimExpr(2));
  return {{"3x3", {F32({1, 16, 7, 7}), F32({16, 1, 3, 3})}, {{"pads", pads}}},
          {"stride", {F32({1, 19, 11, 13}), F32({19, 1, 3, 3})}, {{"pads", pads}, {"strides", two}}},
          {"5x5", {F32({2, 3, 7, 17}), F32({3, 1, 5, 5})}, {{"pads", wide}}},
          {"multiplier", {F32({1, 5, 5, 5}), F32({10, 1, 3, 3})}, {{"pads", pads}}}};
}

// Pooling: attributes kernel, strides, pads, dilations.
constexpr AttrSpec kMaxPoolAttrs[] = {{"kernel", Kind::kInts, true},
                                      {"strides", Kind::kInts},
                                      {"pads", Kind::kInts},
                                      {"dilations", Kind::kInts}};
constexpr AttrSpec kAveragePoolAttrs[] = {{"kernel", Kind::kInts, true},
                                          {"strides", Kind::kInts},
                                          {"pads", Kind::kInts},
                                          {"dilations", Kind::kInts},
                                          {"count_include_pad", Kind::kInt}};
constexpr OpSignature kMaxPool{1, 1, kMaxPoolAttrs, Elements::kNumeric, true, 4, 4};
constexpr OpSignature kAveragePool{1, 1, kAveragePoolAttrs, Elements::kFloat, true, 4, 4};

InferResult InferPool(const AttrMap& attrs, Types inputs) {
  const std::vector<DimExpr> kernel = DimsAttr(attrs, "kernel");
  if (kernel.size() != 2) return OpError("kernel needs 2 numbers");
  absl::StatusOr<WindowGeometry> geometry = WindowGeometry::Of(attrs, kernel);
  if (!geometry.ok()) return geometry.status();
  absl::StatusOr<std::vector<DimExpr>> spatial = geometry->OutputOf({inputs[0].shape[2], inputs[0].shape[3]});
  if (!spatial.ok()) return spatial.status();
  return std::vector<TensorType>{
      {inputs[0].dtype, {inputs[0].shape[0], inputs[0].shape[1], (*spatial)[0], (*spatial)[1]}}};
}

absl::Status LowerMaxPool(const OpLowering& context) {
  const WindowGeometry geometry = *WindowGeometry::Of(context.attrs, DimsAttr(context.attrs, "kernel"));
  const ProgramTensorId x = PadInput(context, geometry.padding(), -std::numeric_limits<double>::infinity());
  const WindowAxes window = AxesOf(context, geometry);
  AddStage(context, context.outputs[0], "max_pool", window.axes, window.reduce, Combine::kMax,
           InputAt(context, geometry, window, x, DimExpr(window.axes[1].variable)));
  return absl::OkStatus();
}

// How many taps of the window at `out` lie inside [-included, size + included) of dimension d.
DimExpr TapsInside(const WindowGeometry& geometry, const OpLowering& context, size_t d, const SymbolRef& out,
                   bool padded) {
  const DimExpr size = context.input_types[0].shape[2 + d];
  const DimExpr start = DimExpr(geometry.strides[d]) * DimExpr(out) - DimExpr(geometry.before[d]);
  const DimExpr low = padded ? DimExpr(-geometry.before[d]) : DimExpr(0);
  const DimExpr high = padded ? size + DimExpr(geometry.after[d]) : size;
  const DimExpr dilation(geometry.dilations[d]);
  const DimExpr end = start + dilation * (geometry.kernel[d] - DimExpr(1)) + DimExpr(1);
  const DimExpr before = CeilDiv(Max(DimExpr(0), low - start), dilation);
  const DimExpr after = CeilDiv(Max(DimExpr(0), end - high), dilation);
  return geometry.kernel[d] - before - after;
}

absl::Status LowerAveragePool(const OpLowering& context) {
  const WindowGeometry geometry = *WindowGeometry::Of(context.attrs, DimsAttr(context.attrs, "kernel"));
  const DType dtype = context.input_types[0].dtype;
  const ProgramTensorId x = PadInput(context, geometry.padding(), 0);
  const WindowAxes window = AxesOf(context, geometry);
  const ProgramTensorId sum = AddTemporary(context, "sum", dtype, context.output_types[0].shape);
  AddStage(context, sum, "sum_pool", window.axes, window.reduce, Combine::kSum,
           InputAt(context, geometry, window, x, DimExpr(window.axes[1].variable)));
  const std::vector<Axis> axes = MakeAxes({"n", "c", "oh", "ow"}, context.output_types[0].shape);
  const bool padded = IntAttr(context.attrs, "count_include_pad") != 0;
  const DimExpr taps = TapsInside(geometry, context, 0, axes[2].variable, padded) *
                       TapsInside(geometry, context, 1, axes[3].variable, padded);
  ScalarRef total = Load(sum, dtype, Identity(axes));
  ScalarRef mean = taps.IsConstant() ? Binary(BinaryOp::kMul, total,
                                              Real(1.0 / static_cast<double>(taps.Constant()), dtype))
                                     : Binary(BinaryOp::kDiv, total, Cast(IndexValue(taps), dtype));
  AddStage(context, context.outputs[0], "mean", axes, {}, Combine::kNone, mean);
  return absl::OkStatus();
}

DimExpr PoolFlops(const AttrMap& attrs, Types, Types outputs) {
  return ElementsOf(outputs[0]) * Product(DimsAttr(attrs, "kernel"));
}

template <bool average>
std::vector<OpCase> PoolCases() {
  std::vector<OpCase> cases = {
      {"2x2", {F32({1, 16, 8, 6})}, {{"kernel", Dims({2, 2})}, {"strides", Dims({2, 2})}}},
      {"3x3_pad",
       {F32({1, 7, 11, 13})},
       {{"kernel", Dims({3, 3})}, {"strides", Dims({2, 2})}, {"pads", Dims({1, 1, 1, 1})}}},
      {"uneven",
       {F32({1, 3, 7, 17})},
       {{"kernel", Dims({2, 3})},
        {"strides", Dims({1, 3})},
        {"pads", Dims({0, 1, 1, 2})},
        {"dilations", Dims({3, 2})}}}};
  if (average) {
    cases.push_back(
        {"3x3_counted",
         {F32({2, 17, 5, 7})},
         {{"kernel", Dims({3, 3})}, {"pads", Dims({1, 1, 1, 1})}, {"count_include_pad", int64_t{1}}}});
  }
  return cases;
}

}  // namespace

std::vector<OpRow> WindowRows() {
  return {MakeRow<kDepthwise, InferDepthwise>(
              "depthwise_conv2d", OpClass::kWindow,
              "every channel with its own window, w[c*multiplier,1,kh,kw]; strides, pads, dilations",
              LowerDepthwise, DepthwiseCases, DepthwiseFlops),
          MakeRow<kMaxPool, InferPool>("max_pool2d", OpClass::kWindow,
                                       "kernel, strides, pads, dilations; padding never wins", LowerMaxPool,
                                       PoolCases<false>, PoolFlops),
          MakeRow<kAveragePool, InferPool>(
              "average_pool2d", OpClass::kWindow,
              "kernel, strides, pads, dilations, count_include_pad; divides by the taps inside",
              LowerAveragePool, PoolCases<true>, PoolFlops)};
}

}  // namespace hone
