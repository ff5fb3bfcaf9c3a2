// Integer tensors of rank 0 and 1 that hold shapes, as expressions: what models compute from Shape before
// they reshape.
#include <algorithm>
#include <functional>

#include "compiler/frontend/onnx/onnx_tensor.h"
#include "compiler/frontend/onnx/operator_table.h"

namespace hone {
namespace {

constexpr size_t kMaxIntegers = 1024;

struct Integers {
  std::vector<DimExpr> values;
  int rank = 0;
};

// The input as integers, known or symbolic.
std::optional<Integers> IntegersOf(NodeContext& c, int input) {
  const OnnxValue& value = c.Value(input);
  if (value.integers) return Integers{*value.integers, value.rank};
  if (!c.IsConstant(value.tensor)) return std::nullopt;
  const TensorType& type = c.Type(value.tensor);
  if (type.dtype != DType::kI64 && type.dtype != DType::kI32) return std::nullopt;
  if (type.rank() > 1 || (type.rank() == 1 && type.shape[0].Constant() > static_cast<int64_t>(kMaxIntegers)))
    return std::nullopt;
  return Integers{c.Dims(input, "input"), type.rank()};
}

using BinaryFunction = std::function<std::optional<DimExpr>(const DimExpr&, const DimExpr&)>;

std::optional<DimExpr> Divide(const DimExpr& a, const DimExpr& b) {
  if (b.Bounds().lower < 1 || a.Bounds().lower < 0)
    return std::nullopt;  // ONNX truncates, FloorDiv rounds down
  return FloorDiv(a, b);
}

bool Broadcast(NodeContext& c, const BinaryFunction& function) {
  const std::optional<Integers> a = IntegersOf(c, 0), b = IntegersOf(c, 1);
  if (!a || !b || a->values.empty() || b->values.empty()) return false;
  const size_t n = std::max(a->values.size(), b->values.size());
  if ((a->values.size() != n && a->values.size() != 1) || (b->values.size() != n && b->values.size() != 1))
    return false;
  std::vector<DimExpr> result;
  for (size_t i = 0; i < n; ++i) {
    const std::optional<DimExpr> value =
        function(a->values[a->values.size() == 1 ? 0 : i], b->values[b->values.size() == 1 ? 0 : i]);
    if (!value) return false;
    result.push_back(*value);
  }
  c.SetIntegers(0, std::move(result), std::max(a->rank, b->rank));
  return true;
}

bool Add(NodeContext& c) {
  return Broadcast(c, [](const DimExpr& a, const DimExpr& b) { return a + b; });
}
bool Sub(NodeContext& c) {
  return Broadcast(c, [](const DimExpr& a, const DimExpr& b) { return a - b; });
}
bool Mul(NodeContext& c) {
  return Broadcast(c, [](const DimExpr& a, const DimExpr& b) { return a * b; });
}
bool Div(NodeContext& c) { return Broadcast(c, Divide); }
bool MinOf(NodeContext& c) {
  return c.input_count() == 2 && Broadcast(c, [](const DimExpr& a, const DimExpr& b) { return Min(a, b); });
}
bool MaxOf(NodeContext& c) {
  return c.input_count() == 2 && Broadcast(c, [](const DimExpr& a, const DimExpr& b) { return Max(a, b); });
}

bool Concat(NodeContext& c) {
  std::vector<DimExpr> values;
  for (int i = 0; i < c.input_count(); ++i) {
    const std::optional<Integers> part = IntegersOf(c, i);
    if (!part || part->rank != 1) return false;
    values.insert(values.end(), part->values.begin(), part->values.end());
  }
  if (values.size() > kMaxIntegers) return false;
  c.SetIntegers(0, std::move(values), 1);
  return true;
}

bool Gather(NodeContext& c) {
  const std::optional<Integers> data = IntegersOf(c, 0), indices = IntegersOf(c, 1);
  if (!data || !indices || data->rank != 1) return false;
  const int64_t size = static_cast<int64_t>(data->values.size());
  std::vector<DimExpr> values;
  for (const DimExpr& index : indices->values) {
    if (!index.IsConstant()) return false;
    const int64_t at = index.Constant() < 0 ? index.Constant() + size : index.Constant();
    if (at < 0 || at >= size) return false;
    values.push_back(data->values[at]);
  }
  c.SetIntegers(0, std::move(values), indices->rank);
  return true;
}

bool Slice(NodeContext& c) {
  const std::optional<Integers> data = IntegersOf(c, 0);
  if (!data || data->rank != 1) return false;
  std::vector<int64_t> range{0, 0, 0, 1};  // start, end, axis, step
  const auto take = [&](size_t k, const std::optional<std::vector<int64_t>>& values) {
    if (values && values->size() == 1) range[k] = values->front();
    return values && values->size() == 1;
  };
  if (c.opset() < 10) {
    if (!take(0, c.Ints("starts")) || !take(1, c.Ints("ends"))) return false;
  } else {
    for (const int input : {1, 2, 3, 4}) {
      if (!c.Has(input) && input > 2) continue;
      const std::optional<Integers> values = IntegersOf(c, input);
      if (!values || values->values.size() != 1 || !values->values[0].IsConstant()) return false;
      range[static_cast<size_t>(input) - 1] = values->values[0].Constant();
    }
  }
  const int64_t size = static_cast<int64_t>(data->values.size());
  if (range[3] < 1) return false;
  const auto clamp = [&](int64_t at) { return std::clamp<int64_t>(at < 0 ? at + size : at, 0, size); };
  std::vector<DimExpr> values;
  for (int64_t i = clamp(range[0]); i < clamp(range[1]); i += range[3]) values.push_back(data->values[i]);
  c.SetIntegers(0, std::move(values), 1);
  return true;
}

bool Squeeze(NodeContext& c) {
  const std::optional<Integers> data = IntegersOf(c, 0);
  if (!data || data->rank != 1 || data->values.size() != 1) return false;
  c.SetIntegers(0, data->values, 0);
  return true;
}

bool Unsqueeze(NodeContext& c) {
  const std::optional<Integers> data = IntegersOf(c, 0);
  if (!data || data->rank != 0) return false;
  c.SetIntegers(0, data->values, 1);
  return true;
}

bool Reshape(NodeContext& c) {
  const std::optional<Integers> data = IntegersOf(c, 0), shape = IntegersOf(c, 1);
  if (!data || !shape || shape->values.size() > 1) return false;
  if (shape->values.empty() && data->values.size() != 1) return false;
  c.SetIntegers(0, data->values, static_cast<int>(shape->values.size()));
  return true;
}

bool ReduceProd(NodeContext& c) {
  const std::optional<Integers> data = IntegersOf(c, 0);
  if (!data || data->rank != 1) return false;
  c.SetIntegers(0, {Product(data->values)}, c.Int("keepdims", 1) != 0 ? 1 : 0);
  return true;
}

struct Row {
  std::string_view op;
  bool (*convert)(NodeContext& c);
};
constexpr Row kRows[] = {{"Add", Add},
                         {"Sub", Sub},
                         {"Mul", Mul},
                         {"Div", Div},
                         {"Min", MinOf},
                         {"Max", MaxOf},
                         {"Concat", Concat},
                         {"Gather", Gather},
                         {"Slice", Slice},
                         {"Squeeze", Squeeze},
                         {"Unsqueeze", Unsqueeze},
                         {"Reshape", Reshape},
                         {"ReduceProd", ReduceProd}};

}  // namespace

bool ConvertShapeArithmetic(NodeContext& c) {
  bool symbolic = false, i64 = true;
  for (int i = 0; i < c.input_count(); ++i) {
    if (!c.Has(i)) continue;
    const OnnxValue& value = c.Value(i);
    symbolic = symbolic || value.integers.has_value();
    i64 = i64 && (value.integers || c.Type(value.tensor).dtype == DType::kI64);
  }
  // A result over known integers is i64: others are folded by the interpreter, which keeps their type.
  if (!symbolic && !i64) return false;
  for (const Row& row : kRows) {
    if (row.op == c.node().op_type()) return row.convert(c) && c.ok();
  }
  return false;
}

}  // namespace hone
