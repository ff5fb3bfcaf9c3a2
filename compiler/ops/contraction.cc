#include "absl/strings/str_cat.h"
#include "compiler/ops/op_rows.h"
#include "compiler/ops/window_geometry.h"

namespace hone {
namespace {

ScalarRef Multiply(ScalarRef a, ScalarRef b) { return Binary(BinaryOp::kMul, std::move(a), std::move(b)); }

DimExpr ConvFlops(const AttrMap&, Types inputs, Types outputs) {
  const std::vector<DimExpr>& w = inputs[1].shape;
  return DimExpr(2) * ElementsOf(outputs[0]) * w[1] * w[2] * w[3];
}

using Kind = AttrSpec::Kind;
using Elements = OpSignature::Elements;

constexpr AttrSpec kConvAttrs[] = {
    {"strides", Kind::kInts}, {"pads", Kind::kInts}, {"dilations", Kind::kInts}, {"group", Kind::kInt}};
constexpr OpSignature kConv{2, 2, kConvAttrs, Elements::kNumeric, true, 4, 4};

InferResult InferConv(const AttrMap& attrs, Types inputs) {
  const DimExpr group(IntAttr(attrs, "group", 1));
  const std::vector<DimExpr>& x = inputs[0].shape;
  const std::vector<DimExpr>& w = inputs[1].shape;
  if (group.Constant() < 1 || !(w[1] * group == x[1])) {
    return OpError(
        absl::StrCat("channels ", x[1].ToString(), " of the input do not fit weights ", ShapeText(w)));
  }
  if (w[0].Bounds().lower < 1 || w[1].Bounds().lower < 1) return OpError("weights without channels");
  if (!(Mod(w[0], group) == DimExpr(0))) return OpError("the group does not divide the output channels");
  absl::StatusOr<WindowGeometry> geometry = WindowGeometry::Of(attrs, {w[2], w[3]});
  if (!geometry.ok()) return geometry.status();
  absl::StatusOr<std::vector<DimExpr>> spatial = geometry->OutputOf({x[2], x[3]});
  if (!spatial.ok()) return spatial.status();
  return std::vector<TensorType>{{inputs[0].dtype, {x[0], w[0], (*spatial)[0], (*spatial)[1]}}};
}

absl::Status LowerConv(const OpLowering& context) {
  const std::vector<DimExpr>& w = context.input_types[1].shape;
  const WindowGeometry geometry = *WindowGeometry::Of(context.attrs, {w[2], w[3]});
  const ProgramTensorId x = PadInput(context, geometry.padding(), 0);
  const std::vector<Axis> axes = MakeAxes({"n", "oc", "oh", "ow"}, context.output_types[0].shape);
  const std::vector<Axis> reduce = MakeAxes({"ic", "kh", "kw"}, {w[1], w[2], w[3]});
  const int64_t group = IntAttr(context.attrs, "group", 1);
  DimExpr channel(reduce[0].variable);
  if (group > 1) {
    const DimExpr per_group = FloorDiv(w[0], DimExpr(group));
    channel = FloorDiv(DimExpr(axes[1].variable), per_group) * w[1] + channel;
  }
  const DType dtype = context.input_types[0].dtype;
  ScalarRef input =
      Load(x, dtype,
           {DimExpr(axes[0].variable), channel, geometry.Index(0, axes[2].variable, reduce[1].variable),
            geometry.Index(1, axes[3].variable, reduce[2].variable)});
  ScalarRef weight = Load(context.inputs[1], dtype,
                          {DimExpr(axes[1].variable), DimExpr(reduce[0].variable),
                           DimExpr(reduce[1].variable), DimExpr(reduce[2].variable)});
  AddStage(context, context.outputs[0], "conv", axes, reduce, Combine::kSum, Multiply(input, weight));
  return absl::OkStatus();
}

std::vector<OpCase> ConvCases() {
  std::vector<OpCase> cases;
  const auto add = [&](const char* name, std::vector<int64_t> x, std::vector<int64_t> w, int64_t stride,
                       int64_t pad, int64_t dilation, int64_t group) {
    AttrMap attrs = {{"strides", std::vector<DimExpr>(2, DimExpr(stride))},
                     {"pads", std::vector<DimExpr>(4, DimExpr(pad))},
                     {"dilations", std::vector<DimExpr>(2, DimExpr(dilation))},
                     {"group", group}};
    cases.push_back({name, {F32(std::move(x)), F32(std::move(w))}, std::move(attrs)});
  };
  add("1x1", {1, 17, 5, 7}, {13, 17, 1, 1}, 1, 0, 1, 1);
  add("1x1_wide", {1, 32, 7, 7}, {64, 32, 1, 1}, 1, 0, 1, 1);
  add("3x3", {1, 16, 7, 7}, {32, 16, 3, 3}, 1, 1, 1, 1);
  add("3x3_odd", {2, 3, 11, 13}, {7, 3, 3, 3}, 1, 1, 1, 1);
  add("3x3_stride", {1, 16, 15, 17}, {16, 16, 3, 3}, 2, 1, 1, 1);
  add("7x7_stem", {1, 3, 31, 29}, {17, 3, 7, 7}, 2, 3, 1, 1);
  add("dilated", {1, 5, 13, 13}, {3, 5, 3, 3}, 1, 2, 2, 1);
  add("grouped", {1, 12, 7, 7}, {6, 4, 3, 3}, 1, 1, 1, 3);
  add("grouped_wide", {2, 64, 7, 6}, {96, 32, 3, 3}, 1, 1, 1, 2);
  add("grouped_1x1", {1, 48, 5, 9}, {48, 16, 1, 1}, 2, 0, 1, 3);
  add("one_pixel", {1, 7, 1, 1}, {19, 7, 1, 1}, 1, 0, 1, 1);
  cases.push_back({"uneven",
                   {F32({1, 3, 7, 17}), F32({5, 3, 2, 3})},
                   {{"strides", Dims({1, 3})}, {"pads", Dims({0, 1, 1, 2})}, {"dilations", Dims({3, 2})}}});
  return cases;
}

// Batch dimensions of both operands broadcast; the last two are the matrices.
struct MatmulShape {
  std::vector<DimExpr> batch;
  DimExpr m, n, k, k_of_b;
};

constexpr AttrSpec kMatmulAttrs[] = {{"transpose_a", Kind::kInt}, {"transpose_b", Kind::kInt}};
constexpr OpSignature kMatmul{2, 2, kMatmulAttrs, Elements::kNumeric, true, 2};

absl::StatusOr<MatmulShape> ShapeOfMatmul(const AttrMap& attrs, Types inputs) {
  const std::vector<DimExpr>& a = inputs[0].shape;
  const std::vector<DimExpr>& b = inputs[1].shape;
  absl::StatusOr<std::vector<DimExpr>> batch =
      BroadcastShapes({a.begin(), a.end() - 2}, {b.begin(), b.end() - 2});
  if (!batch.ok()) return batch.status();
  const size_t ta = IntAttr(attrs, "transpose_a") != 0 ? 1 : 0,
               tb = IntAttr(attrs, "transpose_b") != 0 ? 1 : 0;
  return MatmulShape{*batch, a[a.size() - 2 + ta], b[b.size() - 1 - tb], a[a.size() - 1 - ta],
                     b[b.size() - 2 + tb]};
}

InferResult InferMatmul(const AttrMap& attrs, Types inputs) {
  absl::StatusOr<MatmulShape> shape = ShapeOfMatmul(attrs, inputs);
  if (!shape.ok()) return shape.status();
  if (!(shape->k == shape->k_of_b)) {
    return OpError(
        absl::StrCat("inner dimensions ", shape->k.ToString(), " and ", shape->k_of_b.ToString(), " differ"));
  }
  std::vector<DimExpr> output = shape->batch;
  output.push_back(shape->m);
  output.push_back(shape->n);
  return std::vector<TensorType>{{inputs[0].dtype, output}};
}

absl::Status LowerMatmul(const OpLowering& context) {
  const MatmulShape shape = *ShapeOfMatmul(context.attrs, context.input_types);
  std::vector<std::string> names;
  for (size_t i = 0; i < shape.batch.size(); ++i) names.push_back(absl::StrCat("b", i));
  names.insert(names.end(), {"m", "n"});
  const std::vector<Axis> axes = MakeAxes(names, context.output_types[0].shape);
  const std::vector<Axis> reduce = MakeAxes({"k"}, {shape.k});
  const auto operand = [&](size_t i, DimExpr row, DimExpr column, bool transposed) {
    const TensorType& type = context.input_types[i];
    const size_t batch = type.shape.size() - 2;
    std::vector<LoadIndex> indices;
    for (size_t d = 0; d < batch; ++d) {
      const Axis& axis = axes[shape.batch.size() - batch + d];
      indices.push_back(type.shape[d] == DimExpr(1) ? DimExpr(0) : DimExpr(axis.variable));
    }
    if (transposed) std::swap(row, column);
    indices.push_back(row);
    indices.push_back(column);
    return Load(context.inputs[i], type.dtype, std::move(indices));
  };
  const DimExpr m(axes[axes.size() - 2].variable), n(axes.back().variable), k(reduce[0].variable);
  AddStage(context, context.outputs[0], "matmul", axes, reduce, Combine::kSum,
           Multiply(operand(0, m, k, IntAttr(context.attrs, "transpose_a") != 0),
                    operand(1, k, n, IntAttr(context.attrs, "transpose_b") != 0)));
  return absl::OkStatus();
}

DimExpr MatmulFlops(const AttrMap& attrs, Types inputs, Types outputs) {
  return DimExpr(2) * ElementsOf(outputs[0]) * ShapeOfMatmul(attrs, inputs)->k;
}

std::vector<OpCase> MatmulCases() {
  return {{"plain", {F32({17, 19}), F32({19, 23})}, {}},
          {"vector", {F32({1, 64}), F32({64, 37})}, {}},
          {"wide", {F32({13, 32}), F32({32, 64})}, {}},
          {"batched", {F32({3, 7, 16}), F32({3, 16, 17})}, {}},
          {"broadcast", {F32({2, 3, 5, 8}), F32({8, 32})}, {}},
          {"transposed_b", {F32({2, 7, 16}), F32({2, 33, 16})}, {{"transpose_b", int64_t{1}}}},
          {"transposed_a", {F32({16, 7}), F32({16, 31})}, {{"transpose_a", int64_t{1}}}},
          {"outer", {F32({3, 1, 5, 7}), F32({1, 2, 7, 3})}, {}},
          {"single", {F32({1, 1}), F32({1, 1})}, {}}};
}

// Weights [c, oc/group, kh, kw]; out = (in - 1) stride - pads + dilated kernel + output_padding.
constexpr AttrSpec kConvTransposeAttrs[] = {{"strides", Kind::kInts},
                                            {"pads", Kind::kInts},
                                            {"dilations", Kind::kInts},
                                            {"group", Kind::kInt},
                                            {"output_padding", Kind::kInts}};
constexpr OpSignature kConvTranspose{2, 2, kConvTransposeAttrs, Elements::kNumeric, true, 4, 4};

InferResult InferConvTranspose(const AttrMap& attrs, Types inputs) {
  const std::vector<DimExpr>& x = inputs[0].shape;
  const std::vector<DimExpr>& w = inputs[1].shape;
  const int64_t group = IntAttr(attrs, "group", 1);
  if (group < 1 || !(w[0] == x[1])) return OpError("channels of input and weights differ");
  if (w[0].Bounds().lower < 1 || w[1].Bounds().lower < 1) return OpError("weights without channels");
  if (!(Mod(w[0], DimExpr(group)) == DimExpr(0)))
    return OpError("the group does not divide the input channels");
  absl::StatusOr<WindowGeometry> geometry = WindowGeometry::Of(attrs, {w[2], w[3]});
  if (!geometry.ok()) return geometry.status();
  std::vector<int64_t> extra = IntsAttr(attrs, "output_padding");
  if (extra.empty()) extra = {0, 0};
  if (extra.size() != 2) return OpError("output_padding needs 2 numbers");
  std::vector<DimExpr> shape = {x[0], w[1] * DimExpr(group)};
  for (size_t d = 0; d < 2; ++d) {
    if (extra[d] < 0 || extra[d] > WindowGeometry::kMost)
      return OpError(absl::StrCat("output_padding out of range: ", extra[d]));
    shape.push_back((x[2 + d] - DimExpr(1)) * DimExpr(geometry->strides[d]) -
                    DimExpr(geometry->before[d] + geometry->after[d]) +
                    DimExpr(geometry->dilations[d]) * (w[2 + d] - DimExpr(1)) + DimExpr(1 + extra[d]));
    if (shape.back().Bounds().upper < 1) return OpError("the output would be empty");
  }
  return std::vector<TensorType>{{inputs[0].dtype, shape}};
}

// out[oh] gathers in[(oh + pad - kh dilation) / stride] where that is whole and inside.
absl::Status LowerConvTranspose(const OpLowering& context) {
  const std::vector<DimExpr>& x = context.input_types[0].shape;
  const std::vector<DimExpr>& w = context.input_types[1].shape;
  const WindowGeometry geometry = *WindowGeometry::Of(context.attrs, {w[2], w[3]});
  const int64_t group = IntAttr(context.attrs, "group", 1);
  const std::vector<Axis> axes = MakeAxes({"n", "oc", "oh", "ow"}, context.output_types[0].shape);
  const DimExpr per_group = FloorDiv(w[0], DimExpr(group));
  const std::vector<Axis> reduce = MakeAxes({"ic", "kh", "kw"}, {per_group, w[2], w[3]});
  const DimExpr oc(axes[1].variable);
  const DimExpr channel = FloorDiv(oc, w[1]) * per_group + DimExpr(reduce[0].variable);
  ScalarRef inside;
  const auto require = [&](ScalarRef condition) {
    inside = inside == nullptr ? condition : Binary(BinaryOp::kAnd, inside, condition);
  };
  std::vector<LoadIndex> indices = {DimExpr(axes[0].variable), channel};
  for (size_t d = 0; d < 2; ++d) {
    const DimExpr stride(geometry.strides[d]);
    const DimExpr position = DimExpr(axes[2 + d].variable) + DimExpr(geometry.before[d]) -
                             DimExpr(geometry.dilations[d]) * DimExpr(reduce[1 + d].variable);
    require(Binary(BinaryOp::kLessEqual, Integer(0), IndexValue(position)));
    require(Binary(BinaryOp::kLess, IndexValue(FloorDiv(position, stride)), IndexValue(x[2 + d])));
    if (geometry.strides[d] > 1)
      require(Binary(BinaryOp::kEqual, IndexValue(Mod(position, stride)), Integer(0)));
    indices.push_back(FloorDiv(position, stride));
  }
  const DType dtype = context.input_types[0].dtype;
  ScalarRef weight = Load(context.inputs[1], dtype,
                          {channel, Mod(oc, w[1]), DimExpr(reduce[1].variable), DimExpr(reduce[2].variable)});
  ScalarRef product = Multiply(Load(context.inputs[0], dtype, indices), weight);
  AddStage(context, context.outputs[0], "conv_transpose", axes, reduce, Combine::kSum,
           Select(inside, product, Real(0, dtype)));
  return absl::OkStatus();
}

DimExpr ConvTransposeFlops(const AttrMap&, Types inputs, Types) {
  const std::vector<DimExpr>& w = inputs[1].shape;
  return DimExpr(2) * ElementsOf(inputs[0]) * w[1] * w[2] * w[3];
}

std::vector<OpCase> ConvTransposeCases() {
  const std::vector<DimExpr> two(2, DimExpr(2)), one(2, DimExpr(1)), pads(4, DimExpr(1));
  return {{"stride2", {F32({1, 5, 4, 3}), F32({5, 7, 2, 2})}, {{"strides", two}}},
          {"padded",
           {F32({1, 6, 5, 5}), F32({6, 3, 3, 3})},
           {{"strides", two}, {"pads", pads}, {"group", int64_t{2}}, {"output_padding", one}}}};
}

}  // namespace

std::vector<OpRow> ContractionRows() {
  return {MakeRow<kConv, InferConv>(
              "conv2d", OpClass::kContraction,
              "x[n,c,h,w] * w[oc,c/group,kh,kw]; strides, pads [top,left,bottom,right], dilations, group",
              LowerConv, ConvCases, ConvFlops),
          MakeRow<kMatmul, InferMatmul>("matmul", OpClass::kContraction,
                                        "a[..,m,k] b[..,k,n]; transpose_a, transpose_b", LowerMatmul,
                                        MatmulCases, MatmulFlops),
          MakeRow<kConvTranspose, InferConvTranspose>(
              "conv_transpose2d", OpClass::kWindow,
              "transposed convolution, w[c,oc/group,kh,kw]; strides, pads, dilations, group, output_padding",
              LowerConvTranspose, ConvTransposeCases, ConvTransposeFlops)};
}

}  // namespace hone
