#include "absl/strings/str_cat.h"
#include "compiler/frontend/onnx/operator_table.h"

namespace hone {
namespace {

// Vectors become matrices of one row or column, which is dropped again.
void MatMul(NodeContext& c) {
  TensorId a = c.Input(0), b = c.Input(1);
  if (!c.RequireRank(a, 1, 8) || !c.RequireRank(b, 1, 8)) return;
  const bool row = c.Type(a).rank() == 1, column = c.Type(b).rank() == 1;
  if (row) a = c.Reshape(a, {DimExpr(1), c.Shape(a)[0]});
  if (column) b = c.Reshape(b, {c.Shape(b)[0], DimExpr(1)});
  const TensorId y = c.Emit("matmul", {a, b});
  if (!c.ok()) return;
  std::vector<DimExpr> shape = c.Shape(y);
  if (column) shape.erase(shape.end() - 1);
  if (row) shape.erase(shape.end() - (column ? 1 : 2));
  c.SetOutput(0, c.Reshape(y, std::move(shape)));
}

void Gemm(NodeContext& c) {
  const TensorId a = c.Input(0), b = c.Input(1);
  if (!c.RequireRank(a, 2, 2) || !c.RequireRank(b, 2, 2)) return;
  const double alpha = c.Float("alpha", 1), beta = c.Float("beta", 1);
  const int64_t transpose_a = c.Int("transA", 0) != 0, transpose_b = c.Int("transB", 0) != 0;
  TensorId y = c.Emit("matmul", {a, b}, {{"transpose_a", transpose_a}, {"transpose_b", transpose_b}});
  if (!c.ok()) return;
  if (alpha != 1) y = c.Emit("mul", {y, c.ScalarLike(y, alpha)});
  if (c.Has(2) && beta != 0) {
    TensorId bias = c.Input(2);
    if (beta != 1) bias = c.Emit("mul", {bias, c.ScalarLike(bias, beta)});
    y = c.Emit("add", {y, bias});
  }
  c.SetOutput(0, y);
}

}  // namespace

std::vector<OnnxOpRow> MatrixOnnxOps() {
  return {{"MatMul", 1, kMaxOpset, 2, MatMul}, {"Gemm", 7, kMaxOpset, 2, Gemm}};
}

}  // namespace hone
