#include <cmath>

#include "absl/strings/str_join.h"
#include "compiler/ops/op_rows.h"

namespace hone {
namespace {

ScalarRef Add(ScalarRef a, ScalarRef b) { return Binary(BinaryOp::kAdd, std::move(a), std::move(b)); }
ScalarRef Mul(ScalarRef a, ScalarRef b) { return Binary(BinaryOp::kMul, std::move(a), std::move(b)); }
ScalarRef Clamp(ScalarRef x, double low, double high) {
  const DType dtype = x->dtype;
  ScalarRef above = Binary(BinaryOp::kMax, std::move(x), Literal(low, dtype));
  return Binary(BinaryOp::kMin, std::move(above), Literal(high, dtype));
}

// The value of an operator at a point, given its operands there.
using Body = ScalarRef (*)(const AttrMap& attrs, std::span<const ScalarRef> x);

template <UnaryOp op>
ScalarRef UnaryBody(const AttrMap&, std::span<const ScalarRef> x) {
  return Unary(op, x[0]);
}
template <BinaryOp op>
ScalarRef BinaryBody(const AttrMap&, std::span<const ScalarRef> x) {
  return Binary(op, x[0], x[1]);
}
ScalarRef Relu(const AttrMap&, std::span<const ScalarRef> x) {
  return Binary(BinaryOp::kMax, x[0], Literal(0, x[0]->dtype));
}
ScalarRef LeakyRelu(const AttrMap& attrs, std::span<const ScalarRef> x) {
  ScalarRef scaled = Mul(x[0], Literal(FloatAttr(attrs, "alpha", 0.01), x[0]->dtype));
  return Select(Binary(BinaryOp::kLess, x[0], Literal(0, x[0]->dtype)), std::move(scaled), x[0]);
}
ScalarRef Prelu(const AttrMap&, std::span<const ScalarRef> x) {
  return Select(Binary(BinaryOp::kLess, x[0], Literal(0, x[0]->dtype)), Mul(x[0], x[1]), x[0]);
}
ScalarRef Clip(const AttrMap& attrs, std::span<const ScalarRef> x) {
  const double infinity = std::numeric_limits<double>::infinity();
  const double low = FloatAttr(attrs, "low", -infinity), high = FloatAttr(attrs, "high", infinity);
  ScalarRef value = x[0];
  if (std::isfinite(low)) value = Binary(BinaryOp::kMax, value, Literal(low, value->dtype));
  if (std::isfinite(high)) value = Binary(BinaryOp::kMin, value, Literal(high, value->dtype));
  return value;
}
ScalarRef HardSigmoid(const AttrMap& attrs, std::span<const ScalarRef> x) {
  const DType dtype = x[0]->dtype;
  return Clamp(Add(Mul(x[0], Literal(FloatAttr(attrs, "alpha", 0.2), dtype)),
                   Literal(FloatAttr(attrs, "beta", 0.5), dtype)),
               0, 1);
}
ScalarRef HardSwish(const AttrMap&, std::span<const ScalarRef> x) {
  const DType dtype = x[0]->dtype;
  return Mul(x[0], Clamp(Add(Mul(x[0], Literal(1.0 / 6, dtype)), Literal(0.5, dtype)), 0, 1));
}
ScalarRef Gelu(const AttrMap& attrs, std::span<const ScalarRef> x) {
  const DType dtype = x[0]->dtype;
  ScalarRef inner;
  if (StringAttr(attrs, "approximate", "none") == "tanh") {
    ScalarRef cube = Mul(Mul(x[0], x[0]), x[0]);
    ScalarRef sum = Add(x[0], Mul(cube, Literal(0.044715, dtype)));
    inner = Unary(UnaryOp::kTanh, Mul(sum, Literal(std::sqrt(2 / M_PI), dtype)));
  } else {
    inner = Unary(UnaryOp::kErf, Mul(x[0], Literal(M_SQRT1_2, dtype)));
  }
  return Mul(Mul(x[0], Literal(0.5, dtype)), Add(inner, Literal(1, dtype)));
}
ScalarRef Silu(const AttrMap&, std::span<const ScalarRef> x) {
  return Mul(x[0], Unary(UnaryOp::kSigmoid, x[0]));
}
ScalarRef Elu(const AttrMap& attrs, std::span<const ScalarRef> x) {
  const DType dtype = x[0]->dtype;
  ScalarRef below =
      Mul(Add(Unary(UnaryOp::kExp, x[0]), Literal(-1, dtype)), Literal(FloatAttr(attrs, "alpha", 1), dtype));
  return Select(Binary(BinaryOp::kLess, x[0], Literal(0, dtype)), std::move(below), x[0]);
}
// max(x, 0) + log(1 + exp(-|x|)) does not overflow.
ScalarRef Softplus(const AttrMap&, std::span<const ScalarRef> x) {
  const DType dtype = x[0]->dtype;
  ScalarRef e = Unary(UnaryOp::kExp, Unary(UnaryOp::kNeg, Unary(UnaryOp::kAbs, x[0])));
  return Add(Binary(BinaryOp::kMax, x[0], Literal(0, dtype)),
             Unary(UnaryOp::kLog, Add(e, Literal(1, dtype))));
}
ScalarRef IdentityBody(const AttrMap&, std::span<const ScalarRef> x) { return x[0]; }
ScalarRef SelectBody(const AttrMap&, std::span<const ScalarRef> x) { return Select(x[0], x[1], x[2]); }
ScalarRef CastBody(const AttrMap& attrs, std::span<const ScalarRef> x) {
  return Cast(x[0], DTypeAttr(attrs, "to"));
}

using Kind = AttrSpec::Kind;
using Elements = OpSignature::Elements;

constexpr AttrSpec kAlpha[] = {{"alpha", Kind::kReal}};
constexpr AttrSpec kAlphaBeta[] = {{"alpha", Kind::kReal}, {"beta", Kind::kReal}};
constexpr AttrSpec kLowHigh[] = {{"low", Kind::kReal}, {"high", Kind::kReal}};
constexpr AttrSpec kApproximate[] = {{"approximate", Kind::kText, false, "none|tanh"}};
constexpr AttrSpec kTo[] = {{"to", Kind::kDType, true}};

struct ElementwiseOp {
  std::string_view name;
  int inputs;
  Elements elements;
  Body body;
  std::string_view summary;
  std::span<const AttrSpec> attributes = {};

  bool selects() const { return inputs == 3; }
  OpSignature signature() const { return {inputs, inputs, attributes, elements, !selects()}; }
};

// clang-format off
constexpr ElementwiseOp kOps[] = {
    {"neg", 1, Elements::kNumeric, UnaryBody<UnaryOp::kNeg>, "-x"},
    {"abs", 1, Elements::kNumeric, UnaryBody<UnaryOp::kAbs>, "|x|"},
    {"exp", 1, Elements::kFloat, UnaryBody<UnaryOp::kExp>, "e^x"},
    {"log", 1, Elements::kFloat, UnaryBody<UnaryOp::kLog>, "natural logarithm"},
    {"sqrt", 1, Elements::kFloat, UnaryBody<UnaryOp::kSqrt>, "square root"},
    {"rsqrt", 1, Elements::kFloat, UnaryBody<UnaryOp::kRsqrt>, "1 / sqrt(x)"},
    {"reciprocal", 1, Elements::kFloat, UnaryBody<UnaryOp::kReciprocal>, "1 / x"},
    {"tanh", 1, Elements::kFloat, UnaryBody<UnaryOp::kTanh>, "hyperbolic tangent"},
    {"erf", 1, Elements::kFloat, UnaryBody<UnaryOp::kErf>, "error function"},
    {"sigmoid", 1, Elements::kFloat, UnaryBody<UnaryOp::kSigmoid>, "1 / (1 + e^-x)"},
    {"sin", 1, Elements::kFloat, UnaryBody<UnaryOp::kSin>, "sine"},
    {"cos", 1, Elements::kFloat, UnaryBody<UnaryOp::kCos>, "cosine"},
    {"floor", 1, Elements::kFloat, UnaryBody<UnaryOp::kFloor>, "rounded down"},
    {"ceil", 1, Elements::kFloat, UnaryBody<UnaryOp::kCeil>, "rounded up"},
    {"round", 1, Elements::kFloat, UnaryBody<UnaryOp::kRound>, "rounded, half to even"},
    {"sign", 1, Elements::kNumeric, UnaryBody<UnaryOp::kSign>, "-1, 0 or 1"},
    {"not", 1, Elements::kBool, UnaryBody<UnaryOp::kNot>, "logical negation of a bool"},
    {"isnan", 1, Elements::kFloat, UnaryBody<UnaryOp::kIsNan>, "whether x is NaN"},
    {"isinf", 1, Elements::kFloat, UnaryBody<UnaryOp::kIsInf>, "whether x is infinite"},
    {"identity", 1, Elements::kAny, IdentityBody, "x; the layouts of input and output may differ"},
    {"cast", 1, Elements::kAny, CastBody, "x as another type; to", kTo},
    {"relu", 1, Elements::kNumeric, Relu, "max(x, 0)"},
    {"leaky_relu", 1, Elements::kFloat, LeakyRelu, "x < 0 ? alpha x : x; alpha", kAlpha},
    {"clip", 1, Elements::kNumeric, Clip, "min(max(x, low), high); low, high", kLowHigh},
    {"hard_sigmoid", 1, Elements::kFloat, HardSigmoid, "clip(alpha x + beta, 0, 1); alpha, beta", kAlphaBeta},
    {"hard_swish", 1, Elements::kFloat, HardSwish, "x clip(x / 6 + 1/2, 0, 1)"},
    {"gelu", 1, Elements::kFloat, Gelu, "x (1 + erf(x / sqrt(2))) / 2; approximate = none or tanh", kApproximate},
    {"silu", 1, Elements::kFloat, Silu, "x sigmoid(x)"},
    {"elu", 1, Elements::kFloat, Elu, "x < 0 ? alpha (e^x - 1) : x; alpha", kAlpha},
    {"softplus", 1, Elements::kFloat, Softplus, "log(1 + e^x)"},
    {"add", 2, Elements::kNumeric, BinaryBody<BinaryOp::kAdd>, "a + b"},
    {"sub", 2, Elements::kNumeric, BinaryBody<BinaryOp::kSub>, "a - b"},
    {"mul", 2, Elements::kNumeric, BinaryBody<BinaryOp::kMul>, "a b"},
    {"div", 2, Elements::kNumeric, BinaryBody<BinaryOp::kDiv>, "a / b; integers truncate"},
    {"mod", 2, Elements::kNumeric, BinaryBody<BinaryOp::kMod>, "a mod b, with the sign of b"},
    {"pow", 2, Elements::kNumeric, BinaryBody<BinaryOp::kPow>, "a^b"},
    {"min", 2, Elements::kNumeric, BinaryBody<BinaryOp::kMin>, "the smaller"},
    {"max", 2, Elements::kNumeric, BinaryBody<BinaryOp::kMax>, "the larger"},
    {"less", 2, Elements::kNumeric, BinaryBody<BinaryOp::kLess>, "a < b"},
    {"less_equal", 2, Elements::kNumeric, BinaryBody<BinaryOp::kLessEqual>, "a <= b"},
    {"equal", 2, Elements::kAny, BinaryBody<BinaryOp::kEqual>, "a == b"},
    {"and", 2, Elements::kBool, BinaryBody<BinaryOp::kAnd>, "logical and of bools"},
    {"or", 2, Elements::kBool, BinaryBody<BinaryOp::kOr>, "logical or of bools"},
    {"xor", 2, Elements::kBool, BinaryBody<BinaryOp::kXor>, "exclusive or of bools"},
    {"prelu", 2, Elements::kNumeric, Prelu, "x < 0 ? slope x : x"},
    {"select", 3, Elements::kBool, SelectBody, "condition ? a : b"},
};
// clang-format on

// One pair of functions per row of kOps: the table's function pointers carry no data.
template <size_t i>
InferResult Infer(const AttrMap& attrs, Types inputs) {
  if (absl::Status status = CheckOperands(kOps[i].signature(), attrs, inputs); !status.ok()) return status;
  std::vector<DimExpr> shape = inputs[0].shape;
  std::vector<ScalarRef> operands;
  for (const TensorType& input : inputs) {
    absl::StatusOr<std::vector<DimExpr>> both = BroadcastShapes(shape, input.shape);
    if (!both.ok()) return both.status();
    shape = *std::move(both);
    operands.push_back(Parameter(static_cast<int>(operands.size()), input.dtype));
  }
  if (kOps[i].selects() && inputs[1].dtype != inputs[2].dtype) return OpError("the two sides differ in type");
  return std::vector<TensorType>{{kOps[i].body(attrs, operands)->dtype, shape}};
}

template <size_t i>
absl::Status Lower(const OpLowering& context) {
  const std::vector<Axis> axes = NumberedAxes("i", context.output_types[0].shape);
  std::vector<ScalarRef> operands;
  for (size_t k = 0; k < context.inputs.size(); ++k) {
    operands.push_back(BroadcastLoad(context.inputs[k], context.input_types[k], axes));
  }
  AddStage(context, context.outputs[0], std::string(kOps[i].name), axes, {}, Combine::kNone,
           kOps[i].body(context.attrs, operands));
  return absl::OkStatus();
}

DimExpr Flops(const AttrMap&, Types, Types outputs) { return ElementsOf(outputs[0]); }

template <size_t i>
std::vector<OpCase> Cases() {
  const std::string_view name = kOps[i].name;
  const DType dtype = kOps[i].elements == Elements::kBool && !kOps[i].selects() ? DType::kBool : DType::kF32;
  const bool positive = name == "log" || name == "sqrt" || name == "rsqrt" || name == "pow" ||
                        name == "div" || name == "reciprocal";
  AttrMap attrs;
  if (name == "clip") attrs = {{"low", -0.5}, {"high", 0.75}};
  if (name == "cast") attrs = {{"to", DType::kI32}};
  std::vector<OpCase> cases;
  const std::vector<std::vector<int64_t>> shapes = {{17}, {1, 7, 3, 5}, {2, 16, 3, 7}};
  for (const std::vector<int64_t>& shape : shapes) {
    OpCase sample{.name = absl::StrJoin(shape, "x"), .attrs = attrs};
    sample.low = positive ? 0.1 : -3;
    sample.high = 3;
    for (int k = 0; k < kOps[i].inputs; ++k) {
      TensorType type{dtype, {shape.begin(), shape.end()}};
      if (kOps[i].selects() && k == 0) type.dtype = DType::kBool;
      if (k == 1 && shape.size() == 4) type.shape = {1, shape[1], 1, 1};
      sample.inputs.push_back(type);
    }
    cases.push_back(std::move(sample));
  }
  if (kOps[i].elements == Elements::kNumeric && name != "pow") {
    const bool divides = name == "div" || name == "mod";
    const TensorType integers{DType::kI64, Dims({3, 7})};
    cases.push_back({"integers", std::vector<TensorType>(static_cast<size_t>(kOps[i].inputs), integers),
                     attrs, divides ? 1.0 : -9.0, 9});
  }
  return cases;
}

template <size_t... i>
std::vector<OpRow> Rows(std::index_sequence<i...>) {
  return {OpRow{kOps[i].name, OpClass::kElementwise, kOps[i].inputs, kOps[i].inputs, kOps[i].summary,
                Infer<i>, Lower<i>, Cases<i>, Flops, kOps[i].attributes}...};
}

}  // namespace

std::vector<OpRow> ElementwiseRows() { return Rows(std::make_index_sequence<std::size(kOps)>()); }

}  // namespace hone
