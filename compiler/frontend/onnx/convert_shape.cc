#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "compiler/frontend/onnx/onnx_tensor.h"
#include "compiler/frontend/onnx/operator_table.h"

namespace hone {
namespace {

constexpr int64_t kMaxFilled = int64_t{1} << 24;  // elements that a node may make of nothing

void Shape(NodeContext& c) {
  const TensorId x = c.Input(0);
  if (!c.ok()) return;
  const int64_t rank = c.Type(x).rank();
  const auto clamp = [&](int64_t at) { return std::clamp<int64_t>(at < 0 ? at + rank : at, 0, rank); };
  const int64_t start = clamp(c.Int("start", 0)), end = clamp(c.Int("end", rank));
  std::vector<DimExpr> dims;
  for (int64_t d = start; d < end; ++d) dims.push_back(c.Shape(x)[d]);
  c.SetIntegers(0, std::move(dims), 1);
}

void Size(NodeContext& c) {
  const TensorId x = c.Input(0);
  if (c.ok()) c.SetIntegers(0, {Product(c.Shape(x))}, 0);
}

void Reshape(NodeContext& c) {
  const TensorId x = c.Input(0);
  std::vector<DimExpr> shape = c.Dims(1, "shape");
  if (!c.ok()) return;
  const std::vector<DimExpr>& from = c.Shape(x);
  const bool zero_is_zero = c.Int("allowzero", 0) != 0;
  int inferred = -1;
  DimExpr known(1);
  for (size_t d = 0; d < shape.size(); ++d) {
    if (shape[d] == DimExpr(-1)) {
      if (inferred >= 0) return c.Fail("two dimensions of -1");
      inferred = static_cast<int>(d);
      continue;
    }
    if (shape[d] == DimExpr(0) && !zero_is_zero) {
      if (d >= from.size()) return c.Fail("a dimension of 0 beyond the input's rank");
      shape[d] = from[d];
    }
    if (shape[d].Bounds().upper < 1 || (shape[d].IsConstant() && shape[d].Constant() > kMaxElements)) {
      return c.Fail(absl::StrCat("an impossible dimension ", shape[d].ToString()));
    }
    known = known * shape[d];
    if (known.IsConstant() && known.Constant() > kMaxElements) return c.Fail("a shape that is too large");
  }
  // Dimensions that both shapes have cancel: what remains needs no division, or one of constants.
  std::vector<DimExpr> left = from, right;
  for (size_t d = 0; d < shape.size(); ++d) {
    if (static_cast<int>(d) == inferred) continue;
    const auto same = std::find(left.begin(), left.end(), shape[d]);
    if (same != left.end()) {
      left.erase(same);
    } else {
      right.push_back(shape[d]);
    }
  }
  const DimExpr divisor = Product(right);
  if (inferred >= 0) {
    if (divisor.Bounds().lower < 1) return c.Fail("-1 beside dimensions that are not bound");
    shape[inferred] = FloorDiv(Product(left), divisor);
    right.push_back(shape[inferred]);
  }
  if (!(Product(right) == Product(left))) {
    return c.Fail(absl::StrCat("cannot reshape ", ShapeText(from), " to ", ShapeText(shape)));
  }
  c.SetOutput(0, c.Reshape(x, std::move(shape)));
}

void Flatten(NodeContext& c) {
  const TensorId x = c.Input(0);
  if (!c.ok()) return;
  const std::vector<DimExpr>& s = c.Shape(x);
  const int64_t rank = static_cast<int64_t>(s.size());
  int64_t axis = c.Int("axis", 1);
  if (axis < -rank || axis > rank) return c.Fail(absl::StrCat("axis ", axis, " of a tensor of rank ", rank));
  if (axis < 0) axis += rank;
  c.SetOutput(0,
              c.Reshape(x, {Product({s.begin(), s.begin() + axis}), Product({s.begin() + axis, s.end()})}));
}

// Axes of Squeeze and Unsqueeze: an attribute before opset 13, an input since.
std::optional<std::vector<int64_t>> SqueezeAxes(NodeContext& c) {
  if (std::optional<std::vector<int64_t>> attribute = c.Ints("axes")) return attribute;
  if (!c.Has(1)) return std::nullopt;
  return c.Integers(1, "axes");
}

void Squeeze(NodeContext& c) {
  const TensorId x = c.Input(0);
  const std::optional<std::vector<int64_t>> axes = SqueezeAxes(c);
  if (!c.ok()) return;
  const int rank = c.Type(x).rank();
  std::vector<bool> dropped(static_cast<size_t>(rank), false);
  for (int d = 0; d < rank && !axes; ++d) dropped[d] = c.Shape(x)[d] == DimExpr(1);
  for (const int64_t given : axes.value_or(std::vector<int64_t>())) {
    const int axis = c.Axis(given, rank);
    if (!c.ok()) return;
    if (!(c.Shape(x)[axis] == DimExpr(1)))
      return c.Fail(absl::StrCat("dimension ", axis, " is ", c.Shape(x)[axis].ToString()));
    dropped[axis] = true;
  }
  std::vector<DimExpr> shape;
  for (int d = 0; d < rank; ++d) {
    if (!dropped[d]) shape.push_back(c.Shape(x)[d]);
  }
  c.SetOutput(0, c.Reshape(x, std::move(shape)));
}

void Unsqueeze(NodeContext& c) {
  const TensorId x = c.Input(0);
  const std::optional<std::vector<int64_t>> axes = SqueezeAxes(c);
  if (!c.ok()) return;
  if (!axes) return c.Fail("'axes' is missing");
  const int rank = c.Type(x).rank() + static_cast<int>(axes->size());
  if (axes->size() > static_cast<size_t>(kMaxRank) || rank > kMaxRank)
    return c.Fail(absl::StrCat("a result of rank ", rank));
  std::vector<bool> added(static_cast<size_t>(rank), false);
  for (const int64_t given : *axes) {
    const int axis = c.Axis(given, rank);
    if (!c.ok()) return;
    if (added[axis]) return c.Fail("an axis twice");
    added[axis] = true;
  }
  std::vector<DimExpr> shape;
  size_t next = 0;
  for (int d = 0; d < rank; ++d) shape.push_back(added[d] ? DimExpr(1) : c.Shape(x)[next++]);
  c.SetOutput(0, c.Reshape(x, std::move(shape)));
}

void Constant(NodeContext& c) {
  if (const onnx::AttributeProto* value = c.Attribute("value")) {
    absl::StatusOr<ConstantRef> constant = ConstantOfTensor(value->t(), c.scope().owner, c.scope().files);
    if (absl::IsUnimplemented(constant.status())) {
      return c.Unsupported("value", std::string(constant.status().message()), "keep the model in float32");
    }
    if (!constant.ok()) return c.Fail(std::string(constant.status().message()));
    return c.SetOutput(0, c.scope().graph.AddConstant(c.name(), *std::move(constant)));
  }
  if (c.Attribute("value_float") != nullptr) return c.SetOutput(0, c.Reals({c.Float("value_float", 0)}, {}));
  if (c.Attribute("value_int") != nullptr)
    return c.SetOutput(0, c.IntegersConstant({c.Int("value_int", 0)}, {}));
  if (const auto values = c.Floats("value_floats"))
    return c.SetOutput(0, c.Reals(*values, {static_cast<int64_t>(values->size())}));
  if (const auto values = c.Ints("value_ints")) {
    return c.SetOutput(0, c.IntegersConstant(*values, {static_cast<int64_t>(values->size())}));
  }
  c.Unsupported("value", "a constant of strings or a sparse one", "store it as a dense tensor of numbers");
}

void ConstantOfShape(NodeContext& c) {
  std::vector<DimExpr> shape = c.Dims(0, "input");
  if (!c.ok()) return;
  TensorId value;
  if (const onnx::AttributeProto* attribute = c.Attribute("value")) {
    absl::StatusOr<ConstantRef> constant = ConstantOfTensor(attribute->t(), c.scope().owner, c.scope().files);
    if (!constant.ok()) return c.Fail(std::string(constant.status().message()));
    if ((*constant)->size != static_cast<size_t>(DTypeBytes((*constant)->dtype)))
      return c.Fail("'value' is not one element");
    value = c.scope().graph.AddConstant(c.name(), *std::move(constant));
  } else {
    value = c.Reals({0}, {1});
  }
  int64_t elements = 1;
  for (const DimExpr& dim : shape) {
    if (!dim.IsConstant()) continue;
    if (dim.Constant() < 1)
      return c.Unsupported("input", "an empty tensor", "remove what is computed from nothing");
    if (dim.Constant() > kMaxFilled / elements) return c.Fail("a shape that is too large");
    elements *= dim.Constant();
  }
  std::vector<DimExpr> ones(shape.size(), DimExpr(1));
  const TensorId ranked = c.Reshape(value, ones);
  c.SetOutput(0, shape == ones ? ranked : c.Emit("expand", {ranked}, {{"shape", std::move(shape)}}));
}

void Range(NodeContext& c) {
  std::vector<double> bounds;
  TensorId first;
  for (const int input : {0, 1, 2}) {
    const TensorId id = c.Input(input);
    if (!c.ok()) return;
    const std::optional<std::vector<double>> value = c.Reals(id);
    if (!value || value->size() != 1)
      return c.Unsupported("start", "a range computed at run time", "make its bounds constant");
    bounds.push_back(value->front());
    if (input == 0) first = id;
  }
  const double count = std::ceil((bounds[1] - bounds[0]) / bounds[2]);
  if (!(count >= 1) || count > static_cast<double>(kMaxFilled))
    return c.Fail(absl::StrCat("a range of ", count, " elements"));
  std::vector<double> values;
  for (int64_t i = 0; i < static_cast<int64_t>(count); ++i)
    values.push_back(bounds[0] + static_cast<double>(i) * bounds[2]);
  c.SetOutput(0, c.Reals(values, {static_cast<int64_t>(count)}, c.Type(first).dtype));
}

// Keeps the elements on and below (upper: above) the k-th diagonal: a multiplication would keep NaN, so a
// select.
void Trilu(NodeContext& c) {
  const TensorId x = c.Input(0);
  if (!c.RequireRank(x, 2, 8)) return;
  const bool upper = c.Int("upper", 1) != 0;
  int64_t k = 0;
  if (c.Has(1)) {
    const std::vector<int64_t> given = c.Integers(1, "k");
    if (!c.ok()) return;
    k = given.empty() ? 0 : given[0];
  }
  const int rank = c.Type(x).rank();
  const int64_t rows = c.StaticDim(x, rank - 2, "X"), columns = c.StaticDim(x, rank - 1, "X");
  if (!c.ok()) return;
  if (rows > kMaxFilled / columns) return c.Fail("a matrix that is too large");
  std::vector<int64_t> keep;
  for (int64_t i = 0; i < rows * columns; ++i) {
    const int64_t diagonal = i % columns - i / columns;
    keep.push_back(upper ? diagonal >= k : diagonal <= k);
  }
  c.SetOutput(
      0, c.Emit("select", {c.IntegersConstant(keep, {rows, columns}, DType::kBool), x, c.ScalarLike(x, 0)}));
}

// Ones on the k-th diagonal of a matrix of the input's shape.
void EyeLike(NodeContext& c) {
  const TensorId x = c.Input(0);
  if (!c.RequireRank(x, 2, 2)) return;
  std::optional<DType> dtype = c.Type(x).dtype;
  if (c.Attribute("dtype") != nullptr) {
    const int32_t to = static_cast<int32_t>(c.Int("dtype", 0));
    dtype = DTypeOfOnnx(to);
    if (!dtype) return c.Unsupported("dtype", "a matrix of " + OnnxTypeName(to), "keep the model in float32");
  }
  const int64_t k = c.Int("k", 0), rows = c.StaticDim(x, 0, "input"), columns = c.StaticDim(x, 1, "input");
  if (!c.ok()) return;
  if (rows > kMaxFilled / columns) return c.Fail("a matrix that is too large");
  std::vector<int64_t> ones;
  for (int64_t i = 0; i < rows * columns; ++i) ones.push_back(i % columns - i / columns == k);
  c.SetOutput(0, c.Emit("cast", {c.IntegersConstant(ones, {rows, columns}, DType::kBool)}, {{"to", *dtype}}));
}

void NonZero(NodeContext& c) {
  const TensorId x = c.Input(0);
  if (!c.ok()) return;
  const std::optional<std::vector<double>> values = c.Reals(x);
  if (!values) {
    return c.Unsupported("", "a result whose shape depends on values",
                         "remove it, or compute it outside the model");
  }
  const std::vector<int64_t> dims = *ConstantShape(c.Shape(x));
  std::vector<int64_t> positions;
  for (size_t i = 0; i < values->size(); ++i) {
    if ((*values)[i] != 0) positions.push_back(static_cast<int64_t>(i));
  }
  std::vector<int64_t> rows;
  int64_t stride = static_cast<int64_t>(values->size());
  for (const int64_t dim : dims) {
    stride /= dim;
    for (const int64_t at : positions) rows.push_back(at / stride % dim);
  }
  c.SetOutput(0, c.IntegersConstant(
                     rows, {static_cast<int64_t>(dims.size()), static_cast<int64_t>(positions.size())}));
}

}  // namespace

std::vector<OnnxOpRow> ShapeOnnxOps() {
  return {{"Shape", 1, kMaxOpset, 1, Shape},       {"Size", 1, kMaxOpset, 1, Size},
          {"Reshape", 5, kMaxOpset, 2, Reshape},   {"Flatten", 1, kMaxOpset, 1, Flatten},
          {"Squeeze", 1, kMaxOpset, 1, Squeeze},   {"Unsqueeze", 1, kMaxOpset, 1, Unsqueeze},
          {"Constant", 1, kMaxOpset, 0, Constant}, {"ConstantOfShape", 9, kMaxOpset, 1, ConstantOfShape},
          {"Range", 11, kMaxOpset, 3, Range},      {"Trilu", 14, kMaxOpset, 1, Trilu},
          {"EyeLike", 9, kMaxOpset, 1, EyeLike},   {"NonZero", 9, kMaxOpset, 1, NonZero}};
}

}  // namespace hone
