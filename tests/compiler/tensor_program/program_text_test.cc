// The text form of programs: samples come back, whatever else is refused without harm.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "compiler/tensor_program/interpreter.h"
#include "compiler/tensor_program/tensor_program.h"
#include "tests/compiler/tensor_program/program_samples.h"

namespace hone {
namespace {

TEST(ProgramTextTest, EverySampleComesBack) {
  for (const ProgramSample& sample : kProgramSamples) {
    const auto program = TensorProgram::Parse(sample.text);
    ASSERT_TRUE(program.ok()) << sample.name << ": " << program.status();
    // The canonical text is a fixed point; the samples are canonical but for the padding expression 2*i / 2.
    const std::string text = program->ToString();
    if (sample.name != "integers") {
      EXPECT_EQ(text, sample.text) << sample.name;
    }
    const auto again = TensorProgram::Parse(text);
    ASSERT_TRUE(again.ok()) << sample.name << ": " << again.status();
    EXPECT_EQ(again->ToString(), text);
  }
}

TEST(ProgramTextTest, EveryOperationAndConstantComesBack) {
  TensorProgram program;
  const auto add = [&](const char* name, ProgramTensor::Role role, DType dtype) {
    return program.AddTensor({name, role, dtype, {DimExpr(2)}});
  };
  const Axis i{MakeSymbol("i", 0, 1), DimExpr(2)};
  const std::map<DType, ProgramTensorId> inputs = {{DType::kF32, add("f", ProgramTensor::Role::kInput, DType::kF32)},
                                                   {DType::kI32, add("n", ProgramTensor::Role::kInput, DType::kI32)},
                                                   {DType::kBool, add("b", ProgramTensor::Role::kInput, DType::kBool)}};
  int count = 0;
  const auto stage = [&](const ScalarRef& body) {
    const std::string name = "o" + std::to_string(count++);
    const ProgramTensorId output = program.AddTensor({name, ProgramTensor::Role::kOutput, body->dtype, {DimExpr(2)}});
    program.stages.push_back({.name = name, .axes = {i}, .body = {body}, .outputs = {output}});
    if (program.Verify().ok()) return;
    program.stages.pop_back();
    program.tensors.pop_back();
  };
  for (const auto& [dtype, id] : inputs) {
    const ScalarRef x = Load(id, dtype, {DimExpr(i.variable)});
    for (int op = 0; op <= static_cast<int>(UnaryOp::kBitNot); ++op) stage(Unary(static_cast<UnaryOp>(op), x));
    for (int op = 0; op <= static_cast<int>(BinaryOp::kShiftRight); ++op) stage(Binary(static_cast<BinaryOp>(op), x, x));
    for (int to = 0; to <= static_cast<int>(DType::kBool); ++to) stage(Cast(x, static_cast<DType>(to)));
  }
  for (const double value : {0.0, -0.0, 0.1, 1e-320, -1.7976931348623157e308, std::numeric_limits<double>::infinity(),
                             std::numeric_limits<double>::quiet_NaN()}) {
    stage(Real(value, DType::kF64));
  }
  stage(Integer(std::numeric_limits<int64_t>::min()));
  stage(Integer(-1, DType::kU64));
  EXPECT_GT(program.stages.size(), 100u);
  const auto again = TensorProgram::Parse(program.ToString());
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->ToString(), program.ToString());
  EXPECT_TRUE(std::signbit(again->stages[program.stages.size() - 8].body[0]->real));
}

// Identity is the symbol's, not its name's: an axis may be called like a dimension.
TEST(ProgramTextTest, AxesNamedLikeADimensionAreToldApart) {
  const SymbolRef n = MakeSymbol("n", 1, 8);
  const Axis axis{MakeSymbol("n", 0, 7), DimExpr(n)}, other{MakeSymbol("n_", 0, 7), DimExpr(n)};
  TensorProgram program;
  program.AddTensor({"x", ProgramTensor::Role::kInput, DType::kF32, {DimExpr(n), DimExpr(n)}});
  program.AddTensor({"y", ProgramTensor::Role::kOutput, DType::kF32, {DimExpr(n), DimExpr(n)}});
  const DimExpr reversed = DimExpr(n) - axis.variable - 1;
  program.stages.push_back({.name = "s", .axes = {axis, other},
                            .body = {Load(0, DType::kF32, {reversed, DimExpr(other.variable)})}, .outputs = {1}});
  ASSERT_TRUE(program.Verify().ok()) << program.Verify();
  EXPECT_THAT(program.ToString(), testing::HasSubstr("stage s (n__:n, n_:n) y = x[n - n__ - 1, n_]"));
  const auto again = TensorProgram::Parse(program.ToString());
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->ToString(), program.ToString());
}

TEST(ProgramTextTest, ErrorsNameTheLine) {
  const auto program = TensorProgram::Parse("input x f32[2]\noutput y f32[2]\nstage s (i:2) y = add(x[i], z[i])\n");
  EXPECT_EQ(program.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(program.status().message()), testing::HasSubstr("line 3: unknown tensor 'z'"));
}

std::string Repeat(const std::string& text, int count) {
  std::string repeated;
  for (int i = 0; i < count; ++i) repeated += text;
  return repeated;
}

TEST(ProgramTextTest, HostileTextIsRefused) {
  const std::string head = "input x f32[2]\noutput y f32[2]\nstage s (i:2) y = ";
  const std::vector<std::string> texts = {
      "x", "input", "input x", "input x f32", "input x f99[2]", "input x f32[2", "input x f32[,]", "input x f32[q]",
      "input x f32[2]\ninput x f32[2]", "symbol", "symbol s 3 2 1", "symbol s 0 1 0", "symbol s 0 99999999999999999999 1",
      "input \"x f32[2]", "input \"\\xzz\" f32[2]", "output y f32[2]", "}", "{", "stage", "stage s (", "scan s length (", "\"",
      std::string("\0\0", 2), "input x f32[99999999999*99999999999*99999999999]\noutput y f32[2]",
      head, head + "x[i", head + "x[i, i]", head + "x[j]", head + "x[i + 1]", head + "add(x[i])", head + "foo(x[i])",
      head + "add(x[i], i64 1)", head + "f32", head + "f32 1e999", head + "i64 99999999999999999999", head + "$0:f32",
      head + "select(x[i], x[i], x[i])", head + "x[@x[i]]", head + "cast_f99(x[i])", head + "x[i]; y = x[i]",
      head + "index(i)", head + "not(x[i])", head + "x[i] identity f32 0 combine f32 0",
      head + Repeat("neg(", 100000) + "x[i]" + Repeat(")", 100000), head + Repeat("x[@", 100000),
      head + "x[" + Repeat("(", 4000) + "i" + Repeat(")", 4000) + "]",
      Repeat("scan s length (1) carry () over () stack () {\n", 10000),
      "input x f32[2]\noutput y f32[2]\nstage s (i:2) tuple (r:2) y = x[r]\n",
      "input x f32[2]\noutput y f32[2]\nstage s (i:2) tuple (r:2) y = x[r] identity f32 0 combine x[i]\n",
      "input x f32[2]\noutput y f32[2]\nstage s (i:2, i:2) y = x[i]\n",
      "input x f32[2]\noutput y f32[2]\nstage s (i:2{5,1,1}) y = x[i]\n",
      "input x f32[2]\noutput y f32[2]\nscan s length (2) carry (x -> y) over () stack () {\n}\n",
  };
  for (const std::string& text : texts) {
    EXPECT_EQ(TensorProgram::Parse(text).status().code(), absl::StatusCode::kInvalidArgument) << text.substr(0, 200);
  }
}

// Evaluates an element on zeros of whatever shape; any answer or refusal will do.
void Exercise(const TensorProgram& program) {
  std::vector<HostTensor> operands;
  for (const auto role : {ProgramTensor::Role::kInput, ProgramTensor::Role::kConstant}) {
    for (const ProgramTensorId id : program.TensorsOf(role)) {
      std::vector<int64_t> dims;
      for (const DimExpr& dim : program.tensors[id].shape) dims.push_back(std::clamp<int64_t>(dim.AsConstant().value_or(2), 0, 64));
      operands.push_back(HostTensor::Zeros(program.tensors[id].dtype, dims));
    }
  }
  const std::vector<int64_t> elements = {0};
  const auto values = InterpretElements(program, operands, 0, elements, 1000);
  EXPECT_TRUE(!values.ok() || values->size() == 1);
}

// Samples with a few bytes changed: whatever still parses prints and parses again, and runs or is refused.
TEST(ProgramTextTest, MutatedSamplesNeverCrash) {
  std::mt19937 random(5);
  const std::string bytes = "()[]{},;:@$\"\\ \n0123456789-*abcxyzi\xff";
  int parsed = 0;
  for (int round = 0; round < 6000; ++round) {
    std::string text(kProgramSamples[random() % std::size(kProgramSamples)].text);
    for (size_t n = 1 + random() % 3; n-- > 0;) {
      const size_t at = random() % text.size();
      switch (random() % 3) {
        case 0: text[at] = bytes[random() % bytes.size()]; break;
        case 1: text.erase(at, 1 + random() % 8); break;
        default: text.insert(at, text.substr(random() % text.size(), random() % 24));
      }
    }
    const auto program = TensorProgram::Parse(text);
    if (!program.ok()) {
      ASSERT_EQ(program.status().code(), absl::StatusCode::kInvalidArgument) << text;
      continue;
    }
    ++parsed;
    const auto again = TensorProgram::Parse(program->ToString());
    ASSERT_TRUE(again.ok()) << again.status() << "\n" << text << "\nprinted as\n" << program->ToString();
    ASSERT_EQ(again->ToString(), program->ToString());
    Exercise(*program);
  }
  EXPECT_GT(parsed, 50);
}

}  // namespace
}  // namespace hone
