#include "tests/compiler/graph_passes/small_networks.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <map>

#include "absl/strings/str_cat.h"
#include "compiler/task/evaluate.h"
#include "compiler/task/task.h"

namespace hone {
namespace {

std::vector<DimExpr> Dims(const std::vector<int64_t>& values) { return {values.begin(), values.end()}; }

// Appends nodes; names count up.
class Builder {
 public:
  TensorId Input(std::vector<int64_t> dims, const std::string& name = "x") {
    return graph_.AddInput(name, {DType::kF32, Dims(dims)});
  }
  TensorId Constant(std::vector<int64_t> dims, double low = -1, double high = 1) {
    HostTensor host = HostTensor::Zeros(DType::kF32, std::move(dims));
    for (int64_t i = 0; i < host.Elements(); ++i) {
      state_ = state_ * 6364136223846793005u + 1442695040888963407u;
      host.Set(i, low + (high - low) * static_cast<double>(state_ >> 40) / (1 << 24));
    }
    return graph_.AddConstant(absl::StrCat("c", graph_.tensor_count()), ConstantOf(std::move(host)));
  }
  TensorId Scalar(double value) {
    HostTensor host = HostTensor::Zeros(DType::kF32, {});
    host.Set(0, value);
    return graph_.AddConstant(absl::StrCat("c", graph_.tensor_count()), ConstantOf(std::move(host)));
  }
  TensorId Op(std::string_view op, std::vector<TensorId> inputs, AttrMap attrs = {}) {
    const std::string name = absl::StrCat(std::string(op), ".", count_++);
    return graph_.AddNode(op, std::move(inputs), std::move(attrs), name).value().front();
  }
  TensorId Conv(TensorId x, int64_t channels, int64_t kernel, int64_t stride = 1) {
    return Op("conv2d", {x, Constant({channels, Channels(x), kernel, kernel}, -0.4, 0.4)},
              Window(kernel / 2, stride));
  }
  int64_t Channels(TensorId x) const { return graph_.tensor(x).type.shape[1].Constant(); }
  TensorId Depthwise(TensorId x, int64_t kernel, int64_t stride = 1) {
    const int64_t channels = Channels(x);
    return Op("depthwise_conv2d", {x, Constant({channels, 1, kernel, kernel})}, Window(kernel / 2, stride));
  }
  TensorId BatchNorm(TensorId x) {
    const int64_t channels = Channels(x);
    return Op("add",
              {Op("mul", {x, Constant({1, channels, 1, 1}, 0.5, 1.5)}), Constant({1, channels, 1, 1})});
  }
  TensorId Reshape(TensorId x, const std::vector<int64_t>& shape) {
    return Op("reshape", {x}, {{"shape", Dims(shape)}});
  }
  TensorId Transpose(TensorId x, const std::vector<int64_t>& perm) {
    return Op("transpose", {x}, {{"perm", Dims(perm)}});
  }
  TensorId Channels(TensorId x, int64_t begin, int64_t end) {
    const std::vector<DimExpr>& shape = graph_.tensor(x).type.shape;
    return Op("slice", {x}, {{"starts", Dims({0, begin, 0, 0})},
                             {"ends", std::vector<DimExpr>{shape[0], end, shape[2], shape[3]}},
                             {"steps", Dims({1, 1, 1, 1})}});
  }
  TensorId Mean(TensorId x, const std::vector<int64_t>& axes) {
    return Op("reduce_mean", {x}, {{"axes", Dims(axes)}, {"keepdims", int64_t{1}}});
  }
  static AttrMap Window(int64_t pad, int64_t stride) {
    return {{"pads", Dims({pad, pad, pad, pad})},
            {"strides", Dims({stride, stride})},
            {"dilations", Dims({1, 1})}};
  }
  Graph Finish(std::vector<TensorId> outputs) {
    graph_.SetOutputs(std::move(outputs));
    return std::move(graph_);
  }

 private:
  Graph graph_;
  uint64_t state_ = 1;
  int count_ = 0;
};

Graph ConvBnRelu() {
  Builder b;
  return b.Finish({b.Op("relu", {b.BatchNorm(b.Conv(b.Input({1, 3, 7, 7}), 16, 3))})});
}

Graph Residual() {
  Builder b;
  const TensorId x = b.Op("relu", {b.BatchNorm(b.Conv(b.Input({1, 3, 7, 7}), 16, 3))});
  const TensorId y = b.BatchNorm(b.Conv(b.Op("relu", {b.BatchNorm(b.Conv(x, 16, 3))}), 16, 3));
  const TensorId joined = b.Op("relu", {b.Op("add", {y, x})});
  const TensorId shortcut = b.BatchNorm(b.Conv(joined, 32, 1, 2));
  const TensorId z = b.Op("relu", {b.Op("add", {b.BatchNorm(b.Conv(joined, 32, 3, 2)), shortcut})});
  return b.Finish({b.Op("matmul", {b.Reshape(b.Mean(z, {2, 3}), {1, 32}), b.Constant({32, 10})})});
}

// Inverted residual with hard-swish and squeeze-and-excitation.
Graph SqueezeExcite() {
  Builder b;
  const TensorId x = b.BatchNorm(b.Conv(b.Input({1, 3, 9, 9}), 16, 3));
  const TensorId gate = b.Op("clip", {b.Op("add", {x, b.Scalar(3)})}, {{"low", 0.0}, {"high", 6.0}});
  TensorId y = b.Op("mul", {b.Op("mul", {x, gate}), b.Scalar(1.0 / 6)});
  y = b.Op("relu", {b.BatchNorm(b.Depthwise(y, 5))});
  TensorId s = b.Op("relu", {b.Op("add", {b.Conv(b.Mean(y, {2, 3}), 6, 1), b.Constant({1, 6, 1, 1})})});
  s = b.Op("hard_sigmoid", {b.Op("add", {b.Conv(s, 16, 1), b.Constant({1, 16, 1, 1})})},
           {{"alpha", 0.2}, {"beta", 0.5}});
  return b.Finish({b.Op("add", {b.BatchNorm(b.Conv(b.Op("mul", {y, s}), 16, 1)), x})});
}

// Two branches joined, pooled, one of 13 channels, which no vector divides.
Graph ConcatPool() {
  Builder b;
  const TensorId x = b.Op("relu", {b.Conv(b.Input({1, 16, 8, 8}), 16, 1)});
  const TensorId joined = b.Op("concat", {b.Conv(x, 16, 1), b.Conv(x, 13, 3)}, {{"axis", int64_t{1}}});
  AttrMap pool = Builder::Window(1, 2);
  pool["kernel"] = Dims({3, 3});
  return b.Finish({b.Op("max_pool2d", {b.Op("relu", {joined})}, pool), x});
}

// A dense block as frameworks export it: each layer reads all before it, listed anew each time. Then channels are split,
// one part passes by.
Graph DenseBlock() {
  Builder b;
  const AttrMap channels = {{"axis", int64_t{1}}};
  std::vector<TensorId> features = {b.Op("relu", {b.Conv(b.Input({1, 3, 6, 6}), 32, 3)})};
  for (int layer = 0; layer < 3; ++layer) {
    const TensorId joined = features.size() == 1 ? features[0] : b.Op("concat", features, channels);
    features.push_back(b.Conv(b.Op("relu", {b.BatchNorm(joined)}), 16, 3));
  }
  const TensorId all = b.Op("relu", {b.Conv(b.Op("concat", features, channels), 32, 1)});
  const TensorId left = b.Channels(all, 0, 16), right = b.Op("relu", {b.Conv(b.Channels(all, 16, 32), 16, 3)});
  return b.Finish({b.Mean(b.Op("concat", {left, right}, channels), {2, 3})});
}

// Channels that fill one and a half blocks of 16.
Graph Narrow() {
  Builder b;
  TensorId x = b.Op("relu", {b.Conv(b.Input({1, 3, 6, 6}), 24, 3)});
  x = b.Op("relu", {b.Op("add", {b.Conv(b.Depthwise(x, 3), 24, 1), x})});
  return b.Finish({b.Op("relu", {b.Conv(x, 32, 3)})});
}

// Halves of a tensor and what is made of the second, joined: cross-stage partial networks.
Graph CrossStage() {
  Builder b;
  const TensorId x = b.Op("relu", {b.Conv(b.Input({1, 3, 4, 4}), 32, 3)});
  const TensorId right = b.Channels(x, 16, 32);
  const TensorId joined =
      b.Op("concat", {b.Channels(x, 0, 16), right, b.Op("relu", {b.Conv(right, 16, 3)})}, {{"axis", int64_t{-3}}});
  return b.Finish({b.Mean(b.Op("relu", {b.Conv(joined, 16, 1)}), {2, 3})});
}

// A transition that halves the image after its convolution, and a branch that pools many channels before it.
Graph PooledConvolutions() {
  Builder b;
  const auto pool = [&](TensorId x, int64_t kernel, int64_t stride) {
    AttrMap attrs = Builder::Window(stride == 1 ? kernel / 2 : 0, stride);
    attrs["kernel"] = Dims({kernel, kernel});
    attrs["count_include_pad"] = int64_t{1};
    return b.Op("average_pool2d", {x}, attrs);
  };
  const TensorId x = b.Op("relu", {b.Conv(b.Input({1, 3, 8, 8}), 32, 3)});
  const TensorId small = b.Op("relu", {pool(b.BatchNorm(b.Conv(x, 16, 1)), 2, 2)});
  return b.Finish({b.Op("relu", {b.BatchNorm(b.Conv(pool(small, 3, 1), 8, 1))})});
}

// A pyramid of dilated windows, of which one reaches its image by the middle only, and the last heads of a
// detector.
Graph PaddedTaps() {
  Builder b;
  const auto dilated = [&](TensorId x, int64_t channels, int64_t kernel, int64_t dilation,
                           std::vector<int64_t> pads) {
    AttrMap attrs = Builder::Window(0, 1);
    attrs["dilations"] = Dims({dilation, dilation});
    attrs["pads"] = Dims(pads);
    return b.Op("conv2d", {x, b.Constant({channels, b.Channels(x), kernel, kernel}, -0.4, 0.4)}, attrs);
  };
  const TensorId x = b.Op("relu", {b.Conv(b.Input({1, 3, 7, 6}), 16, 3)});
  const TensorId some = dilated(x, 16, 3, 4, {4, 4, 4, 4}), none = dilated(x, 16, 3, 9, {9, 9, 9, 9});
  const TensorId uneven = dilated(x, 16, 5, 2, {8, 6, 0, 2});
  const TensorId all = b.Op("relu", {b.Op("add", {b.Op("add", {some, b.Op("relu", {none})}), uneven})});
  const TensorId pixel = b.Op("relu", {b.Conv(b.Mean(all, {2, 3}), 8, 3, 2)});
  return b.Finish({b.Op("relu", {b.Depthwise(pixel, 5)}), b.Op("identity", {all})});
}

// Images padded before their convolutions: with zeros, and once by their edges.
Graph PaddedBefore() {
  Builder b;
  const auto pad = [&](TensorId x, const char* mode) {
    return b.Op("pad", {x}, {{"pads", Dims({0, 0, 0, 1, 0, 0, 1, 2})}, {"mode", std::string(mode)}});
  };
  const TensorId x = b.Op("relu", {b.Conv(pad(b.Input({1, 3, 6, 6}), "constant"), 8, 3, 2)});
  const TensorId edges = b.Conv(pad(x, "edge"), 8, 3);
  return b.Finish({b.Op("add", {edges, b.Depthwise(pad(x, "constant"), 3)})});
}

// Branches of one image that are summed: windows of two sizes, its normalisation, and the image itself, in
// steps of one and two, dense and depthwise, and one of another image.
Graph SummedBranches() {
  Builder b;
  const auto add = [&](TensorId a, TensorId c) { return b.Op("add", {a, c}); };
  const TensorId x = b.Op("relu", {b.Conv(b.Input({1, 3, 7, 6}), 8, 3)});
  const TensorId y =
      b.Op("relu", {add(add(b.BatchNorm(b.Conv(x, 8, 3)), b.BatchNorm(b.Conv(x, 8, 1))), b.BatchNorm(x))});
  const TensorId z = b.Op("relu", {add(b.BatchNorm(b.Conv(y, 8, 1, 2)), b.BatchNorm(b.Conv(y, 8, 5, 2)))});
  const TensorId w = add(add(b.BatchNorm(b.Depthwise(z, 3)), z), b.BatchNorm(b.Depthwise(z, 5)));
  return b.Finish({b.Op("relu", {add(b.Conv(w, 8, 3), b.Conv(z, 8, 1))})});
}

// Sums in which an image, its normalisation and a convolution of one pixel are broadcast to the others'
// pixels.
Graph BroadcastBranches() {
  Builder b;
  const auto add = [&](TensorId a, TensorId c) { return b.Op("add", {a, c}); };
  const TensorId x = b.Op("relu", {b.Conv(b.Input({1, 3, 1, 1}), 8, 1)});
  const TensorId wide = b.Op("conv2d", {x, b.Constant({8, 8, 3, 3}, -0.4, 0.4)}, Builder::Window(2, 1));
  const TensorId y = b.Op("relu", {add(add(wide, x), add(b.BatchNorm(x), b.Conv(x, 8, 1)))});
  return b.Finish({b.Op("relu", {add(b.Conv(y, 8, 3), y)})});
}

// Windows side by side, normalised and activated together; once more, and read in two ways behind that.
Graph MixedWindows() {
  Builder b;
  const auto normalised = [&](std::vector<TensorId> parts) {
    return b.BatchNorm(b.Op("concat", std::move(parts), {{"axis", int64_t{1}}}));
  };
  const TensorId x = b.Op("relu", {b.Conv(b.Input({1, 3, 6, 6}), 8, 3)});
  const TensorId y = normalised({b.Conv(x, 5, 1), b.Conv(x, 8, 3), b.Depthwise(x, 5)});
  const TensorId swish = b.Op("mul", {b.Op("sigmoid", {y}), y});
  const TensorId z = normalised({b.Conv(swish, 8, 1), b.Conv(swish, 8, 3)});
  return b.Finish({b.Op("mul", {b.Op("relu", {z}), b.Op("sigmoid", {b.Mean(z, {2, 3})})})});
}

// A segmentation head: the image doubled twice by windows side by side.
Graph TiledUpsample() {
  Builder b;
  const AttrMap twice = {{"strides", Dims({2, 2})}};
  const TensorId x = b.Op("relu", {b.Conv(b.Input({1, 3, 4, 4}), 16, 3)});
  const TensorId up = b.Op("relu", {b.BatchNorm(b.Op("conv_transpose2d", {x, b.Constant({16, 15, 2, 2})}, twice))});
  return b.Finish({b.Op("sigmoid", {b.Op("conv_transpose2d", {up, b.Constant({15, 1, 2, 2})}, twice)})});
}

// Two units whose right half is computed and whose channels are shuffled after; halves end inside of a block.
Graph ShuffleUnits() {
  Builder b;
  TensorId x = b.Op("relu", {b.Conv(b.Input({1, 3, 4, 4}), 28, 3)});
  for (int unit = 0; unit < 2; ++unit) {
    const TensorId left = b.Channels(x, 0, 14), right = b.Op("relu", {b.Conv(b.Channels(x, 14, 28), 14, 1)});
    x = b.Reshape(b.Op("concat", {left, right}, {{"axis", int64_t{1}}}), {1, 2, 14, 4, 4});
    x = b.Reshape(b.Transpose(x, {0, 2, 1, 3, 4}), {1, 28, 4, 4});
  }
  return b.Finish({b.Op("relu", {b.Conv(x, 16, 1)})});
}

// Layer normalisation written out, then attention of two heads, then a feed-forward part with erf.
Graph Transformer() {
  Builder b;
  const TensorId x = b.Input({1, 5, 16});
  const TensorId centred = b.Op("sub", {x, b.Mean(x, {2})});
  const TensorId variance = b.Mean(b.Op("mul", {centred, centred}), {2});
  TensorId y = b.Op("div", {centred, b.Op("sqrt", {b.Op("add", {variance, b.Scalar(1e-5)})})});
  y = b.Op("add", {b.Op("mul", {y, b.Constant({16})}), b.Constant({16})});
  const auto heads = [&](const std::vector<int64_t>& perm) {
    const TensorId dense =
        b.Op("add", {b.Op("matmul", {y, b.Constant({16, 16}, -0.3, 0.3)}), b.Constant({16})});
    return b.Transpose(b.Reshape(dense, {1, 5, 2, 8}), perm);
  };
  const TensorId q = heads({0, 2, 1, 3}), k = b.Transpose(heads({0, 2, 1, 3}), {0, 1, 3, 2}),
                 v = heads({0, 2, 1, 3});
  const TensorId scores = b.Op("mul", {b.Op("matmul", {q, k}), b.Scalar(0.35)});
  const TensorId mixed = b.Op("matmul", {b.Op("softmax", {scores}, {{"axis", int64_t{3}}}), v});
  y = b.Op("add", {b.Reshape(b.Transpose(mixed, {0, 2, 1, 3}), {1, 5, 16}), x});
  const TensorId inner = b.Op("matmul", {y, b.Constant({16, 32}, -0.3, 0.3)});
  const TensorId erf = b.Op("erf", {b.Op("mul", {inner, b.Scalar(0.70710678)})});
  const TensorId gelu = b.Op("mul", {b.Op("mul", {inner, b.Op("add", {erf, b.Scalar(1)})}), b.Scalar(0.5)});
  return b.Finish({b.Op("add", {b.Op("matmul", {gelu, b.Constant({32, 16}, -0.3, 0.3)}), y})});
}

// A recogniser's tail: image, flattened, transposed, classified; and transposes that cancel.
Graph FlattenTranspose() {
  Builder b;
  const TensorId x = b.Op("relu", {b.Conv(b.Input({1, 3, 1, 6}), 16, 1)});
  TensorId rows = b.Transpose(b.Reshape(x, {1, 16, 6}), {0, 2, 1});
  rows = b.Transpose(b.Transpose(rows, {1, 0, 2}), {1, 0, 2});
  const TensorId logits = b.Op("matmul", {rows, b.Constant({16, 11})});
  return b.Finish({b.Op("softmax", {logits}, {{"axis", int64_t{2}}})});
}

// Nothing but elementwise operators, with a diamond and a broadcast.
Graph Elementwise() {
  Builder b;
  const TensorId x = b.Input({2, 3, 5}), y = b.Input({5}, "y");
  const TensorId s = b.Op("sigmoid", {b.Op("add", {x, y})});
  return b.Finish({b.Op("mul", {b.Op("mul", {s, b.Scalar(1)}), b.Op("sub", {x, s})})});
}

// A transposed convolution whose factor and term go into weights and bias; resized; a second output in the
// middle.
Graph Upsample() {
  Builder b;
  const TensorId x = b.Conv(b.Input({1, 8, 4, 4}), 8, 3);
  TensorId y = b.Op("conv_transpose2d", {x, b.Constant({8, 4, 2, 2})},
                    {{"strides", Dims({2, 2})},
                     {"pads", Dims({0, 0, 0, 0})},
                     {"dilations", Dims({1, 1})},
                     {"group", int64_t{2}},
                     {"output_padding", Dims({0, 0})}});
  y = b.BatchNorm(b.Op("add", {y, b.Constant({1, 8, 1, 1})}));
  const TensorId up = b.Op("resize2d", {y},
                           {{"size", Dims({16, 16})},
                            {"mode", "nearest"},
                            {"coordinates", "asymmetric"},
                            {"scales", std::vector<double>{2, 2}},
                            {"rounding", "floor"}});
  return b.Finish({b.Op("sigmoid", {b.Conv(up, 1, 1)}), y});
}

}  // namespace

std::vector<SmallNetwork> SmallNetworks() {
  std::vector<SmallNetwork> networks;
  networks.push_back({"conv_bn_relu", ConvBnRelu()});
  networks.push_back({"residual", Residual()});
  networks.push_back({"squeeze_excite", SqueezeExcite()});
  networks.push_back({"concat_pool", ConcatPool()});
  networks.push_back({"dense_block", DenseBlock()});
  networks.push_back({"narrow", Narrow()});
  networks.push_back({"cross_stage", CrossStage()});
  networks.push_back({"pooled_convolutions", PooledConvolutions()});
  networks.push_back({"padded_taps", PaddedTaps()});
  networks.push_back({"padded_before", PaddedBefore()});
  networks.push_back({"summed_branches", SummedBranches()});
  networks.push_back({"broadcast_branches", BroadcastBranches()});
  networks.push_back({"mixed_windows", MixedWindows()});
  networks.push_back({"tiled_upsample", TiledUpsample()});
  networks.push_back({"shuffle_units", ShuffleUnits()});
  networks.push_back({"transformer", Transformer()});
  networks.push_back({"flatten_transpose", FlattenTranspose()});
  networks.push_back({"elementwise", Elementwise()});
  networks.push_back({"upsample", Upsample()});
  return networks;
}

Graph FindSmallNetwork(const std::string& name) {
  for (SmallNetwork& network : SmallNetworks()) {
    if (network.name == name) return std::move(network.graph);
  }
  return {};
}

std::vector<HostTensor> MakeInputs(const Graph& graph) {
  std::vector<HostTensor> inputs;
  for (const TensorId id : graph.inputs()) {
    HostTensor host =
        HostTensor::Zeros(graph.tensor(id).type.dtype, *ConstantShape(graph.tensor(id).type.shape));
    for (int64_t i = 0; i < host.Elements(); ++i) host.Set(i, std::sin(static_cast<double>(i) * 1.7 + 0.3));
    inputs.push_back(std::move(host));
  }
  return inputs;
}

absl::StatusOr<std::vector<HostTensor>> EvaluateCut(const CutGraph& cut,
                                                    const std::vector<HostTensor>& inputs) {
  std::map<TensorId, HostTensor> values;
  for (size_t i = 0; i < inputs.size(); ++i) values[cut.graph.inputs()[i]] = inputs[i];
  // What no call has computed is a constant or a view, which its node computes.
  const std::function<HostTensor(TensorId)> value = [&](TensorId id) {
    if (values.contains(id)) return values.at(id);
    const Tensor& tensor = cut.graph.tensor(id);
    if (tensor.constant != nullptr) return HostTensorOf(*tensor.constant);
    const Node& node = cut.graph.node(tensor.producer);
    std::vector<HostTensor> operands;
    for (const TensorId operand : node.inputs) operands.push_back(value(operand));
    return EvaluateNode(node.op->name, node.attrs, operands).value().front();
  };
  for (const TaskCall& call : cut.calls) {
    std::vector<HostTensor> operands;
    for (const TensorId id : call.inputs) operands.push_back(value(id));
    for (const TensorId id : call.constants) operands.push_back(value(id));
    absl::StatusOr<TensorProgram> program = LowerTask(cut.tasks[call.task]);
    if (!program.ok()) return program.status();
    absl::StatusOr<std::vector<HostTensor>> results = Interpret(*program, operands);
    if (!results.ok()) return results.status();
    for (size_t i = 0; i < results->size(); ++i) values[call.outputs[i]] = std::move((*results)[i]);
  }
  std::vector<HostTensor> outputs;
  for (const TensorId id : cut.graph.outputs()) outputs.push_back(value(id));
  return outputs;
}

double Difference(const std::vector<HostTensor>& a, const std::vector<HostTensor>& b) {
  if (a.size() != b.size()) return INFINITY;
  double worst = 0, largest = 1e-30;
  for (size_t k = 0; k < a.size(); ++k) {
    if (a[k].dims != b[k].dims || a[k].dtype != b[k].dtype) return INFINITY;
    for (int64_t i = 0; i < a[k].Elements(); ++i) {
      worst = std::max(worst, std::abs(a[k].Get(i) - b[k].Get(i)));
      largest = std::max(largest, std::abs(b[k].Get(i)));
    }
  }
  return worst / largest;
}

}  // namespace hone
