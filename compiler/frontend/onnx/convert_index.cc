#include <numeric>

#include "absl/strings/str_cat.h"
#include "compiler/frontend/onnx/operator_table.h"

namespace hone {
namespace {

constexpr int64_t kMaxPlaces = int64_t{1} << 22;  // rows that a constant index may tell apart

// One constant index is a slice.
void Gather(NodeContext& c) {
  const TensorId x = c.Input(0), indices = c.Input(1);
  if (!c.RequireRank(x, 1, 16)) return;
  const int axis = c.Axis(c.Int("axis", 0), c.Type(x).rank());
  if (!c.ok()) return;
  const DimExpr size = c.Shape(x)[axis];
  if (c.IsConstant(indices) && !c.IsConstant(x) && Product(c.Shape(indices)) == DimExpr(1) &&
      size.IsConstant()) {
    const std::vector<int64_t> index = c.Integers(1, "indices");
    if (!c.ok()) return;
    const int64_t at = index[0] < 0 ? index[0] + size.Constant() : index[0];
    if (at < 0 || at >= size.Constant())
      return c.Fail(absl::StrCat("index ", index[0], " of ", size.Constant()));
    std::vector<DimExpr> shape = c.Shape(x);
    shape.erase(shape.begin() + axis);
    shape.insert(shape.begin() + axis, c.Shape(indices).size(), DimExpr(1));
    return c.SetOutput(0, c.Reshape(c.Slice(x, axis, at, at + 1), std::move(shape)));
  }
  c.SetOutput(0, c.Emit("gather", {x, indices}, {{"axis", int64_t{axis}}}));
}

// What constant indices [..., depth] name in the first `depth` dimensions of a tensor, seen as `rows` rows.
struct Places {
  int64_t rows = 1;
  std::vector<int64_t> at;        // row per index
  std::vector<DimExpr> trailing;  // the tensor's shape behind the first `depth` dimensions
  std::vector<DimExpr>
      named;  // the shape of what is named: the indices' without its last dimension, `trailing`
};

// Indices are input 1.
Places ReadPlaces(NodeContext& c, TensorId x) {
  Places places;
  const TensorId indices = c.Input(1);
  if (!c.RequireRank(x, 1, 16) || !c.RequireRank(indices, 1, 16)) return places;
  const std::vector<DimExpr> shape = c.Shape(indices);
  const int64_t depth = c.StaticDim(indices, static_cast<int>(shape.size()) - 1, "indices");
  const std::vector<int64_t> index = c.Integers(1, "indices");
  if (!c.ok()) return places;
  if (depth < 1 || depth > c.Type(x).rank()) {
    c.Fail(absl::StrCat("indices of ", depth, " dimensions"));
    return places;
  }
  std::vector<int64_t> dims;
  for (int d = 0; d < depth && c.ok(); ++d) {
    dims.push_back(c.StaticDim(x, d, "data"));
    if (c.ok() && (dims[d] < 1 || (places.rows *= dims[d]) > kMaxPlaces))
      c.Unsupported("data", "so many places to choose from", absl::StrCat("at most ", kMaxPlaces));
  }
  for (size_t i = 0; i < index.size() && c.ok(); i += static_cast<size_t>(depth)) {
    int64_t row = 0;
    for (int64_t d = 0; d < depth; ++d) {
      const int64_t at = index[i + d] < 0 ? index[i + d] + dims[d] : index[i + d];
      if (at < 0 || at >= dims[d]) c.Fail(absl::StrCat("index ", index[i + d], " of ", dims[d]));
      row = row * dims[d] + at;
    }
    places.at.push_back(row);
  }
  if (!c.ok()) return places;
  places.trailing.assign(c.Shape(x).begin() + depth, c.Shape(x).end());
  places.named.assign(shape.begin(), shape.end() - 1);
  places.named.insert(places.named.end(), places.trailing.begin(), places.trailing.end());
  return places;
}

TensorId GatherRows(NodeContext& c, TensorId rows, const std::vector<int64_t>& picked) {
  return c.Emit("gather", {rows, c.IntegersConstant(picked, {static_cast<int64_t>(picked.size())})},
                {{"axis", int64_t{0}}});
}

void GatherNd(NodeContext& c) {
  const TensorId x = c.Input(0);
  if (c.Int("batch_dims", 0) != 0)
    return c.Unsupported("batch_dims", "indices per batch", "only batch_dims=0 is supported");
  const Places places = ReadPlaces(c, x);
  if (!c.ok()) return;
  const TensorId rows = c.Reshape(x, {DimExpr(places.rows), Product(places.trailing)});
  c.SetOutput(0, c.Reshape(GatherRows(c, rows, places.at), places.named));
}

// As in a loop over the updates: of several for one place the last stays.
void ScatterNd(NodeContext& c) {
  const TensorId x = c.Input(0), updates = c.Input(2);
  if (!c.ok()) return;
  if (c.String("reduction", "none") != "none")
    return c.Unsupported("reduction", "a sum of what is scattered", "only reduction=none is supported");
  const Places places = ReadPlaces(c, x);
  if (!c.ok()) return;
  if (c.Shape(updates) != places.named || c.Type(updates).dtype != c.Type(x).dtype)
    return c.Fail("updates do not fit data and indices");
  const auto changes = static_cast<int64_t>(places.at.size());
  std::vector<int64_t> picked(static_cast<size_t>(places.rows));  // from the rows, then the updates
  std::iota(picked.begin(), picked.end(), int64_t{0});
  for (int64_t i = 0; i < changes; ++i) picked[places.at[i]] = places.rows + i;
  const DimExpr row = Product(places.trailing);
  const TensorId both = c.Emit(
      "concat", {c.Reshape(x, {DimExpr(places.rows), row}), c.Reshape(updates, {DimExpr(changes), row})},
      {{"axis", int64_t{0}}});
  c.SetOutput(0, c.Reshape(GatherRows(c, both, picked), c.Shape(x)));
}

}  // namespace

std::vector<OnnxOpRow> IndexOnnxOps() {
  return {{"Gather", 1, kMaxOpset, 2, Gather},
          {"GatherND", 11, kMaxOpset, 2, GatherNd},
          {"ScatterND", 11, kMaxOpset, 3, ScatterNd}};
}

}  // namespace hone
