#include <algorithm>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "compiler/ops/op_rows.h"

namespace hone {
namespace {

using Kind = AttrSpec::Kind;
using Elements = OpSignature::Elements;

constexpr int64_t kMostParts = 1 << 12;
constexpr int64_t kMostElements = int64_t{1} << 40;  // of a dimension: attributes beyond are refused

bool AnyBeyond(const std::vector<int64_t>& list, int64_t most) {
  return std::any_of(list.begin(), list.end(), [&](int64_t value) { return value < -most || value > most; });
}

constexpr AttrSpec kTransposeAttrs[] = {{"perm", Kind::kInts, true}};
constexpr OpSignature kTranspose{1, 1, kTransposeAttrs};

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

constexpr AttrSpec kConcatAttrs[] = {{"axis", Kind::kInt, true}};
constexpr OpSignature kConcat{1, kMostParts, kConcatAttrs, Elements::kAny, true, 1};

InferResult InferConcat(const AttrMap& attrs, Types inputs) {
  absl::StatusOr<int> axis = NormaliseAxis(IntAttr(attrs, "axis"), inputs[0].rank());
  if (!axis.ok()) return axis.status();
  TensorType type = inputs[0];
  for (size_t i = 1; i < inputs.size(); ++i) {
    bool fits = inputs[i].rank() == type.rank();
    for (int d = 0; d < type.rank() && fits; ++d) fits = d == *axis || inputs[i].shape[d] == type.shape[d];
    if (!fits)
      return OpError(
          absl::StrCat("part ", i, " is ", inputs[i].ToString(), " beside ", inputs[0].ToString()));
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

constexpr AttrSpec kSliceAttrs[] = {
    {"starts", Kind::kDims, true}, {"ends", Kind::kDims, true}, {"steps", Kind::kInts, true}};
constexpr OpSignature kSlice{1, 1, kSliceAttrs, Elements::kAny, true, 1};

InferResult InferSlice(const AttrMap& attrs, Types inputs) {
  const std::vector<DimExpr> starts = DimsAttr(attrs, "starts"), ends = DimsAttr(attrs, "ends");
  const std::vector<int64_t> steps = IntsAttr(attrs, "steps");
  const size_t rank = inputs[0].shape.size();
  if (starts.size() != rank || ends.size() != rank || steps.size() != rank)
    return OpError("starts, ends and steps have full rank");
  if (AnyBeyond(steps, kMostElements)) return OpError("a step is out of range");
  TensorType type{inputs[0].dtype, {}};
  for (size_t d = 0; d < rank; ++d) {
    if (steps[d] == 0) return OpError("a step of 0");
    if (steps[d] < 0 && ends[d].Bounds().lower < -1) return OpError("a slice beyond the start");
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
  for (size_t d = 0; d < axes.size(); ++d)
    indices.push_back(starts[d] + DimExpr(steps[d]) * DimExpr(axes[d].variable));
  AddCopy(context, "slice", axes, Load(context.inputs[0], context.input_types[0].dtype, indices));
  return absl::OkStatus();
}

constexpr AttrSpec kChannelShuffleAttrs[] = {{"groups", Kind::kInt, true}};
constexpr OpSignature kChannelShuffle{1, 1, kChannelShuffleAttrs, Elements::kAny, true, 2};

InferResult InferChannelShuffle(const AttrMap& attrs, Types inputs) {
  const int64_t groups = IntAttr(attrs, "groups");
  if (inputs[0].rank() < 2) return OpError("no channels");
  const DimExpr& channels = inputs[0].shape[1];
  if (!channels.IsConstant() || groups < 1 || channels.Constant() % groups != 0) {
    return OpError("groups do not divide the channels");
  }
  return std::vector<TensorType>{inputs[0]};
}

absl::Status LowerChannelShuffle(const OpLowering& context) {
  const DimExpr groups(IntAttr(context.attrs, "groups"));
  const std::vector<Axis> axes = NumberedAxes("i", context.output_types[0].shape);
  std::vector<LoadIndex> indices = Identity(axes);
  const DimExpr channel(axes[1].variable), size = FloorDiv(context.input_types[0].shape[1], groups);
  indices[1] = Mod(channel, groups) * size + FloorDiv(channel, groups);
  AddCopy(context, "channel_shuffle", axes, Load(context.inputs[0], context.input_types[0].dtype, indices));
  return absl::OkStatus();
}

constexpr AttrSpec kDepthToSpaceAttrs[] = {{"block", Kind::kInt, true}, {"channels", Kind::kInt, true}};
constexpr OpSignature kDepthToSpace{1, 1, kDepthToSpaceAttrs, Elements::kAny, true, 4, 4};

InferResult InferDepthToSpace(const AttrMap& attrs, Types inputs) {
  const int64_t block = IntAttr(attrs, "block"), channels = IntAttr(attrs, "channels");
  const std::vector<DimExpr>& x = inputs[0].shape;
  if (block < 1 || block > kMostParts || !x[1].IsConstant() || x[1].Constant() % (block * block) != 0) {
    return OpError("block * block does not divide the channels");
  }
  if (channels < 1 || channels > x[1].Constant() / (block * block)) return OpError("more channels than there are");
  return std::vector<TensorType>{{inputs[0].dtype, {x[0], channels, x[2] * DimExpr(block), x[3] * DimExpr(block)}}};
}

absl::Status LowerDepthToSpace(const OpLowering& context) {
  const DimExpr block(IntAttr(context.attrs, "block"));
  const std::vector<Axis> axes = NumberedAxes("i", context.output_types[0].shape);
  const DimExpr group = FloorDiv(context.input_types[0].shape[1], block * block);
  const DimExpr row(axes[2].variable), column(axes[3].variable);
  const DimExpr place = Mod(row, block) * block + Mod(column, block);
  AddCopy(context, "depth_to_space", axes,
          Load(context.inputs[0], context.input_types[0].dtype,
               {DimExpr(axes[0].variable), place * group + DimExpr(axes[1].variable), FloorDiv(row, block),
                FloorDiv(column, block)}));
  return absl::OkStatus();
}

constexpr AttrSpec kGatherAttrs[] = {{"axis", Kind::kInt}};
constexpr OpSignature kGather{2, 2, kGatherAttrs, Elements::kAny, false};

InferResult InferGather(const AttrMap& attrs, Types inputs) {
  absl::StatusOr<int> axis = NormaliseAxis(IntAttr(attrs, "axis"), inputs[0].rank());
  if (!axis.ok()) return axis.status();
  if (inputs[1].dtype != DType::kI64 && inputs[1].dtype != DType::kI32)
    return OpError("indices are not i64 or i32");
  if (inputs[0].shape[*axis].Bounds().upper < 1) return OpError("nothing to gather from");
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

constexpr AttrSpec kPadAttrs[] = {{"pads", Kind::kInts, true},
                                  {"mode", Kind::kText, false, "constant|reflect|edge"},
                                  {"value", Kind::kReal}};
constexpr OpSignature kPad{1, 1, kPadAttrs};

InferResult InferPad(const AttrMap& attrs, Types inputs) {
  const std::vector<int64_t> pads = IntsAttr(attrs, "pads");
  const size_t rank = inputs[0].shape.size();
  if (pads.size() != 2 * rank) return OpError("pads needs two numbers per dimension");
  const std::string mode = StringAttr(attrs, "mode", "constant");
  if (AnyBeyond(pads, kMostElements)) return OpError("a pad is out of range");
  TensorType type = inputs[0];
  for (size_t d = 0; d < rank; ++d) {
    if (pads[d] < 0 || pads[d + rank] < 0) return OpError("negative padding");
    const int64_t most = std::max(pads[d], pads[d + rank]);
    if (mode == "edge" && most > 0 && type.shape[d].Bounds().upper < 1)
      return OpError("an empty input has no edge");
    if (mode == "reflect" && most > 0 && !ProvablyLess(DimExpr(most), type.shape[d]))
      return OpError("reflected padding exceeds the input");
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
      ScalarRef both =
          Binary(BinaryOp::kAnd, low, Binary(BinaryOp::kLess, IndexValue(index), IndexValue(type.shape[d])));
      if (pads[d] + pads[d + rank] > 0)
        inside = inside == nullptr ? both : Binary(BinaryOp::kAnd, inside, both);
    }
  }
  ScalarRef value = Load(context.inputs[0], type.dtype, indices);
  if (inside != nullptr) {
    value = Select(inside, value, Literal(FloatAttr(context.attrs, "value", 0), type.dtype));
  }
  AddCopy(context, "pad", axes, value);
  return absl::OkStatus();
}

constexpr AttrSpec kShapeAttrs[] = {{"shape", Kind::kDims, true}};
constexpr OpSignature kExpand{1, 1, kShapeAttrs};

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

constexpr AttrSpec kCumSumAttrs[] = {{"axis", Kind::kInt}};
constexpr OpSignature kCumSum{1, 1, kCumSumAttrs, Elements::kNumeric, true, 1};

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
    stage.body = {Binary(BinaryOp::kAdd, Load(carried, type.dtype, Identity(axes)),
                         Load(item, type.dtype, Identity(axes)))};
    stage.outputs = {output};
    body->stages.push_back(std::move(stage));
  }
  const ProgramTensorId zero = AddTemporary(context, "zero", type.dtype, slice);
  const ProgramTensorId last = AddTemporary(context, "last", type.dtype, slice);
  AddStage(context, zero, "zero", NumberedAxes("i", slice), {}, Combine::kNone, Literal(0, type.dtype));
  Stage scan{.name = context.prefix + "_scan"};
  scan.scan = Scan{.body = body,
                   .initial = {zero},
                   .scanned = {context.inputs[0]},
                   .final_carried = {last},
                   .stacked = {context.outputs[0]},
                   .length = type.shape[0]};
  context.program.stages.push_back(std::move(scan));
  return absl::OkStatus();
}

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
  return {
      {"middle",
       {F32({3, 17})},
       {{"starts", Dims({1, 3})}, {"ends", Dims({3, 16})}, {"steps", Dims({1, 1})}}},
      {"steps", {F32({7, 16})}, {{"starts", Dims({0, 1})}, {"ends", Dims({7, 16})}, {"steps", Dims({2, 3})}}},
      {"backwards",
       {F32({5, 17})},
       {{"starts", Dims({4, 16})}, {"ends", Dims({0, -1})}, {"steps", Dims({-2, -1})}}}};
}
std::vector<OpCase> ChannelShuffleCases() {
  return {{"halves", {F32({1, 58, 3, 5})}, {{"groups", int64_t{2}}}},
          {"thirds", {F32({2, 48, 3, 1})}, {{"groups", int64_t{3}}}}};
}
std::vector<OpCase> DepthToSpaceCases() {
  return {{"all", {F32({1, 64, 3, 5})}, {{"block", int64_t{2}}, {"channels", int64_t{16}}}},
          {"one", {F32({1, 4, 3, 17})}, {{"block", int64_t{2}}, {"channels", int64_t{1}}}},
          {"some", {F32({2, 54, 2, 3})}, {{"block", int64_t{3}}, {"channels", int64_t{5}}}}};
}
std::vector<OpCase> GatherCases() {
  const TensorType indices{DType::kI64, Dims({5})};
  return {{"rows", {F32({7, 16}), indices}, {{"axis", int64_t{0}}}, -7, 7},
          {"columns", {F32({3, 7}), indices}, {{"axis", int64_t{1}}}, -7, 7},
          {"table", {F32({11, 17}), {DType::kI32, Dims({2, 3})}}, {}, -11, 11},
          {"one", {F32({3, 5}), {DType::kI64, {}}}, {{"axis", int64_t{-1}}}, -5, 5}};
}
std::vector<OpCase> PadCases() {
  const auto pads = Dims({0, 0, 1, 2, 0, 0, 2, 1});
  std::vector<OpCase> cases;
  for (const char* mode : {"constant", "reflect", "edge"}) {
    cases.push_back(
        {mode, {F32({1, 3, 5, 17})}, {{"pads", pads}, {"mode", std::string(mode)}, {"value", 0.5}}});
  }
  return cases;
}
std::vector<OpCase> ExpandCases() {
  return {{"rows", {F32({1, 17})}, {{"shape", Dims({5, 17})}}},
          {"columns", {F32({7, 1})}, {{"shape", Dims({3, 1, 16})}}},
          {"integers", {{DType::kI64, Dims({1, 3})}}, {{"shape", Dims({5, 1})}}, -9, 9}};
}
std::vector<OpCase> CumSumCases() { return {{"rows", {F32({7, 5})}, {{"axis", int64_t{0}}}}}; }

}  // namespace

std::vector<OpRow> DataRows() {
  constexpr OpClass kData = OpClass::kData;
  return {
      MakeRow<kTranspose, InferTranspose>("transpose", kData, "dimensions in the order perm", LowerTranspose,
                                          TransposeCases, Moved),
      MakeRow<kConcat, InferConcat>("concat", kData, "parts one after another along axis", LowerConcat,
                                    ConcatCases, Moved),
      MakeRow<kSlice, InferSlice>("slice", kData,
                                  "starts, ends (exclusive, clamped), steps for every dimension", LowerSlice,
                                  SliceCases, Moved),
      MakeRow<kChannelShuffle, InferChannelShuffle>("channel_shuffle", kData,
                                                    "groups of channels taken in turn: one of each, again and again",
                                                    LowerChannelShuffle, ChannelShuffleCases, Moved),
      MakeRow<kDepthToSpace, InferDepthToSpace>(
          "depth_to_space", kData, "block x block groups of channels side by side; the first `channels` of each",
          LowerDepthToSpace, DepthToSpaceCases, Moved),
      MakeRow<kGather, InferGather>("gather", kData,
                                    "x at indices along axis; negative ones count from the end, clamped",
                                    LowerGather, GatherCases, Moved),
      MakeRow<kPad, InferPad>("pad", kData, "pads [before.., after..]; mode, value", LowerPad, PadCases,
                              Moved),
      MakeRow<kExpand, InferExpand>("expand", kData, "broadcast with shape", LowerExpand, ExpandCases, Moved),
      MakeRow<kCumSum, InferCumSum>("cum_sum", kData, "running sum along axis 0", LowerCumSum, CumSumCases,
                                    Moved)};
}

}  // namespace hone
