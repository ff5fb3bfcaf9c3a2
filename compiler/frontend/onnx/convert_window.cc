#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "compiler/frontend/onnx/operator_table.h"

namespace hone {
namespace {

// Attributes of a convolution or pooling, lifted to two spatial dimensions.
struct Window {
  std::vector<int64_t> kernel{1, 1}, strides{1, 1}, dilations{1, 1};
  std::vector<int64_t> pads{0, 0, 0, 0};  // top, left, bottom, right
  int spatial = 2;

  AttrMap Attrs() const {
    return {{"strides", ToDims(strides)}, {"pads", ToDims(pads)}, {"dilations", ToDims(dilations)}};
  }
};

// [n, c, l] as [n, c, 1, l].
TensorId Lift(NodeContext& c, TensorId x) {
  if (!c.ok() || c.Type(x).rank() != 3) return x;
  const std::vector<DimExpr>& s = c.Shape(x);
  return c.Reshape(x, {s[0], s[1], DimExpr(1), s[2]});
}

TensorId Lower(NodeContext& c, TensorId x, int spatial) {
  if (!c.ok() || spatial == 2) return x;
  const std::vector<DimExpr>& s = c.Shape(x);
  return c.Reshape(x, {s[0], s[1], s[3]});
}

// Total padding that gives ceil(size / stride) outputs; the odd one goes below (SAME_UPPER) or above.
void SamePads(NodeContext& c, TensorId x, bool upper, Window* w) {
  for (int d = 0; d < 2; ++d) {
    const int64_t size = c.StaticDim(x, 2 + d, "auto_pad");
    const int64_t reach = (w->kernel[d] - 1) * w->dilations[d] + 1;
    const int64_t total =
        std::max<int64_t>(0, ((size + w->strides[d] - 1) / w->strides[d] - 1) * w->strides[d] + reach - size);
    w->pads[d] = upper ? total / 2 : total - total / 2;
    w->pads[2 + d] = total - w->pads[d];
  }
}

void ReadList(NodeContext& c, std::string_view name, int64_t least, std::vector<int64_t>* two, int spatial) {
  const std::optional<std::vector<int64_t>> values = c.Ints(name);
  if (!values) return;
  const size_t per_dim = two->size() / 2;
  if (values->size() != per_dim * static_cast<size_t>(spatial)) {
    return c.Fail(absl::StrCat("'", std::string(name), "' has ", values->size(), " numbers"));
  }
  for (const int64_t value : *values) {
    if (value < least || value > (1 << 16))
      return c.Fail(absl::StrCat("'", std::string(name), "' is out of range: ", value));
  }
  for (size_t i = 0; i < values->size(); ++i) (*two)[spatial == 2 ? i : 2 * i + 1] = (*values)[i];
}

// x is already lifted; `kernel` are the spatial dimensions of the weights, or empty for pooling.
Window ReadWindow(NodeContext& c, TensorId x, int spatial, const std::vector<int64_t>& kernel) {
  Window w;
  w.spatial = spatial;
  if (!kernel.empty()) {
    w.kernel = kernel;
  } else {
    if (c.Attribute("kernel_shape") == nullptr) c.Fail("'kernel_shape' is missing");
    ReadList(c, "kernel_shape", 1, &w.kernel, spatial);
  }
  ReadList(c, "strides", 1, &w.strides, spatial);
  ReadList(c, "dilations", 1, &w.dilations, spatial);
  const std::string auto_pad = c.String("auto_pad", "NOTSET");
  if (!c.ok()) return w;
  if (auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER") {
    SamePads(c, x, auto_pad == "SAME_UPPER", &w);
  } else if (auto_pad == "NOTSET") {
    ReadList(c, "pads", 0, &w.pads, spatial);
  } else if (auto_pad != "VALID") {
    c.Fail(absl::StrCat("auto_pad '", auto_pad, "'"));
  }
  return w;
}

// Whether the input has one or two spatial dimensions; reports the others.
bool CheckSpatial(NodeContext& c, TensorId x) {
  if (!c.ok()) return false;
  const int rank = c.Type(x).rank();
  if (rank > 4) {
    c.Unsupported("", absl::StrCat(rank - 2, " spatial dimensions"), "one or two are supported");
  } else if (rank < 3) {
    c.Fail(absl::StrCat("an input of rank ", rank));
  }
  return c.ok();
}

TensorId AddChannels(NodeContext& c, TensorId x, TensorId bias) {
  if (!c.RequireRank(bias, 1, 1)) return {};
  return c.Emit("add", {x, c.Reshape(bias, {DimExpr(1), c.Shape(bias)[0], DimExpr(1), DimExpr(1)})});
}

std::vector<int64_t> KernelOf(NodeContext& c, TensorId weights) {
  return {c.StaticDim(weights, 2, "W"), c.StaticDim(weights, 3, "W")};
}

void Conv(NodeContext& c) {
  TensorId x = c.Input(0);
  if (!CheckSpatial(c, x)) return;
  const int spatial = c.Type(x).rank() - 2;
  x = Lift(c, x);
  TensorId weights = c.Input(1);
  if (!c.RequireRank(weights, spatial + 2, spatial + 2)) return;
  weights = Lift(c, weights);
  if (!c.ok()) return;
  const Window w = ReadWindow(c, x, spatial, KernelOf(c, weights));
  if (const auto stated = c.Ints("kernel_shape"); stated && spatial == 2 && *stated != w.kernel) {
    return c.Fail("'kernel_shape' is not that of the weights");
  }
  const int64_t group = c.Int("group", 1);
  AttrMap attrs = w.Attrs();
  if (!c.ok()) return;
  if (group < 1) return c.Fail(absl::StrCat("group ", group));
  const bool depthwise = group > 1 && c.Shape(x)[1] == DimExpr(group) && c.Shape(weights)[1] == DimExpr(1);
  if (!depthwise) attrs["group"] = group;
  TensorId y = c.Emit(depthwise ? "depthwise_conv2d" : "conv2d", {x, weights}, std::move(attrs));
  if (c.Has(2)) y = AddChannels(c, y, c.Input(2));
  c.SetOutput(0, Lower(c, y, spatial));
}

// output_shape decides the padding: total = stride (in - 1) + output_padding + reach - out.
void PadsOfOutputShape(NodeContext& c, TensorId x, const std::vector<int64_t>& shape,
                       const std::vector<int64_t>& extra, bool upper, Window* w) {
  if (static_cast<int>(shape.size()) < w->spatial) return c.Fail("'output_shape' is too short");
  for (int d = 2 - w->spatial; d < 2; ++d) {
    const int64_t out = shape[shape.size() - 2 + static_cast<size_t>(d)];
    const int64_t reach = (w->kernel[d] - 1) * w->dilations[d] + 1;
    const int64_t total =
        w->strides[d] * (c.StaticDim(x, 2 + d, "output_shape") - 1) + extra[d] + reach - out;
    if (total < 0 || total > (1 << 16)) return c.Fail("'output_shape' cannot be reached");
    w->pads[d] = upper ? total / 2 : total - total / 2;
    w->pads[2 + d] = total - w->pads[d];
  }
}

void ConvTranspose(NodeContext& c) {
  TensorId x = c.Input(0);
  if (!CheckSpatial(c, x)) return;
  const int spatial = c.Type(x).rank() - 2;
  x = Lift(c, x);
  TensorId weights = c.Input(1);
  if (!c.RequireRank(weights, spatial + 2, spatial + 2)) return;
  weights = Lift(c, weights);
  Window w;
  w.spatial = spatial;
  w.kernel = KernelOf(c, weights);
  ReadList(c, "strides", 1, &w.strides, spatial);
  ReadList(c, "dilations", 1, &w.dilations, spatial);
  ReadList(c, "pads", 0, &w.pads, spatial);
  std::vector<int64_t> extra{0, 0};
  ReadList(c, "output_padding", 0, &extra, spatial);
  const std::string auto_pad = c.String("auto_pad", "NOTSET");
  const std::optional<std::vector<int64_t>> shape = c.Ints("output_shape");
  if (!c.ok()) return;
  if (shape) {
    PadsOfOutputShape(c, x, *shape, extra, auto_pad != "SAME_LOWER", &w);
  } else if (auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER") {
    std::vector<int64_t> same;
    for (int d = 2 - spatial; d < 2; ++d) same.push_back(c.StaticDim(x, 2 + d, "auto_pad") * w.strides[d]);
    PadsOfOutputShape(c, x, same, extra, auto_pad == "SAME_UPPER", &w);
  }
  AttrMap attrs = w.Attrs();
  attrs["group"] = c.Int("group", 1);
  attrs["output_padding"] = ToDims(extra);
  TensorId y = c.Emit("conv_transpose2d", {x, weights}, std::move(attrs));
  if (c.ok() && c.Has(2)) y = AddChannels(c, y, c.Input(2));
  c.SetOutput(0, Lower(c, y, spatial));
}

// ceil_mode: more padding below until the last, partial window fits; a window that would start in it is
// dropped. Returns how much was added.
std::vector<int64_t> CeilPads(NodeContext& c, TensorId x, Window* w) {
  std::vector<int64_t> added{0, 0};
  for (int d = 2 - w->spatial; d < 2; ++d) {
    const int64_t size = c.StaticDim(x, 2 + d, "ceil_mode") + w->pads[d];
    const int64_t reach = (w->kernel[d] - 1) * w->dilations[d] + 1;
    const int64_t room = size + w->pads[2 + d] - reach;
    if (room < 0) continue;
    int64_t last = (room + w->strides[d] - 1) / w->strides[d];
    if (last * w->strides[d] >= size) --last;
    added[d] = std::max<int64_t>(0, last * w->strides[d] + reach - size - w->pads[2 + d]);
    w->pads[2 + d] += added[d];
  }
  return added;
}

void Pool(NodeContext& c, std::string_view op) {
  TensorId x = c.Input(0);
  if (!CheckSpatial(c, x)) return;
  const int spatial = c.Type(x).rank() - 2;
  x = Lift(c, x);
  Window w = ReadWindow(c, x, spatial, {});
  const bool counted = c.Int("count_include_pad", 0) != 0;
  if (!c.ok()) return;
  if (c.Int("ceil_mode", 0) != 0) {
    const std::vector<int64_t> added = CeilPads(c, x, &w);
    if (counted && added[0] + added[1] > 0) {
      return c.Unsupported("ceil_mode", "together with count_include_pad, where the last window is partial",
                           "export with ceil_mode=0 or count_include_pad=0");
    }
  }
  for (int d = 0; d < 2; ++d) {
    if (w.pads[d] >= (w.kernel[d] - 1) * w.dilations[d] + 1)
      return c.Fail("a window that lies in the padding only");
  }
  AttrMap attrs = w.Attrs();
  attrs["kernel"] = ToDims(w.kernel);
  if (op == "average_pool2d") attrs["count_include_pad"] = int64_t{counted};
  c.SetOutput(0, Lower(c, c.Emit(op, {x}, std::move(attrs)), spatial));
}

void MaxPool(NodeContext& c) {
  if (c.node().output_size() > 1 && !c.node().output(1).empty()) {
    return c.Unsupported("Indices", "the positions of the maxima", "drop the second output");
  }
  Pool(c, "max_pool2d");
}
void AveragePool(NodeContext& c) { Pool(c, "average_pool2d"); }

void GlobalPool(NodeContext& c, std::string_view op) {
  const TensorId x = c.Input(0);
  if (!c.RequireRank(x, 3, 5)) return;
  std::vector<int64_t> axes;
  for (int d = 2; d < c.Type(x).rank(); ++d) axes.push_back(d);
  c.SetOutput(0, c.Emit(op, {x}, {{"axes", ToDims(axes)}, {"keepdims", int64_t{1}}}));
}
void GlobalAveragePool(NodeContext& c) { GlobalPool(c, "reduce_mean"); }
void GlobalMaxPool(NodeContext& c) { GlobalPool(c, "reduce_max"); }

// [c] as [1, c, 1, ...] of x's rank.
TensorId PerChannel(NodeContext& c, TensorId x, TensorId values) {
  if (!c.RequireRank(values, 1, 1)) return {};
  std::vector<DimExpr> shape(c.Shape(x).size(), DimExpr(1));
  shape[1] = c.Shape(values)[0];
  return c.Reshape(values, std::move(shape));
}

// A constant [n, c, ...] of any size, where the interpreter would take too long to fold: weights that are
// standardised are exported as normalised by their own statistics.
struct ConstantImage {
  std::vector<float> values;
  std::vector<int64_t> dims;

  static std::optional<ConstantImage> Of(NodeContext& c, TensorId x) {
    const ConstantRef& constant = c.scope().graph.tensor(x).constant;
    if (constant == nullptr || constant->data == nullptr || constant->dtype != DType::kF32)
      return std::nullopt;
    ConstantImage image{std::vector<float>(constant->size / sizeof(float)), constant->dims};
    std::memcpy(image.values.data(), constant->data, constant->size);
    return image;
  }
  void Each(const std::function<void(double value, size_t i, size_t channel)>& body) const {
    const size_t channels = static_cast<size_t>(dims[1]);
    const size_t rest = std::accumulate(dims.begin() + 2, dims.end(), size_t{1}, std::multiplies<>());
    for (size_t i = 0; i < values.size(); ++i) body(values[i], i, i / rest % channels);
  }
  // Of each channel, in squares from `centre`, or of the values.
  std::vector<double> Means(const std::vector<double>* centre) const {
    std::vector<double> means(static_cast<size_t>(dims[1]), 0.0);
    Each([&](double value, size_t, size_t channel) {
      means[channel] += centre == nullptr ? value : std::pow(value - (*centre)[channel], 2);
    });
    for (double& mean : means) mean *= static_cast<double>(means.size()) / static_cast<double>(values.size());
    return means;
  }
  TensorId Scaled(NodeContext& c, const std::vector<double>& factor, const std::vector<double>& shift) const {
    std::vector<double> scaled(values.size());
    Each([&](double value, size_t i, size_t channel) {
      scaled[i] = value * factor[channel] + shift[channel];
    });
    return c.Reals(scaled, dims, DType::kF32);
  }
};

// Replaces the statistics by those of x itself, as training does; outputs 1 and 2 are their running means.
// `image`: x, if it is constant.
void TakeStatistics(NodeContext& c, TensorId x, const std::optional<ConstantImage>& image, TensorId* mean,
                    TensorId* variance) {
  const double momentum = c.Float("momentum", 0.9);
  const auto running = [&](int output, TensorId before, TensorId now) {
    if (output >= c.node().output_size() || !c.ok()) return;
    c.SetOutput(output, c.Emit("add", {c.Emit("mul", {before, c.ScalarLike(before, momentum)}),
                                       c.Emit("mul", {now, c.ScalarLike(now, 1 - momentum)})}));
  };
  TensorId own_mean, own_variance;
  if (image) {
    const std::vector<double> means = image->Means(nullptr);
    own_mean = c.Reals(means, {image->dims[1]}, DType::kF32);
    own_variance = c.Reals(image->Means(&means), {image->dims[1]}, DType::kF32);
  } else {
    std::vector<int64_t> others = {0};
    for (int64_t d = 2; d < c.Type(x).rank(); ++d) others.push_back(d);
    const AttrMap axes = {{"axes", ToDims(others)}, {"keepdims", int64_t{0}}};
    own_mean = c.Emit("reduce_mean", {x}, axes);
    if (!c.ok()) return;
    const TensorId centred = c.Emit("sub", {x, PerChannel(c, x, own_mean)});
    own_variance = c.Emit("reduce_mean", {c.Emit("mul", {centred, centred})}, axes);
  }
  running(1, *mean, own_mean);
  running(2, *variance, own_variance);
  *mean = own_mean;
  *variance = own_variance;
}

// y = x scale' + shift', computed in double where all is constant.
void BatchNormalization(NodeContext& c) {
  const bool training = c.Int("training_mode", 0) != 0;
  if (c.node().output_size() > (training ? 3 : 1) && c.opset() >= 14)
    return c.Fail(absl::StrCat(c.node().output_size(), " outputs"));
  const TensorId x = c.Input(0), scale = c.Input(1), bias = c.Input(2);
  TensorId mean = c.Input(3), variance = c.Input(4);
  const double epsilon = c.Float("epsilon", 1e-5);
  if (!c.ok() || !c.RequireRank(x, 2, 5)) return;
  const std::optional<ConstantImage> image = ConstantImage::Of(c, x);
  if (training) TakeStatistics(c, x, image, &mean, &variance);
  if (!c.ok()) return;
  const auto s = c.Reals(scale), b = c.Reals(bias), m = c.Reals(mean), v = c.Reals(variance);
  for (const TensorId id : {scale, bias, mean, variance}) {
    if (!c.RequireRank(id, 1, 1)) return;
    if (!(c.Shape(id)[0] == c.Shape(x)[1])) return c.Fail("statistics of another number of channels");
  }
  TensorId factor, shift;
  if (s && b && m && v) {
    std::vector<double> f(s->size()), t(s->size());
    for (size_t i = 0; i < f.size(); ++i) {
      f[i] = (*s)[i] / std::sqrt((*v)[i] + epsilon);
      t[i] = (*b)[i] - (*m)[i] * f[i];
    }
    if (image) return c.SetOutput(0, image->Scaled(c, f, t));
    const int64_t channels = static_cast<int64_t>(f.size());
    factor = c.Reals(f, {channels}, c.Type(x).dtype);
    shift = c.Reals(t, {channels}, c.Type(x).dtype);
  } else {
    factor =
        c.Emit("div", {scale, c.Emit("sqrt", {c.Emit("add", {variance, c.ScalarLike(variance, epsilon)})})});
    shift = c.Emit("sub", {bias, c.Emit("mul", {mean, factor})});
  }
  if (!c.ok()) return;
  c.SetOutput(0, c.Emit("add", {c.Emit("mul", {x, PerChannel(c, x, factor)}), PerChannel(c, x, shift)}));
}

// Rows of x as [n * groups, rest] are normalised, then scaled per channel.
void NormaliseGroups(NodeContext& c, DimExpr groups) {
  const TensorId x = c.Input(0), scale = c.Input(1), bias = c.Input(2);
  const double epsilon = c.Float("epsilon", 1e-5);
  if (!c.ok() || !c.RequireRank(x, 3, 5)) return;
  const std::vector<DimExpr> shape = c.Shape(x);
  const DimExpr rest = FloorDiv(Product(shape), shape[0] * groups);
  const TensorId rows = c.Reshape(x, {shape[0] * groups, rest});
  const AttrMap last = {{"axes", ToDims({1})}, {"keepdims", int64_t{1}}};
  const TensorId centred = c.Emit("sub", {rows, c.Emit("reduce_mean", {rows}, last)});
  const TensorId variance = c.Emit("reduce_mean", {c.Emit("mul", {centred, centred})}, last);
  if (!c.ok()) return;
  const TensorId inverse = c.Emit("rsqrt", {c.Emit("add", {variance, c.ScalarLike(variance, epsilon)})});
  const TensorId normal = c.Reshape(c.Emit("mul", {centred, inverse}), shape);
  c.SetOutput(0, c.Emit("add", {c.Emit("mul", {normal, PerChannel(c, x, scale)}), PerChannel(c, x, bias)}));
}

void InstanceNormalization(NodeContext& c) {
  const TensorId x = c.Input(0);
  if (c.RequireRank(x, 3, 5)) NormaliseGroups(c, c.Shape(x)[1]);
}

void GroupNormalization(NodeContext& c) {
  const TensorId x = c.Input(0);
  const int64_t groups = c.Int("num_groups", 0);
  if (!c.RequireRank(x, 3, 5)) return;
  const int64_t channels = c.StaticDim(x, 1, "X");
  if (groups < 1 || channels % groups != 0)
    return c.Fail(absl::StrCat("num_groups ", groups, " of ", channels, " channels"));
  if (c.opset() < 21) {
    return c.Unsupported("scale", "scale per group (opset 18 to 20)",
                         "convert the model to opset 21 or newer");
  }
  NormaliseGroups(c, DimExpr(groups));
}

// x / (bias + alpha / size * sum of squares over `size` channels)^beta: the sum is a pooling over channels.
void Lrn(NodeContext& c) {
  const TensorId x = c.Input(0);
  const int64_t size = c.Int("size", 0);
  const double alpha = c.Float("alpha", 1e-4), beta = c.Float("beta", 0.75), bias = c.Float("bias", 1);
  if (!c.ok() || !c.RequireRank(x, 4, 4)) return;
  if (size < 1 || size > (1 << 16)) return c.Fail(absl::StrCat("size ", size));
  const std::vector<DimExpr> shape = c.Shape(x);
  const TensorId rows =
      c.Reshape(c.Emit("mul", {x, x}), {shape[0], DimExpr(1), shape[1], shape[2] * shape[3]});
  const int64_t before = (size - 1) / 2, after = size - 1 - before;
  TensorId mean = c.Emit("average_pool2d", {rows},
                         {{"kernel", ToDims({size, 1})},
                          {"pads", ToDims({before, 0, after, 0})},
                          {"strides", ToDims({1, 1})},
                          {"count_include_pad", int64_t{1}}});
  if (!c.ok()) return;
  mean = c.Reshape(mean, shape);
  const TensorId base = c.Emit("add", {c.Emit("mul", {mean, c.ScalarLike(x, alpha)}), c.ScalarLike(x, bias)});
  c.SetOutput(0, c.Emit("mul", {x, c.Emit("pow", {base, c.ScalarLike(x, -beta)})}));
}

}  // namespace

std::vector<OnnxOpRow> WindowOnnxOps() {
  return {{"Conv", 1, kMaxOpset, 2, Conv},
          {"ConvTranspose", 1, kMaxOpset, 2, ConvTranspose},
          {"MaxPool", 1, kMaxOpset, 1, MaxPool},
          {"AveragePool", 7, kMaxOpset, 1, AveragePool},
          {"GlobalAveragePool", 1, kMaxOpset, 1, GlobalAveragePool},
          {"GlobalMaxPool", 1, kMaxOpset, 1, GlobalMaxPool},
          {"BatchNormalization", 9, kMaxOpset, 5, BatchNormalization},
          {"InstanceNormalization", 6, kMaxOpset, 3, InstanceNormalization},
          {"GroupNormalization", 18, kMaxOpset, 3, GroupNormalization},
          {"LRN", 1, kMaxOpset, 1, Lrn}};
}

}  // namespace hone
