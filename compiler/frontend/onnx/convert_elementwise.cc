#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "compiler/frontend/onnx/onnx_tensor.h"
#include "compiler/frontend/onnx/operator_table.h"

namespace hone {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

template <const char* op>
void Unary(NodeContext& c) {
  c.SetOutput(0, c.Emit(op, {c.Input(0)}));
}

template <const char* op>
void Binary(NodeContext& c) {
  c.SetOutput(0, c.Emit(op, {c.Input(0), c.Input(1)}));
}

template <const char* op>
void Swapped(NodeContext& c) {
  c.SetOutput(0, c.Emit(op, {c.Input(1), c.Input(0)}));
}

template <const char* op>
void Variadic(NodeContext& c) {
  TensorId total = c.Input(0);
  for (int i = 1; i < c.input_count() && c.ok(); ++i) total = c.Emit(op, {total, c.Input(i)});
  c.SetOutput(0, total);
}

#define HONE_OP(symbol, text) constexpr char symbol[] = text
HONE_OP(kNeg, "neg");
HONE_OP(kAbs, "abs");
HONE_OP(kExp, "exp");
HONE_OP(kLog, "log");
HONE_OP(kSqrt, "sqrt");
HONE_OP(kReciprocal, "reciprocal");
HONE_OP(kTanh, "tanh");
HONE_OP(kErf, "erf");
HONE_OP(kSigmoid, "sigmoid");
HONE_OP(kSin, "sin");
HONE_OP(kCos, "cos");
HONE_OP(kFloor, "floor");
HONE_OP(kCeil, "ceil");
HONE_OP(kRound, "round");
HONE_OP(kSign, "sign");
HONE_OP(kNot, "not");
HONE_OP(kIsNan, "isnan");
HONE_OP(kRelu, "relu");
HONE_OP(kHardSwish, "hard_swish");
HONE_OP(kSoftplus, "softplus");
HONE_OP(kAdd, "add");
HONE_OP(kSub, "sub");
HONE_OP(kMul, "mul");
HONE_OP(kAnd, "and");
HONE_OP(kOr, "or");
HONE_OP(kXor, "xor");
HONE_OP(kEqual, "equal");
HONE_OP(kLess, "less");
HONE_OP(kLessEqual, "less_equal");
HONE_OP(kMin, "min");
HONE_OP(kMax, "max");
#undef HONE_OP

void Identity(NodeContext& c) {
  const OnnxValue& value = c.Value(0);
  if (value.integers) return c.SetIntegers(0, *value.integers, value.rank);
  c.SetOutput(0, c.Input(0));
}

// Inference only: the mask output stays unset, so a model that returns it is refused.
void Dropout(NodeContext& c) {
  if (c.Has(2)) {
    const std::optional<std::vector<double>> training = c.Reals(c.Input(2));
    if (!training || training->size() != 1 || training->front() != 0) {
      return c.Unsupported("training_mode", "training", "export in evaluation mode");
    }
  }
  c.SetOutput(0, c.Input(0));
}

void IsInf(NodeContext& c) {
  if (c.Int("detect_negative", 1) == 0 || c.Int("detect_positive", 1) == 0) {
    return c.Unsupported("detect_negative", "only both infinities together",
                         "compare with Less and Greater instead");
  }
  c.SetOutput(0, c.Emit("isinf", {c.Input(0)}));
}

void LeakyRelu(NodeContext& c) {
  c.SetOutput(0, c.Emit("leaky_relu", {c.Input(0)}, {{"alpha", c.Float("alpha", 0.01)}}));
}
void Elu(NodeContext& c) { c.SetOutput(0, c.Emit("elu", {c.Input(0)}, {{"alpha", c.Float("alpha", 1)}})); }

void HardSigmoid(NodeContext& c) {
  c.SetOutput(0, c.Emit("hard_sigmoid", {c.Input(0)},
                        {{"alpha", c.Float("alpha", 0.2)}, {"beta", c.Float("beta", 0.5)}}));
}

void Gelu(NodeContext& c) {
  c.SetOutput(0, c.Emit("gelu", {c.Input(0)}, {{"approximate", c.String("approximate", "none")}}));
}

void Swish(NodeContext& c) {
  const TensorId x = c.Input(0);
  const double alpha = c.Float("alpha", 1);
  if (!c.ok()) return;
  if (alpha == 1) return c.SetOutput(0, c.Emit("silu", {x}));
  const TensorId gate = c.Emit("sigmoid", {c.Emit("mul", {x, c.ScalarLike(x, alpha)})});
  c.SetOutput(0, c.Emit("mul", {x, gate}));
}

void Mish(NodeContext& c) {
  const TensorId x = c.Input(0);
  c.SetOutput(0, c.Emit("mul", {x, c.Emit("tanh", {c.Emit("softplus", {x})})}));
}

void Softsign(NodeContext& c) {
  const TensorId x = c.Input(0);
  c.SetOutput(0, c.Emit("div", {x, c.Emit("add", {c.Emit("abs", {x}), c.ScalarLike(x, 1)})}));
}

void Selu(NodeContext& c) {
  const double alpha = c.Float("alpha", 1.67326319217681884765625),
               gamma = c.Float("gamma", 1.05070102214813232421875);
  const TensorId x = c.Input(0);
  c.SetOutput(0, c.Emit("mul", {c.Emit("elu", {x}, {{"alpha", alpha}}), c.ScalarLike(x, gamma)}));
}

void Clip(NodeContext& c) {
  const TensorId x = c.Input(0);
  double low = -kInfinity, high = kInfinity;
  if (c.opset() < 11) {
    low = c.Float("min", low);
    high = c.Float("max", high);
  } else {
    for (const int input : {1, 2}) {
      if (!c.Has(input)) continue;
      const std::optional<std::vector<double>> value = c.Reals(c.Input(input));
      if (!c.ok()) return;
      if (!value || value->size() != 1) {
        return c.Unsupported(input == 1 ? "min" : "max", "a bound that is computed at run time",
                             "use Min and Max instead");
      }
      (input == 1 ? low : high) = value->front();
    }
  }
  if (!c.ok()) return;
  if (!IsFloat(c.Type(x).dtype)) {
    TensorId result = x;
    if (low > -kInfinity) result = c.Emit("max", {result, c.ScalarLike(x, low)});
    if (high < kInfinity) result = c.Emit("min", {result, c.ScalarLike(x, high)});
    return c.SetOutput(0, result);
  }
  if (low == 0 && high == kInfinity) return c.SetOutput(0, c.Emit("relu", {x}));
  c.SetOutput(0, c.Emit("clip", {x}, {{"low", low}, {"high", high}}));
}

void CastTo(NodeContext& c, DType dtype) {
  const OnnxValue& value = c.Value(0);
  if (value.integers) {
    if (dtype != DType::kI64 && dtype != DType::kI32) {
      return c.Unsupported("to", "a shape over unbound dimensions becomes a number",
                           "bind them: --shape INPUT=1,3,224,224");
    }
    return c.SetIntegers(0, *value.integers, value.rank);
  }
  const TensorId x = c.Input(0);
  c.SetOutput(0, c.Type(x).dtype == dtype ? x : c.Emit("cast", {x}, {{"to", dtype}}));
}

void Cast(NodeContext& c) {
  const int32_t to = static_cast<int32_t>(c.Int("to", 0));
  const std::optional<DType> dtype = DTypeOfOnnx(to);
  if (!dtype) return c.Unsupported("to", "conversion to " + OnnxTypeName(to), "keep the model in float32");
  CastTo(c, *dtype);
}

void CastLike(NodeContext& c) {
  const TensorId like = c.Input(1);
  if (c.ok()) CastTo(c, c.Type(like).dtype);
}

// Multiplying by the reciprocal is several times cheaper than dividing.
void Div(NodeContext& c) {
  const TensorId a = c.Input(0), b = c.Input(1);
  if (c.ok() && c.IsConstant(b) && !c.IsConstant(a) && IsFloat(c.Type(b).dtype)) {
    const std::optional<std::vector<double>> values = c.Reals(b);
    const bool finite =
        values && std::all_of(values->begin(), values->end(), [](double v) { return std::isfinite(1 / v); });
    if (finite) return c.SetOutput(0, c.Emit("mul", {a, c.Emit("reciprocal", {b})}));
  }
  c.SetOutput(0, c.Emit("div", {a, b}));
}

void Mod(NodeContext& c) {
  if (c.Int("fmod", 0) != 0)
    return c.Unsupported("fmod", "the remainder with the sign of the dividend", "use fmod=0");
  c.SetOutput(0, c.Emit("mod", {c.Input(0), c.Input(1)}));
}

void Pow(NodeContext& c) {
  const TensorId x = c.Input(0);
  TensorId y = c.Input(1);
  if (!c.ok()) return;
  const std::optional<std::vector<double>> exponent = c.Reals(y);
  const bool scalar = exponent && exponent->size() == 1 && c.Type(y).rank() <= c.Type(x).rank();
  if (scalar && exponent->front() == 1) return c.SetOutput(0, x);
  if (scalar && exponent->front() == 2) return c.SetOutput(0, c.Emit("mul", {x, x}));
  if (scalar && exponent->front() == 3) return c.SetOutput(0, c.Emit("mul", {c.Emit("mul", {x, x}), x}));
  if (scalar && exponent->front() == 0.5) return c.SetOutput(0, c.Emit("sqrt", {x}));
  if (c.Type(y).dtype != c.Type(x).dtype) y = c.Emit("cast", {y}, {{"to", c.Type(x).dtype}});
  c.SetOutput(0, c.Emit("pow", {x, y}));
}

void Mean(NodeContext& c) {
  TensorId total = c.Input(0);
  for (int i = 1; i < c.input_count() && c.ok(); ++i) total = c.Emit("add", {total, c.Input(i)});
  if (c.ok()) c.SetOutput(0, c.Emit("mul", {total, c.ScalarLike(total, 1.0 / c.input_count())}));
}

void PRelu(NodeContext& c) {
  const TensorId x = c.Input(0);
  TensorId slope = c.Input(1);
  if (!c.ok()) return;
  // Old models give one slope per channel without the trailing dimensions.
  const std::vector<DimExpr>& shape = c.Shape(x);
  if (c.Type(slope).rank() == 1 && shape.size() > 2 && c.Shape(slope)[0] == shape[1] &&
      !(shape.back() == shape[1])) {
    std::vector<DimExpr> dims(shape.size() - 1, DimExpr(1));
    dims[0] = shape[1];
    slope = c.Reshape(slope, dims);
  }
  c.SetOutput(0, c.Emit("prelu", {x, slope}));
}

void Where(NodeContext& c) { c.SetOutput(0, c.Emit("select", {c.Input(0), c.Input(1), c.Input(2)})); }

}  // namespace

std::vector<OnnxOpRow> ElementwiseOnnxOps() {
  return {{"Neg", 6, kMaxOpset, 1, Unary<kNeg>},
          {"Abs", 6, kMaxOpset, 1, Unary<kAbs>},
          {"Exp", 6, kMaxOpset, 1, Unary<kExp>},
          {"Log", 6, kMaxOpset, 1, Unary<kLog>},
          {"Sqrt", 6, kMaxOpset, 1, Unary<kSqrt>},
          {"Reciprocal", 6, kMaxOpset, 1, Unary<kReciprocal>},
          {"Tanh", 6, kMaxOpset, 1, Unary<kTanh>},
          {"Erf", 9, kMaxOpset, 1, Unary<kErf>},
          {"Sigmoid", 6, kMaxOpset, 1, Unary<kSigmoid>},
          {"Sin", 7, kMaxOpset, 1, Unary<kSin>},
          {"Cos", 7, kMaxOpset, 1, Unary<kCos>},
          {"Floor", 6, kMaxOpset, 1, Unary<kFloor>},
          {"Ceil", 6, kMaxOpset, 1, Unary<kCeil>},
          {"Round", 11, kMaxOpset, 1, Unary<kRound>},
          {"Sign", 9, kMaxOpset, 1, Unary<kSign>},
          {"Not", 1, kMaxOpset, 1, Unary<kNot>},
          {"IsNaN", 9, kMaxOpset, 1, Unary<kIsNan>},
          {"IsInf", 10, kMaxOpset, 1, IsInf},
          {"Relu", 6, kMaxOpset, 1, Unary<kRelu>},
          {"HardSwish", 14, kMaxOpset, 1, Unary<kHardSwish>},
          {"Softplus", 1, kMaxOpset, 1, Unary<kSoftplus>},
          {"Identity", 1, kMaxOpset, 1, Identity},
          {"Dropout", 7, kMaxOpset, 1, Dropout},
          {"LeakyRelu", 6, kMaxOpset, 1, LeakyRelu},
          {"Elu", 6, kMaxOpset, 1, Elu},
          {"Selu", 6, kMaxOpset, 1, Selu},
          {"HardSigmoid", 6, kMaxOpset, 1, HardSigmoid},
          {"Gelu", 20, kMaxOpset, 1, Gelu},
          {"Swish", 24, kMaxOpset, 1, Swish},
          {"Mish", 18, kMaxOpset, 1, Mish},
          {"Softsign", 1, kMaxOpset, 1, Softsign},
          {"Clip", 6, kMaxOpset, 1, Clip},
          {"Cast", 6, kMaxOpset, 1, Cast},
          {"CastLike", 15, kMaxOpset, 2, CastLike},
          {"Add", 7, kMaxOpset, 2, Binary<kAdd>},
          {"Sub", 7, kMaxOpset, 2, Binary<kSub>},
          {"Mul", 7, kMaxOpset, 2, Binary<kMul>},
          {"Div", 7, kMaxOpset, 2, Div},
          {"Mod", 10, kMaxOpset, 2, Mod},
          {"Pow", 7, kMaxOpset, 2, Pow},
          {"And", 7, kMaxOpset, 2, Binary<kAnd>},
          {"Or", 7, kMaxOpset, 2, Binary<kOr>},
          {"Xor", 7, kMaxOpset, 2, Binary<kXor>},
          {"Equal", 7, kMaxOpset, 2, Binary<kEqual>},
          {"Less", 7, kMaxOpset, 2, Binary<kLess>},
          {"LessOrEqual", 12, kMaxOpset, 2, Binary<kLessEqual>},
          {"Greater", 7, kMaxOpset, 2, Swapped<kLess>},
          {"GreaterOrEqual", 12, kMaxOpset, 2, Swapped<kLessEqual>},
          {"Min", 6, kMaxOpset, 1, Variadic<kMin>},
          {"Max", 6, kMaxOpset, 1, Variadic<kMax>},
          {"Sum", 6, kMaxOpset, 1, Variadic<kAdd>},
          {"Mean", 6, kMaxOpset, 1, Mean},
          {"PRelu", 7, kMaxOpset, 2, PRelu},
          {"Where", 9, kMaxOpset, 3, Where}};
}

}  // namespace hone
