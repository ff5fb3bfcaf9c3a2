#include "absl/strings/str_cat.h"
#include "compiler/ops/op_rows.h"

namespace hone {
namespace {

constexpr AttrSpec kReshapeAttrs[] = {{"shape", AttrSpec::Kind::kDims, true}};
constexpr OpSignature kReshape{1, 1, kReshapeAttrs};

InferResult InferReshape(const AttrMap& attrs, Types inputs) {
  const std::vector<DimExpr> shape = DimsAttr(attrs, "shape");
  if (!(Product(shape) == ElementsOf(inputs[0]))) {
    return OpError(absl::StrCat("shape ", ShapeText(shape), " has not as many elements as ",
                                ShapeText(inputs[0].shape)));
  }
  return std::vector<TensorType>{{inputs[0].dtype, shape}};
}

// Row-major position, split again. Of an empty tensor nothing is loaded.
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
    if (type.shape[d] == DimExpr(1) || type.shape[d] == DimExpr(0)) {
      indices[d] = DimExpr(0);
    } else {
      indices[d] = d == 0 ? position : Mod(position, type.shape[d]);
      position = FloorDiv(position, type.shape[d]);
    }
  }
  AddCopy(context, "reshape", axes, Load(context.inputs[0], type.dtype, indices));
  return absl::OkStatus();
}

std::vector<OpCase> ReshapeCases() {
  return {{"flatten", {F32({2, 3, 5})}, {{"shape", Dims({2, 15})}}},
          {"split", {F32({7, 24})}, {{"shape", Dims({7, 2, 3, 4})}}},
          {"squeeze", {F32({1, 17, 1, 1})}, {{"shape", Dims({1, 17})}}}};
}

}  // namespace

std::vector<OpRow> ViewRows() {
  return {MakeRow<kReshape, InferReshape>("reshape", OpClass::kView,
                                          "the same row-major elements under another shape", LowerReshape,
                                          ReshapeCases, Moved)};
}

}  // namespace hone
