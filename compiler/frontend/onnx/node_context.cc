#include "compiler/frontend/onnx/node_context.h"

#include <cstring>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "compiler/frontend/onnx/onnx_tensor.h"
#include "compiler/task/evaluate.h"

namespace hone {
namespace {

// The interpreter is slow: folding is for shape arithmetic, scales and biases. What is larger stays in the
// graph.
constexpr int64_t kMaxFoldedElements = int64_t{1} << 18;
constexpr int64_t kMaxFoldedFlops = int64_t{1} << 22;
constexpr int64_t kMaxIntegers = 1 << 16;

int64_t ElementsOf(const ConstantData& constant) {
  return std::accumulate(constant.dims.begin(), constant.dims.end(), int64_t{1}, std::multiplies<>());
}

}  // namespace

std::vector<DimExpr> ToDims(const std::vector<int64_t>& values) { return {values.begin(), values.end()}; }

void NodeContext::Fail(const std::string& what) {
  if (!ok()) return;
  if (!scope_.graph.symbols().empty()) {  // what cannot be proven of symbols may well hold of numbers
    return Unsupported("", what, "bind the open dimensions: --shape INPUT=1,3,224,224");
  }
  status_ = absl::InvalidArgumentError(absl::StrCat("node '", name_, "' (", node_.op_type(), "): ", what));
}

void NodeContext::Unsupported(const std::string& attribute, const std::string& reason,
                              const std::string& remedy) {
  if (!ok()) return;
  scope_.unsupported.push_back({name_, node_.op_type(), attribute, scope_.opset, reason, remedy});
  status_ = absl::UnimplementedError(reason);
}

const onnx::AttributeProto* NodeContext::Attribute(std::string_view name) const {
  for (const onnx::AttributeProto& attribute : node_.attribute()) {
    if (attribute.name() == name) return &attribute;
  }
  return nullptr;
}

int64_t NodeContext::Int(std::string_view name, int64_t fallback) {
  const onnx::AttributeProto* attribute = Attribute(name);
  if (attribute == nullptr) return fallback;
  if (attribute->type() != onnx::AttributeProto::INT)
    Fail(absl::StrCat("attribute '", std::string(name), "' is no integer"));
  return attribute->i();
}

double NodeContext::Float(std::string_view name, double fallback) {
  const onnx::AttributeProto* attribute = Attribute(name);
  if (attribute == nullptr) return fallback;
  if (attribute->type() != onnx::AttributeProto::FLOAT)
    Fail(absl::StrCat("attribute '", std::string(name), "' is no float"));
  return static_cast<double>(attribute->f());
}

std::string NodeContext::String(std::string_view name, std::string_view fallback) {
  const onnx::AttributeProto* attribute = Attribute(name);
  if (attribute == nullptr) return std::string(fallback);
  if (attribute->type() != onnx::AttributeProto::STRING)
    Fail(absl::StrCat("attribute '", std::string(name), "' is no string"));
  return attribute->s();
}

std::optional<std::vector<int64_t>> NodeContext::Ints(std::string_view name) {
  const onnx::AttributeProto* attribute = Attribute(name);
  if (attribute == nullptr) return std::nullopt;
  if (attribute->type() != onnx::AttributeProto::INTS) {
    Fail(absl::StrCat("attribute '", std::string(name), "' is no list of integers"));
  }
  return std::vector<int64_t>(attribute->ints().begin(), attribute->ints().end());
}

std::optional<std::vector<double>> NodeContext::Floats(std::string_view name) {
  const onnx::AttributeProto* attribute = Attribute(name);
  if (attribute == nullptr) return std::nullopt;
  return std::vector<double>(attribute->floats().begin(), attribute->floats().end());
}

const OnnxValue& NodeContext::Value(int input) const {
  static const OnnxValue kNothing;
  if (!Has(input)) return kNothing;
  const auto value = scope_.values.find(node_.input(input));
  return value == scope_.values.end() ? kNothing : value->second;
}

TensorId NodeContext::Input(int input) {
  if (!ok()) return {};
  if (!Has(input)) {
    Fail(absl::StrCat("input ", input, " is missing"));
    return {};
  }
  const OnnxValue& value = Value(input);
  if (value.tensor.index < 0) {
    Unsupported(absl::StrCat("input ", input, " '", node_.input(input), "'"),
                "its value depends on dimensions that are not bound", "bind them: --shape INPUT=1,3,224,224");
  }
  return value.tensor;
}

bool NodeContext::IsConstant(TensorId id) const {
  return id.index >= 0 && scope_.graph.tensor(id).constant != nullptr;
}

std::vector<DimExpr> NodeContext::Dims(int input, std::string_view label) {
  if (!ok()) return {};
  const OnnxValue& value = Value(input);
  if (value.integers) return *value.integers;
  if (IsConstant(value.tensor)) {
    const ConstantData& constant = *scope_.graph.tensor(value.tensor).constant;
    if (IsFloat(constant.dtype)) {
      Fail(absl::StrCat("input '", std::string(label), "' is not of integers"));
      return {};
    }
    if (ElementsOf(constant) > kMaxIntegers) {
      Fail(absl::StrCat("input '", std::string(label), "' has ", ElementsOf(constant), " elements"));
      return {};
    }
    const HostTensor host = HostTensorOf(constant);
    std::vector<DimExpr> dims;
    for (int64_t i = 0; i < ElementsOf(constant); ++i) dims.emplace_back(host.GetInteger(i));
    return dims;
  }
  Unsupported(std::string(label), absl::StrCat("'", std::string(label), "' is computed at run time"),
              "export the model with constant shapes (fold constants, or simplify it with onnxsim)");
  return {};
}

std::vector<int64_t> NodeContext::Integers(int input, std::string_view label) {
  std::vector<int64_t> values;
  for (const DimExpr& dim : Dims(input, label)) {
    if (!dim.IsConstant()) {
      Unsupported(
          std::string(label),
          absl::StrCat("'", std::string(label), "' depends on an unbound dimension: ", dim.ToString()),
          "bind it: --shape INPUT=1,3,224,224");
      return {};
    }
    values.push_back(dim.Constant());
  }
  return values;
}

std::optional<std::vector<double>> NodeContext::Reals(TensorId id) const {
  if (!IsConstant(id)) return std::nullopt;
  const ConstantData& constant = *scope_.graph.tensor(id).constant;
  if (ElementsOf(constant) > kMaxFoldedElements) return std::nullopt;
  const HostTensor host = HostTensorOf(constant);
  std::vector<double> values;
  for (int64_t i = 0; i < ElementsOf(constant); ++i) values.push_back(host.Get(i));
  return values;
}

const TensorType& NodeContext::Type(TensorId id) const {
  static const TensorType kNothing;
  return id.index < 0 ? kNothing : scope_.graph.tensor(id).type;
}

bool NodeContext::RequireRank(TensorId id, int low, int high) {
  if (!ok()) return false;
  const int rank = Type(id).rank();
  if (rank >= low && rank <= high) return true;
  Fail(absl::StrCat("an input has rank ", rank, ", expected ", low == high ? "" : absl::StrCat(low, " to "),
                    high));
  return false;
}

int NodeContext::Axis(int64_t axis, int rank) {
  if (axis < -rank || axis >= rank) {
    Fail(absl::StrCat("axis ", axis, " of a tensor of rank ", rank));
    return 0;
  }
  return static_cast<int>(axis < 0 ? axis + rank : axis);
}

int64_t NodeContext::StaticDim(TensorId id, int dim, std::string_view label) {
  if (!ok() || dim >= Type(id).rank()) return 1;
  const DimExpr& size = Shape(id)[dim];
  if (size.IsConstant()) return size.Constant();
  Unsupported(std::string(label), absl::StrCat("dimension ", dim, " is not bound: ", size.ToString()),
              "bind it: --shape INPUT=1,3,224,224");
  return 1;
}

std::optional<TensorId> NodeContext::Fold(std::string_view op, const std::vector<TensorId>& inputs,
                                          const AttrMap& attrs) {
  if (inputs.empty()) return std::nullopt;
  std::vector<TensorType> types;
  for (const TensorId id : inputs) {
    if (!IsConstant(id)) return std::nullopt;
    types.push_back(Type(id));
  }
  const OpRow* row = FindOp(op);
  if (row == nullptr || row->min_inputs > static_cast<int>(inputs.size())) return std::nullopt;
  const absl::StatusOr<std::vector<TensorType>> result = row->infer(attrs, types);
  if (!result.ok() || result->size() != 1) return std::nullopt;
  const std::optional<std::vector<int64_t>> dims = ConstantShape(result->front().shape);
  if (!dims) return std::nullopt;
  const ConstantRef& first = scope_.graph.tensor(inputs[0]).constant;
  if (row->op_class == OpClass::kView || op == "identity") {  // the same bytes
    auto view = std::make_shared<ConstantData>(*first);
    view->dims = *dims;
    return scope_.graph.AddConstant(name_, std::move(view));
  }
  const DimExpr flops = row->flops(attrs, types, *result);
  if (Product(result->front().shape).Constant() > kMaxFoldedElements || !flops.IsConstant() ||
      flops.Constant() > kMaxFoldedFlops) {
    return std::nullopt;
  }
  std::vector<HostTensor> operands;
  for (const TensorId id : inputs) {
    if (ElementsOf(*scope_.graph.tensor(id).constant) > 4 * kMaxFoldedElements) return std::nullopt;
    operands.push_back(HostTensorOf(*scope_.graph.tensor(id).constant));
  }
  absl::StatusOr<std::vector<HostTensor>> values = EvaluateNode(op, attrs, operands);
  if (!values.ok()) return std::nullopt;
  return scope_.graph.AddConstant(name_, ConstantOf(std::move(values->front())));
}

TensorId NodeContext::Emit(std::string_view op, std::vector<TensorId> inputs, AttrMap attrs) {
  if (!ok()) return {};
  for (const TensorId id : inputs) {
    if (id.index < 0) return {};
  }
  if (std::optional<TensorId> folded = Fold(op, inputs, attrs)) return *folded;
  const std::string name = emitted_++ == 0 ? name_ : absl::StrCat(name_, "/", emitted_ - 1);
  absl::StatusOr<std::vector<TensorId>> outputs =
      scope_.graph.AddNode(op, std::move(inputs), std::move(attrs), name);
  if (!outputs.ok()) {
    Fail(std::string(outputs.status().message()));
    return {};
  }
  for (const DimExpr& dim : Shape(outputs->front())) {
    const Interval bounds = dim.Bounds();
    if (bounds.upper < 1 || (dim.IsConstant() && dim.Constant() > kMaxElements)) {
      Fail(absl::StrCat("its result has an impossible shape ", ShapeText(Shape(outputs->front()))));
      return {};
    }
  }
  return outputs->front();
}

TensorId NodeContext::Reshape(TensorId id, std::vector<DimExpr> shape) {
  if (!ok() || id.index < 0 || shape == Shape(id)) return id;
  return Emit("reshape", {id}, {{"shape", std::move(shape)}});
}

TensorId NodeContext::Reals(const std::vector<double>& values, std::vector<int64_t> dims, DType dtype) {
  if (!ok()) return {};
  HostTensor host = HostTensor::Zeros(dtype, std::move(dims));
  for (size_t i = 0; i < values.size(); ++i) host.Set(static_cast<int64_t>(i), values[i]);
  return scope_.graph.AddConstant(absl::StrCat(name_, ".c"), ConstantOf(std::move(host)));
}

TensorId NodeContext::ScalarLike(TensorId like, double value) { return Reals({value}, {}, Type(like).dtype); }

TensorId NodeContext::IntegersConstant(const std::vector<int64_t>& values, std::vector<int64_t> dims,
                                       DType dtype) {
  if (!ok()) return {};
  HostTensor host = HostTensor::Zeros(dtype, std::move(dims));
  for (size_t i = 0; i < values.size(); ++i) host.SetInteger(static_cast<int64_t>(i), values[i]);
  return scope_.graph.AddConstant(absl::StrCat(name_, ".c"), ConstantOf(std::move(host)));
}

TensorId NodeContext::Slice(TensorId id, int axis, DimExpr start, DimExpr end, int64_t step) {
  if (!ok() || id.index < 0) return {};
  const std::vector<DimExpr>& shape = Shape(id);
  if (step == 1 && start == DimExpr(0) && end == shape[axis]) return id;
  std::vector<DimExpr> starts(shape.size(), DimExpr(0)), ends = shape, steps(shape.size(), DimExpr(1));
  starts[axis] = std::move(start);
  ends[axis] = std::move(end);
  steps[axis] = DimExpr(step);
  return Emit("slice", {id}, {{"starts", starts}, {"ends", ends}, {"steps", steps}});
}

void NodeContext::SetOutput(int output, TensorId id) {
  if (!ok() || output >= static_cast<int>(outputs_.size())) return;
  outputs_[output].tensor = id;
}

void NodeContext::SetIntegers(int output, std::vector<DimExpr> values, int rank) {
  if (!ok() || output >= static_cast<int>(outputs_.size())) return;
  std::vector<int64_t> known;
  for (const DimExpr& value : values) {
    if (value.IsConstant()) known.push_back(value.Constant());
  }
  if (known.size() == values.size()) {
    const int64_t count = static_cast<int64_t>(values.size());
    outputs_[output].tensor =
        IntegersConstant(known, rank == 0 ? std::vector<int64_t>{} : std::vector<int64_t>{count});
    return;
  }
  outputs_[output].integers = std::move(values);
  outputs_[output].rank = rank;
}

}  // namespace hone
