#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "compiler/frontend/onnx/operator_table.h"

namespace hone {
namespace {

constexpr int64_t kMaxParts = 4096;

void Transpose(NodeContext& c) {
  const TensorId x = c.Input(0);
  if (!c.ok()) return;
  const size_t rank = c.Shape(x).size();
  std::vector<int64_t> perm(rank);
  std::iota(perm.rbegin(), perm.rend(), int64_t{0});
  if (const auto stated = c.Ints("perm")) perm = *stated;
  std::vector<int64_t> sorted = perm, identity(rank);
  std::iota(identity.begin(), identity.end(), int64_t{0});
  std::sort(sorted.begin(), sorted.end());
  if (sorted != identity) return c.Fail("'perm' is no permutation of the dimensions");
  if (perm == identity) return c.SetOutput(0, x);
  c.SetOutput(0, c.Emit("transpose", {x}, {{"perm", ToDims(perm)}}));
}

void Concat(NodeContext& c) {
  std::vector<TensorId> parts;
  for (int i = 0; i < c.input_count() && c.ok(); ++i) {
    const TensorId part = c.Input(i);
    const std::vector<DimExpr>& shape = c.Shape(part);
    const bool empty =
        std::any_of(shape.begin(), shape.end(), [](const DimExpr& d) { return d == DimExpr(0); });
    if (!empty) parts.push_back(part);
  }
  if (!c.ok()) return;
  if (parts.empty()) return c.SetOutput(0, c.Input(0));
  if (c.Attribute("axis") == nullptr) return c.Fail("'axis' is missing");
  const int axis = c.Axis(c.Int("axis", 0), c.Type(parts[0]).rank());
  if (parts.size() == 1) return c.SetOutput(0, parts[0]);
  c.SetOutput(0, c.Emit("concat", parts, {{"axis", int64_t{axis}}}));
}

// start and end as ONNX clamps them; a symbolic size takes the indices as they are if they provably lie
// inside.
DimExpr Clamped(int64_t index, const DimExpr& size, int64_t step) {
  DimExpr at = index < 0 ? (index < -(int64_t{1} << 40) ? DimExpr(step > 0 ? 0 : -1) : size + DimExpr(index))
                         : DimExpr(index);
  if (index > (int64_t{1} << 40)) at = size;
  const DimExpr low(step > 0 ? 0 : -1), high = step > 0 ? size : size - DimExpr(1);
  return Max(low, Min(at, high));
}

struct SliceRange {
  std::vector<int64_t> starts, ends, axes, steps;
};

SliceRange ReadSlice(NodeContext& c, int rank) {
  SliceRange range;
  if (c.opset() < 10) {
    range.starts = c.Ints("starts").value_or(std::vector<int64_t>());
    range.ends = c.Ints("ends").value_or(std::vector<int64_t>());
    if (auto axes = c.Ints("axes")) range.axes = *axes;
  } else {
    range.starts = c.Integers(1, "starts");
    range.ends = c.Integers(2, "ends");
    if (c.Has(3)) range.axes = c.Integers(3, "axes");
    if (c.Has(4)) range.steps = c.Integers(4, "steps");
  }
  if (!c.ok()) return range;
  if (range.axes.empty()) {
    range.axes.resize(range.starts.size());
    std::iota(range.axes.begin(), range.axes.end(), int64_t{0});
  }
  if (range.steps.empty()) range.steps.assign(range.starts.size(), 1);
  const size_t count = range.starts.size();
  if (range.ends.size() != count || range.axes.size() != count || range.steps.size() != count) {
    c.Fail("starts, ends, axes and steps differ in length");
  }
  for (int64_t& axis : range.axes) axis = c.Axis(axis, rank);
  return range;
}

void Slice(NodeContext& c) {
  TensorId x = c.Input(0);
  if (!c.ok()) return;
  const SliceRange range = ReadSlice(c, c.Type(x).rank());
  for (size_t i = 0; i < range.starts.size() && c.ok(); ++i) {
    const int64_t step = range.steps[i];
    const int axis = static_cast<int>(range.axes[i]);
    const DimExpr size = c.Shape(x)[axis];
    if (step == 0) return c.Fail("a step of 0");
    if (step < -1)
      return c.Unsupported("steps", absl::StrCat("step ", step), "steps from -1 on are supported");
    const DimExpr start = Clamped(range.starts[i], size, step);
    const DimExpr end = Clamped(range.ends[i], size, step);
    const DimExpr span = step > 0 ? end - start : start - end;
    if (span.Bounds().upper < 1) {
      return c.Unsupported("ends", absl::StrCat("an empty slice of dimension ", axis),
                           "remove what is computed from nothing");
    }
    x = c.Slice(x, axis, start, end, step);
  }
  c.SetOutput(0, x);
}

void Split(NodeContext& c) {
  const TensorId x = c.Input(0);
  if (!c.RequireRank(x, 1, 16)) return;
  const int axis = c.Axis(c.Int("axis", 0), c.Type(x).rank());
  const int64_t count = c.node().output_size();
  std::vector<int64_t> sizes;
  if (auto attribute = c.Ints("split")) {
    sizes = *attribute;
  } else if (c.Has(1)) {
    sizes = c.Integers(1, "split");
  } else {
    const int64_t size = c.StaticDim(x, axis, "split");
    const int64_t parts = c.Int("num_outputs", count);
    if (parts != count || count < 1 || count > kMaxParts)
      return c.Fail(absl::StrCat(parts, " parts for ", count, " outputs"));
    const int64_t each = (size + parts - 1) / parts;
    for (int64_t i = 0; i < parts; ++i) sizes.push_back(std::min(each, size - i * each));
  }
  if (!c.ok()) return;
  if (static_cast<int64_t>(sizes.size()) != count)
    return c.Fail(absl::StrCat(sizes.size(), " parts for ", count, " outputs"));
  int64_t at = 0;
  for (int64_t i = 0; i < count && c.ok(); ++i) {
    if (sizes[i] < 1 || sizes[i] > (int64_t{1} << 40))
      return c.Fail(absl::StrCat("a part of size ", sizes[i]));
    c.SetOutput(static_cast<int>(i), c.Slice(x, axis, at, at + sizes[i]));
    at += sizes[i];
  }
  if (c.ok() && !(c.Shape(x)[axis] == DimExpr(at)))
    c.Fail(absl::StrCat("the parts make ", at, " of ", c.Shape(x)[axis].ToString()));
}

void Pad(NodeContext& c) {
  TensorId x = c.Input(0);
  if (!c.ok()) return;
  const int rank = c.Type(x).rank();
  const std::string mode = c.String("mode", "constant");
  if (mode != "constant" && mode != "reflect" && mode != "edge") {
    return c.Unsupported("mode", "mode " + mode, "constant, reflect and edge are supported");
  }
  std::vector<int64_t> given, axes(static_cast<size_t>(rank));
  std::iota(axes.begin(), axes.end(), int64_t{0});
  double value = 0;
  if (c.opset() < 11) {
    given = c.Ints("pads").value_or(std::vector<int64_t>());
    value = c.Float("value", 0);
  } else {
    given = c.Integers(1, "pads");
    if (c.Has(2)) {
      const auto constant = c.Reals(c.Input(2));
      if (!c.ok()) return;
      if (!constant || constant->size() != 1)
        return c.Unsupported("constant_value", "computed at run time", "make it constant");
      value = constant->front();
    }
    if (c.Has(3)) axes = c.Integers(3, "axes");
  }
  if (!c.ok()) return;
  if (given.size() != 2 * axes.size())
    return c.Fail(absl::StrCat(given.size(), " pads for ", axes.size(), " dimensions"));
  std::vector<int64_t> pads(2 * static_cast<size_t>(rank), 0);
  for (size_t i = 0; i < axes.size(); ++i) {
    const int axis = c.Axis(axes[i], rank);
    pads[axis] = given[i];
    pads[axis + rank] = given[i + axes.size()];
  }
  // Negative pads crop first.
  for (int d = 0; d < rank && c.ok(); ++d) {
    int64_t& before = pads[d];
    int64_t& after = pads[d + rank];
    if (std::max(std::abs(before), std::abs(after)) > (1 << 20)) return c.Fail("a pad is out of range");
    if (before < 0 || after < 0) {
      x = c.Slice(x, d, std::max<int64_t>(0, -before), c.Shape(x)[d] - DimExpr(std::max<int64_t>(0, -after)));
      before = std::max<int64_t>(0, before);
      after = std::max<int64_t>(0, after);
    }
  }
  if (std::all_of(pads.begin(), pads.end(), [](int64_t p) { return p == 0; })) return c.SetOutput(0, x);
  c.SetOutput(0, c.Emit("pad", {x}, {{"pads", ToDims(pads)}, {"value", value}, {"mode", mode}}));
}

void EmitResize(NodeContext& c, const std::vector<double>& scales, const std::vector<int64_t>& sizes,
                const std::string& coordinates, const std::string& rounding) {
  const std::string mode = c.String("mode", "nearest");
  if (mode != "nearest" && mode != "linear" && mode != "bilinear") {
    return c.Unsupported("mode", "mode " + mode, "nearest and linear are supported");
  }
  const TensorId x = c.Input(0);
  std::vector<double> spatial;
  std::vector<int64_t> size;
  for (int d = 0; d < 4; ++d) {
    const int64_t in = c.StaticDim(x, d, "X");
    if (!c.ok()) return;
    const double scale = scales.empty() ? static_cast<double>(sizes[d]) / static_cast<double>(in) : scales[d];
    const int64_t out =
        sizes.empty() ? static_cast<int64_t>(std::floor(static_cast<double>(in) * scale)) : sizes[d];
    if (!(scale > 0) || scale > 1e6 || out < 1) return c.Fail("an impossible size");
    if (d < 2 && out != in)
      return c.Unsupported("scales", "resizing of batch or channels", "resize height and width only");
    if (d < 2) continue;
    const double exact = static_cast<double>(in) * scale;
    if (coordinates == "align_corners" && std::abs(exact - std::round(exact)) > 1e-6) {
      return c.Unsupported("scales", "corners of a fractional size", "give the sizes");
    }
    if (out == 1 && c.String("coordinate_transformation_mode", "") == "pytorch_half_pixel") {
      return c.Unsupported("coordinate_transformation_mode", "pytorch_half_pixel down to one pixel",
                           "use half_pixel");
    }
    spatial.push_back(scale);
    size.push_back(out);
  }
  c.SetOutput(0, c.Emit("resize2d", {x},
                        {{"size", ToDims(size)},
                         {"mode", mode == "nearest" ? "nearest" : "linear"},
                         {"coordinates", coordinates},
                         {"scales", spatial},
                         {"rounding", rounding}}));
}

std::vector<double> ScalesInput(NodeContext& c, int input) {
  if (!c.Has(input)) return {};
  const TensorId id = c.Input(input);
  if (!c.ok()) return {};
  const std::optional<std::vector<double>> values = c.Reals(id);
  if (!values) c.Unsupported("scales", "computed at run time", "export the model with constant sizes");
  return values.value_or(std::vector<double>());
}

void Upsample(NodeContext& c) {
  const TensorId x = c.Input(0);
  if (!c.RequireRank(x, 4, 4)) return;
  const std::vector<double> scales = ScalesInput(c, 1);
  if (!c.ok()) return;
  if (scales.size() != 4) return c.Fail("'scales' has not one number per dimension");
  EmitResize(c, scales, {}, "asymmetric", "floor");
}

void Resize(NodeContext& c) {
  if (c.opset() < 11) return Upsample(c);
  const TensorId x = c.Input(0);
  if (!c.ok()) return;
  if (c.Type(x).rank() != 4) {
    return c.Unsupported("X", absl::StrCat("an input of rank ", c.Type(x).rank()),
                         "images [n, c, h, w] are supported");
  }
  std::string coordinates = c.String("coordinate_transformation_mode", "half_pixel");
  std::string rounding = c.String("nearest_mode", "round_prefer_floor");
  const bool nearest = c.String("mode", "nearest") == "nearest";
  std::vector<double> scales = ScalesInput(c, 2);
  std::vector<int64_t> sizes;
  if (c.Has(3)) sizes = c.Integers(3, "sizes");
  if (!c.ok()) return;
  if (c.Attribute("axes") != nullptr) {
    std::vector<int64_t> axes = *c.Ints("axes");
    std::vector<double> all_scales(4, 1);
    std::vector<int64_t> all_sizes;
    for (int d = 0; d < 4; ++d) all_sizes.push_back(c.StaticDim(x, d, "axes"));
    if (axes.size() != std::max(scales.size(), sizes.size()))
      return c.Fail("'axes' has another length than the sizes");
    for (size_t i = 0; i < axes.size() && c.ok(); ++i) {
      const int axis = c.Axis(axes[i], 4);
      if (!scales.empty()) all_scales[axis] = scales[i];
      if (!sizes.empty()) all_sizes[axis] = sizes[i];
    }
    if (!scales.empty()) scales = all_scales;
    if (!sizes.empty()) sizes = all_sizes;
  }
  if (!c.ok()) return;
  if (scales.size() != 4 && sizes.size() != 4)
    return c.Fail("neither 'scales' nor 'sizes' has one number per dimension");
  if (sizes.size() == 4) scales.clear();
  if (c.String("keep_aspect_ratio_policy", "stretch") != "stretch") {
    return c.Unsupported("keep_aspect_ratio_policy", "other than stretch", "give the sizes");
  }
  if (c.Int("antialias", 0) != 0)
    return c.Unsupported("antialias", "antialiasing", "export with antialias=0");
  if (coordinates == "pytorch_half_pixel") coordinates = "half_pixel";  // one pixel is refused below
  if (coordinates != "half_pixel" && coordinates != "asymmetric" && coordinates != "align_corners") {
    return c.Unsupported("coordinate_transformation_mode", coordinates,
                         "half_pixel, asymmetric or align_corners");
  }
  if (nearest && rounding != "floor" && rounding != "round_prefer_floor") {
    return c.Unsupported("nearest_mode", rounding, "floor or round_prefer_floor");
  }
  if (!nearest) rounding = "floor";
  EmitResize(c, scales, sizes, coordinates, rounding);
}

void Expand(NodeContext& c) {
  const TensorId x = c.Input(0);
  std::vector<DimExpr> shape = c.Dims(1, "shape");
  if (!c.ok()) return;
  // Numpy broadcasting in both directions.
  std::vector<DimExpr> from = c.Shape(x);
  const size_t rank = std::max(from.size(), shape.size());
  from.insert(from.begin(), rank - from.size(), DimExpr(1));
  shape.insert(shape.begin(), rank - shape.size(), DimExpr(1));
  for (size_t d = 0; d < rank; ++d) {
    if (shape[d].Bounds().upper < 1 || shape[d].Bounds().lower < 0)
      return c.Fail(absl::StrCat("dimension ", shape[d].ToString()));
    if (shape[d] == DimExpr(1)) shape[d] = from[d];
  }
  const TensorId ranked = c.Reshape(x, from);
  c.SetOutput(0, shape == from ? ranked : c.Emit("expand", {ranked}, {{"shape", shape}}));
}

void Tile(NodeContext& c) {
  TensorId x = c.Input(0);
  const std::vector<int64_t> repeats = c.Integers(1, "repeats");
  if (!c.ok()) return;
  if (repeats.size() != c.Shape(x).size()) return c.Fail("'repeats' has not one number per dimension");
  for (size_t d = 0; d < repeats.size() && c.ok(); ++d) {
    if (repeats[d] < 1 || repeats[d] > kMaxParts) {
      return c.Unsupported("repeats", absl::StrCat(repeats[d], " repeats"), absl::StrCat("1 to ", kMaxParts));
    }
    if (repeats[d] > 1) {
      x = c.Emit("concat", std::vector<TensorId>(static_cast<size_t>(repeats[d]), x),
                 {{"axis", static_cast<int64_t>(d)}});
    }
  }
  c.SetOutput(0, x);
}

void DepthToSpace(NodeContext& c) {
  const TensorId x = c.Input(0);
  if (!c.RequireRank(x, 4, 4)) return;
  const int64_t b = c.Int("blocksize", 0);
  const std::vector<DimExpr> s = c.Shape(x);
  if (b < 1 || b > 1024 || !(Mod(s[1], DimExpr(b * b)) == DimExpr(0)))
    return c.Fail(absl::StrCat("blocksize ", b));
  const DimExpr depth = FloorDiv(s[1], DimExpr(b * b));
  const bool crd = c.String("mode", "DCR") == "CRD";
  const std::vector<DimExpr> split = crd ? std::vector<DimExpr>{s[0], depth, b, b, s[2], s[3]}
                                         : std::vector<DimExpr>{s[0], b, b, depth, s[2], s[3]};
  const std::vector<int64_t> perm =
      crd ? std::vector<int64_t>{0, 1, 4, 2, 5, 3} : std::vector<int64_t>{0, 3, 4, 1, 5, 2};
  const TensorId y = c.Emit("transpose", {c.Reshape(x, split)}, {{"perm", ToDims(perm)}});
  c.SetOutput(0, c.Reshape(y, {s[0], depth, s[2] * DimExpr(b), s[3] * DimExpr(b)}));
}

void SpaceToDepth(NodeContext& c) {
  const TensorId x = c.Input(0);
  if (!c.RequireRank(x, 4, 4)) return;
  const int64_t b = c.Int("blocksize", 0);
  const std::vector<DimExpr> s = c.Shape(x);
  if (b < 1 || b > 1024 || !(Mod(s[2], DimExpr(b)) == DimExpr(0)) || !(Mod(s[3], DimExpr(b)) == DimExpr(0))) {
    return c.Fail(absl::StrCat("blocksize ", b));
  }
  const DimExpr h = FloorDiv(s[2], DimExpr(b)), w = FloorDiv(s[3], DimExpr(b));
  const TensorId y =
      c.Emit("transpose", {c.Reshape(x, {s[0], s[1], h, b, w, b})}, {{"perm", ToDims({0, 3, 5, 1, 2, 4})}});
  c.SetOutput(0, c.Reshape(y, {s[0], s[1] * DimExpr(b * b), h, w}));
}

}  // namespace

std::vector<OnnxOpRow> DataOnnxOps() {
  return {{"Transpose", 1, kMaxOpset, 1, Transpose},
          {"Concat", 4, kMaxOpset, 1, Concat},
          {"Slice", 1, kMaxOpset, 1, Slice},
          {"Split", 2, kMaxOpset, 1, Split},
          {"Pad", 2, kMaxOpset, 1, Pad},
          {"Resize", 10, kMaxOpset, 1, Resize},
          {"Upsample", 9, 9, 2, Upsample},
          {"Expand", 8, kMaxOpset, 2, Expand},
          {"Tile", 6, kMaxOpset, 2, Tile},
          {"DepthToSpace", 1, kMaxOpset, 1, DepthToSpace},
          {"SpaceToDepth", 1, kMaxOpset, 1, SpaceToDepth}};
}

}  // namespace hone
