#include "compiler/schedule/conv_view.h"

#include <algorithm>
#include <functional>

namespace hone {
namespace {

int Position(const std::vector<Axis>& axes, const DimExpr& index) {
  for (size_t i = 0; i < axes.size(); ++i) {
    if (index == DimExpr(axes[i].variable)) return static_cast<int>(i);
  }
  return -1;
}

// The offset by which a stage that only pads copies `from`'s dimension d; nullopt: it does something else.
struct PadCopy {
  ProgramTensorId from = -1;
  std::vector<int64_t> before;
};

std::optional<PadCopy> ViewAsPadding(const StageLoops& stage) {
  if (!stage.body.empty() || stage.stores.size() != 1) return std::nullopt;
  const Scalar& value = *stage.stores[0].value;
  if (value.kind != Scalar::Kind::kSelect) return std::nullopt;
  const Scalar& inside = *value.operands[1];
  const Scalar& outside = *value.operands[2];
  if (inside.kind != Scalar::Kind::kLoad || outside.kind != Scalar::Kind::kReal || outside.real != 0)
    return std::nullopt;
  PadCopy copy{.from = inside.tensor};
  for (size_t d = 0; d < inside.indices.size(); ++d) {
    const DimExpr* index = std::get_if<DimExpr>(&inside.indices[d]);
    if (index == nullptr || d >= stage.axes.size()) return std::nullopt;
    const std::optional<int64_t> shift = (DimExpr(stage.axes[d].variable) - *index).AsConstant();
    if (!shift || *shift < 0) return std::nullopt;
    copy.before.push_back(*shift);
  }
  return copy;
}

// What a padding stage's conditions leave out must be exactly what lies outside of the source.
bool CoversSource(const FusedStages& fused, const StageLoops& padding, const PadCopy& copy) {
  const std::vector<int64_t> source = fused.Shape(copy.from), padded = fused.Shape(padding.stores[0].tensor);
  const ScalarRef& condition = padding.stores[0].value->operands[0];
  const auto holds = [&](const std::vector<int64_t>& at) {
    std::map<SymbolRef, DimExpr> values;
    for (size_t d = 0; d < at.size(); ++d) values.emplace(padding.axes[d].variable, DimExpr(at[d]));
    std::function<bool(const ScalarRef&)> decide = [&](const ScalarRef& scalar) {
      if (scalar->kind != Scalar::Kind::kBinary) return false;
      if (scalar->binary == BinaryOp::kAnd) return decide(scalar->operands[0]) && decide(scalar->operands[1]);
      int64_t sides[2];
      for (int i = 0; i < 2; ++i) {
        const Scalar& side = *scalar->operands[i];
        if (side.kind == Scalar::Kind::kInteger) {
          sides[i] = side.integer;
        } else if (side.kind == Scalar::Kind::kIndex && side.index.Substitute(values).IsConstant()) {
          sides[i] = side.index.Substitute(values).Constant();
        } else {
          return false;
        }
      }
      return scalar->binary == BinaryOp::kLess
                 ? sides[0] < sides[1]
                 : scalar->binary == BinaryOp::kLessEqual && sides[0] <= sides[1];
    };
    return decide(condition);
  };
  // Conditions are on one coordinate each: the first and last one inside, and their neighbours, decide.
  std::vector<int64_t> first = copy.before, last = copy.before;
  for (size_t d = 0; d < source.size(); ++d) last[d] += source[d] - 1;
  if (!holds(first) || !holds(last)) return false;
  for (size_t d = 0; d < source.size(); ++d) {
    std::vector<int64_t> below = first, above = last;
    if (--below[d] >= 0 && holds(below)) return false;
    if (++above[d] < padded[d] && holds(above)) return false;
  }
  return true;
}

}  // namespace

std::optional<ConvView> ViewAsConv(const FusedStages& fused, int number) {
  const StageLoops& stage = fused.stages[number];
  const std::optional<ContractView> contract = ViewAsContract(stage);
  if (!contract || contract->a_indices.size() != 4 || contract->b_indices.size() != 4) return std::nullopt;
  const bool grouped = contract->group >= 0;
  if (stage.axes.size() != (grouped ? 5 : 4) || stage.reduce.size() != 3) return std::nullopt;
  ConvView view{.contract = *contract, .source = contract->a};
  const auto a = [&](size_t d) { return std::get<DimExpr>(contract->a_indices[d]); };
  const auto b = [&](size_t d) { return std::get<DimExpr>(contract->b_indices[d]); };
  // Channel of a tensor: that of its group.
  const auto within = [&](const Axis& axis) {
    const DimExpr group = grouped ? DimExpr(stage.axes[contract->group].variable) : DimExpr(0);
    return axis.extent * group + DimExpr(axis.variable);
  };
  view.image = Position(stage.axes, a(0));
  view.out_channel = contract->n;
  view.channel = Position(stage.reduce, b(1));
  if (view.image < 0 || view.channel < 0 || !(b(0) == within(stage.axes[view.out_channel])) ||
      !(a(1) == within(stage.reduce[view.channel]))) {
    return std::nullopt;
  }
  for (int d = 0; d < 2; ++d) {
    ConvView::Dim& dim = view.dims[d];
    dim.tap = Position(stage.reduce, b(static_cast<size_t>(2 + d)));
    if (dim.tap < 0) return std::nullopt;
    dim.taps = Extent(stage.reduce[dim.tap]);
    DimExpr first;
    dim.dilation =
        a(static_cast<size_t>(2 + d)).AffineCoefficient(stage.reduce[dim.tap].variable, &first).value_or(0);
    if (dim.taps == 1) dim.dilation = 1;
    for (size_t axis = 0; axis < stage.axes.size() && dim.out < 0; ++axis) {
      DimExpr rest;
      dim.stride = first.AffineCoefficient(stage.axes[axis].variable, &rest).value_or(0);
      if (dim.stride >= 1 && rest == DimExpr(0)) dim.out = static_cast<int>(axis);
    }
    if (dim.out < 0 || dim.dilation < 1) return std::nullopt;
  }
  for (int s = 0; s < number; ++s) {
    const StageLoops& producer = fused.stages[s];
    if (producer.stores[0].tensor != contract->a) continue;
    const std::optional<PadCopy> copy = ViewAsPadding(producer);
    int users = 0;
    for (const StageLoops& other : fused.stages) {
      ForEachLoad(other, [&](const Scalar& load) { users += load.tensor == contract->a ? 1 : 0; });
    }
    if (!copy || users != 1 || copy->before.size() != 4 || copy->before[0] != 0 || copy->before[1] != 0)
      continue;
    if (!CoversSource(fused, producer, *copy)) continue;
    view.source = copy->from;
    view.padding_stage = s;
    for (size_t d = 0; d < 2; ++d) view.before[d] = copy->before[2 + d];
  }
  return view;
}

StageLoops WithoutPadding(StageLoops stage, const ConvView& view) {
  std::vector<LoadIndex> indices = view.contract.a_indices;
  for (size_t d = 0; d < 2; ++d) indices[2 + d] = std::get<DimExpr>(indices[2 + d]) - DimExpr(view.before[d]);
  stage.body = {Binary(BinaryOp::kMul, Load(view.source, stage.dtype, std::move(indices)),
                       Load(view.contract.b, stage.dtype, view.contract.b_indices))};
  return stage;
}

double ShareInside(const FusedStages& fused, const StageLoops& stage, const ConvView& view) {
  double share = 1;
  for (size_t d = 0; d < 2; ++d) {
    const auto& [out, tap, taps, stride, dilation] = view.dims[d];
    const int64_t size = fused.Shape(view.source)[2 + d], outputs = Extent(stage.axes[out]);
    int64_t inside = 0;
    for (int64_t t = 0; t < taps; ++t) {
      const int64_t shift = view.before[d] - dilation * t;  // output `at` reads position stride * at - shift
      if (size - 1 + shift < 0) continue;
      const int64_t first = shift <= 0 ? 0 : (shift + stride - 1) / stride;
      inside += std::max<int64_t>(0, std::min(outputs - 1, (size - 1 + shift) / stride) - first + 1);
    }
    share *= static_cast<double>(inside) / static_cast<double>(outputs * taps);
  }
  return share;
}

}  // namespace hone
