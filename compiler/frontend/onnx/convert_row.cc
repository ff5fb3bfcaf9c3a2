#include <numeric>

#include "absl/strings/str_cat.h"
#include "compiler/frontend/onnx/operator_table.h"

namespace hone {
namespace {

// Before opset 13 the input is seen as a matrix of rows that begin at `axis`.
void SoftmaxLike(NodeContext& c, std::string_view op) {
  const TensorId x = c.Input(0);
  if (!c.RequireRank(x, 1, 8)) return;
  const std::vector<DimExpr> shape = c.Shape(x);
  const int rank = static_cast<int>(shape.size());
  const bool flattens = c.opset() < 13;
  const int axis = c.Axis(c.Int("axis", flattens ? 1 : -1), rank);
  if (!c.ok()) return;
  bool last = true;
  for (int d = axis + 1; d < rank; ++d) last = last && shape[d] == DimExpr(1);
  if (!flattens || last) return c.SetOutput(0, c.Emit(op, {x}, {{"axis", int64_t{axis}}}));
  const DimExpr rows = Product({shape.begin(), shape.begin() + axis}),
                row = Product({shape.begin() + axis, shape.end()});
  c.SetOutput(0, c.Reshape(c.Emit(op, {c.Reshape(x, {rows, row})}, {{"axis", int64_t{1}}}), shape));
}
void Softmax(NodeContext& c) { SoftmaxLike(c, "softmax"); }
void LogSoftmax(NodeContext& c) { SoftmaxLike(c, "log_softmax"); }

// Axes moved from attribute to input at opset 13 (ReduceSum) or 18. Empty result: nothing is reduced.
std::vector<int64_t> ReduceAxes(NodeContext& c, TensorId x) {
  std::vector<int64_t> axes;
  if (std::optional<std::vector<int64_t>> attribute = c.Ints("axes")) {
    axes = *std::move(attribute);
  } else if (c.Has(1)) {
    axes = c.Integers(1, "axes");
  }
  const int rank = c.Type(x).rank();
  if (axes.empty() && c.Int("noop_with_empty_axes", 0) == 0) {
    axes.resize(static_cast<size_t>(rank));
    std::iota(axes.begin(), axes.end(), int64_t{0});
  }
  if (axes.size() > static_cast<size_t>(rank)) c.Fail("more axes than dimensions");
  for (int64_t& axis : axes) axis = c.Axis(axis, rank);
  return axes;
}

TensorId Reduced(NodeContext& c, std::string_view op, TensorId x, const std::vector<int64_t>& axes) {
  if (axes.empty()) return x;
  return c.Emit(op, {x}, {{"axes", ToDims(axes)}, {"keepdims", int64_t{c.Int("keepdims", 1) != 0}}});
}

// before(x) reduced, then after: "" is nothing.
struct Reduction {
  std::string_view before, op, after;
};

void Reduce(NodeContext& c, const Reduction& reduction) {
  TensorId x = c.Input(0);
  if (!c.ok()) return;
  if (c.Type(x).dtype == DType::kBool) {
    return c.Unsupported("data", "a reduction of bools", "cast the input to integers first");
  }
  const std::vector<int64_t> axes = ReduceAxes(c, x);
  if (reduction.before == "square") {
    x = c.Emit("mul", {x, x});
  } else if (!reduction.before.empty()) {
    x = c.Emit(reduction.before, {x});
  }
  TensorId y = Reduced(c, reduction.op, x, axes);
  if (!reduction.after.empty()) y = c.Emit(reduction.after, {y});
  c.SetOutput(0, y);
}

void ReduceSum(NodeContext& c) { Reduce(c, {"", "reduce_sum", ""}); }
void ReduceMean(NodeContext& c) { Reduce(c, {"", "reduce_mean", ""}); }
void ReduceMax(NodeContext& c) { Reduce(c, {"", "reduce_max", ""}); }
void ReduceMin(NodeContext& c) { Reduce(c, {"", "reduce_min", ""}); }
void ReduceProd(NodeContext& c) { Reduce(c, {"", "reduce_prod", ""}); }
void ReduceL1(NodeContext& c) { Reduce(c, {"abs", "reduce_sum", ""}); }
void ReduceL2(NodeContext& c) { Reduce(c, {"square", "reduce_sum", "sqrt"}); }
void ReduceSumSquare(NodeContext& c) { Reduce(c, {"square", "reduce_sum", ""}); }
void ReduceLogSum(NodeContext& c) { Reduce(c, {"", "reduce_sum", "log"}); }

// Shifted by the maximum, so that exp does not overflow.
void ReduceLogSumExp(NodeContext& c) {
  const TensorId x = c.Input(0);
  if (!c.ok()) return;
  const std::vector<int64_t> axes = ReduceAxes(c, x);
  if (!c.ok() || axes.empty()) return c.SetOutput(0, x);
  const TensorId high = c.Emit("reduce_max", {x}, {{"axes", ToDims(axes)}, {"keepdims", int64_t{1}}});
  const TensorId sum = Reduced(c, "reduce_sum", c.Emit("exp", {c.Emit("sub", {x, high})}), axes);
  if (!c.ok()) return;
  c.SetOutput(0, c.Emit("add", {c.Emit("log", {sum}), c.Reshape(high, c.Shape(sum))}));
}

void ArgMax(NodeContext& c, bool smallest) {
  TensorId x = c.Input(0);
  if (!c.RequireRank(x, 1, 8)) return;
  if (c.Int("select_last_index", 0) != 0) {
    return c.Unsupported("select_last_index", "the last of equal elements", "use select_last_index=0");
  }
  if (smallest) x = c.Emit("neg", {x});
  const int64_t axis = c.Axis(c.Int("axis", 0), c.Type(x).rank());
  c.SetOutput(0, c.Emit("arg_max", {x}, {{"axis", axis}, {"keepdims", int64_t{c.Int("keepdims", 1) != 0}}}));
}
void ArgMaxOf(NodeContext& c) { ArgMax(c, false); }
void ArgMinOf(NodeContext& c) { ArgMax(c, true); }

void LayerNormalization(NodeContext& c) {
  const TensorId x = c.Input(0);
  TensorId scale = c.Input(1);
  if (!c.RequireRank(x, 1, 8)) return;
  if (c.node().output_size() > 1) {
    return c.Unsupported("Mean", "the statistics as outputs", "drop the second and third output");
  }
  const int axis = c.Axis(c.Int("axis", -1), c.Type(x).rank());
  const std::vector<DimExpr>& shape = c.Shape(x);
  if (!c.ok()) return;
  const std::vector<DimExpr> row(shape.begin() + axis, shape.end());
  std::vector<TensorId> inputs = {x, c.Reshape(scale, row)};
  if (c.Has(2)) inputs.push_back(c.Reshape(c.Input(2), row));
  c.SetOutput(0, c.Emit("layer_norm", std::move(inputs),
                        {{"axis", int64_t{axis}}, {"epsilon", c.Float("epsilon", 1e-5)}}));
}

// x / sqrt(mean(x x) + epsilon) scale, over the axes from `axis` on.
void RmsNormalization(NodeContext& c) {
  const TensorId x = c.Input(0), scale = c.Input(1);
  if (!c.RequireRank(x, 1, 8)) return;
  const int rank = c.Type(x).rank();
  std::vector<int64_t> axes;
  for (int axis = c.Axis(c.Int("axis", -1), rank); axis < rank; ++axis) axes.push_back(axis);
  const TensorId mean =
      c.Emit("reduce_mean", {c.Emit("mul", {x, x})}, {{"axes", ToDims(axes)}, {"keepdims", int64_t{1}}});
  if (!c.ok()) return;
  const TensorId shifted = c.Emit("add", {mean, c.ScalarLike(mean, c.Float("epsilon", 1e-5))});
  c.SetOutput(0, c.Emit("mul", {c.Emit("div", {x, c.Emit("sqrt", {shifted})}), scale}));
}

void LpNormalization(NodeContext& c) {
  const TensorId x = c.Input(0);
  if (!c.RequireRank(x, 1, 8)) return;
  const int64_t axis = c.Axis(c.Int("axis", -1), c.Type(x).rank());
  const AttrMap attrs = {{"axes", ToDims({axis})}, {"keepdims", int64_t{1}}};
  const bool absolute = c.Int("p", 2) == 1;
  const TensorId terms = absolute ? c.Emit("abs", {x}) : c.Emit("mul", {x, x});
  TensorId norm = c.Emit("reduce_sum", {terms}, attrs);
  if (!absolute) norm = c.Emit("sqrt", {norm});
  if (!c.ok()) return;
  // Zero vectors stay zero.
  c.SetOutput(0, c.Emit("div", {x, c.Emit("max", {norm, c.ScalarLike(norm, 1.1754943508222875e-38)})}));
}

void CumSum(NodeContext& c) {
  TensorId x = c.Input(0);
  if (!c.RequireRank(x, 1, 8)) return;
  const std::vector<int64_t> axes = c.Integers(1, "axis");
  if (!c.ok()) return;
  if (axes.size() != 1) return c.Fail("'axis' is one number");
  if (c.Int("exclusive", 0) != 0) return c.Unsupported("exclusive", "an exclusive sum", "subtract the input");
  if (c.Int("reverse", 0) != 0) return c.Unsupported("reverse", "a sum from the end", "reverse with Slice");
  const int axis = c.Axis(axes[0], c.Type(x).rank());
  if (!c.ok()) return;
  std::vector<int64_t> perm(c.Shape(x).size());  // exchanges the axis and the first
  std::iota(perm.begin(), perm.end(), int64_t{0});
  std::swap(perm[0], perm[axis]);
  if (axis != 0) x = c.Emit("transpose", {x}, {{"perm", ToDims(perm)}});
  TensorId y = c.Emit("cum_sum", {x}, {{"axis", int64_t{0}}});
  if (axis != 0) y = c.Emit("transpose", {y}, {{"perm", ToDims(perm)}});
  c.SetOutput(0, y);
}

}  // namespace

std::vector<OnnxOpRow> RowOnnxOps() {
  return {{"Softmax", 1, kMaxOpset, 1, Softmax},
          {"LogSoftmax", 1, kMaxOpset, 1, LogSoftmax},
          {"ReduceSum", 1, kMaxOpset, 1, ReduceSum},
          {"ReduceMean", 1, kMaxOpset, 1, ReduceMean},
          {"ReduceMax", 1, kMaxOpset, 1, ReduceMax},
          {"ReduceMin", 1, kMaxOpset, 1, ReduceMin},
          {"ReduceProd", 1, kMaxOpset, 1, ReduceProd},
          {"ReduceL1", 1, kMaxOpset, 1, ReduceL1},
          {"ReduceL2", 1, kMaxOpset, 1, ReduceL2},
          {"ReduceSumSquare", 1, kMaxOpset, 1, ReduceSumSquare},
          {"ReduceLogSum", 1, kMaxOpset, 1, ReduceLogSum},
          {"ReduceLogSumExp", 1, kMaxOpset, 1, ReduceLogSumExp},
          {"ArgMax", 1, kMaxOpset, 1, ArgMaxOf},
          {"ArgMin", 1, kMaxOpset, 1, ArgMinOf},
          {"LayerNormalization", 17, kMaxOpset, 2, LayerNormalization},
          {"RMSNormalization", 23, kMaxOpset, 2, RmsNormalization},
          {"LpNormalization", 1, kMaxOpset, 1, LpNormalization},
          {"CumSum", 11, kMaxOpset, 2, CumSum}};
}

}  // namespace hone
