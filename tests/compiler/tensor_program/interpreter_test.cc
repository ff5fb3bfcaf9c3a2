#include "compiler/tensor_program/interpreter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <random>

#include "tests/compiler/tensor_program/program_samples.h"

namespace hone {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TensorProgram Program(std::string_view text) {
  auto program = TensorProgram::Parse(text);
  EXPECT_TRUE(program.ok()) << program.status();
  return program.ok() ? *std::move(program) : TensorProgram();
}

TensorProgram Sample(std::string_view name) {
  for (const ProgramSample& sample : kProgramSamples) {
    if (sample.name == name) return Program(sample.text);
  }
  return {};
}

HostTensor Filled(DType dtype, std::vector<int64_t> dims, const std::vector<double>& values) {
  HostTensor tensor = HostTensor::Zeros(dtype, std::move(dims));
  for (size_t e = 0; e < values.size(); ++e) tensor.Set(static_cast<int64_t>(e), values[e]);
  return tensor;
}

HostTensor Random(std::vector<int64_t> dims, uint32_t seed) {
  HostTensor tensor = HostTensor::Zeros(DType::kF32, std::move(dims));
  std::mt19937 random(seed);
  for (int64_t e = 0; e < tensor.Elements(); ++e) tensor.Set(e, static_cast<double>(random() % 2001) / 1000 - 1);
  return tensor;
}

std::vector<double> Values(const HostTensor& tensor) {
  std::vector<double> values;
  for (int64_t e = 0; e < tensor.Elements(); ++e) values.push_back(tensor.Get(e));
  return values;
}

std::vector<HostTensor> Outputs(const TensorProgram& program, const std::vector<HostTensor>& operands) {
  auto outputs = Interpret(program, operands);
  EXPECT_TRUE(outputs.ok()) << outputs.status();
  return outputs.ok() ? *std::move(outputs) : std::vector<HostTensor>();
}

// Whether single elements agree with the whole.
void ExpectSameElements(const TensorProgram& program, const std::vector<HostTensor>& operands) {
  const std::vector<HostTensor> whole = Outputs(program, operands);
  for (size_t i = 0; i < whole.size(); ++i) {
    std::vector<int64_t> elements(static_cast<size_t>(whole[i].Elements()));
    std::iota(elements.begin(), elements.end(), 0);
    std::reverse(elements.begin(), elements.end());
    const auto single = InterpretElements(program, operands, static_cast<int>(i), elements, 1 << 20);
    ASSERT_TRUE(single.ok()) << single.status();
    for (size_t e = 0; e < elements.size(); ++e) {
      EXPECT_FLOAT_EQ((*single)[e], whole[i].Get(elements[e]));
    }
  }
}

TEST(InterpreterTest, Matmul) {
  const HostTensor a = Random({3, 5}, 1), b = Random({5, 4}, 2);
  const std::vector<HostTensor> outputs = Outputs(Sample("matmul"), {a, b});
  for (int64_t m = 0; m < 3; ++m) {
    for (int64_t n = 0; n < 4; ++n) {
      double sum = 0;
      for (int64_t k = 0; k < 5; ++k) sum += a.Get(m * 5 + k) * b.Get(k * 4 + n);
      EXPECT_EQ(outputs[0].Get(m * 4 + n), static_cast<float>(sum));
    }
  }
  ExpectSameElements(Sample("matmul"), {a, b});
}

TEST(InterpreterTest, PaddedConvolution) {
  const HostTensor x = Random({1, 2, 4, 5}, 1), w = Random({3, 2, 3, 3}, 2);
  const std::vector<HostTensor> outputs = Outputs(Sample("convolution"), {x, w});
  for (int64_t o = 0; o < 3; ++o) {
    for (int64_t h = 0; h < 4; ++h) {
      for (int64_t v = 0; v < 5; ++v) {
        double sum = 0;
        for (int64_t t = 0; t < 18; ++t) {
          const int64_t c = t / 9, y = h + t / 3 % 3 - 1, z = v + t % 3 - 1;
          if (y >= 0 && y < 4 && z >= 0 && z < 5) sum += x.Get((c * 4 + y) * 5 + z) * w.Get((o * 2 + c) * 9 + t % 9);
        }
        EXPECT_FLOAT_EQ(outputs[0].Get((o * 4 + h) * 5 + v), sum);
      }
    }
  }
  ExpectSameElements(Sample("convolution"), {x, w});
}

TEST(InterpreterTest, SoftmaxBindsItsSymbol) {
  for (const int64_t rows : {1, 5}) {
    const HostTensor x = Random({rows, 7}, 3);
    const std::vector<HostTensor> outputs = Outputs(Sample("softmax"), {x});
    ASSERT_THAT(outputs[0].dims, ElementsAre(rows, 7));
    for (int64_t i = 0; i < rows; ++i) {
      double total = 0;
      for (int64_t j = 0; j < 7; ++j) total += std::exp(x.Get(i * 7 + j));
      for (int64_t j = 0; j < 7; ++j) EXPECT_FLOAT_EQ(outputs[0].Get(i * 7 + j), std::exp(x.Get(i * 7 + j)) / total);
    }
  }
}

TEST(InterpreterTest, ArgMaxKeepsTheFirstOfEquals) {
  HostTensor x = HostTensor::Zeros(DType::kF32, {4, 9});
  x.Set(3, 1);
  x.Set(6, 1);
  x.Set(9 + 8, 2);
  for (int64_t j = 0; j < 9; ++j) x.Set(18 + j, -std::numeric_limits<double>::infinity());
  EXPECT_THAT(Values(Outputs(Sample("arg_max"), {x})[0]), ElementsAre(3, 8, 0, 0));
  ExpectSameElements(Sample("arg_max"), {x});
}

TEST(InterpreterTest, CumulativeSumRunsBackwards) {
  HostTensor x = HostTensor::Zeros(DType::kI32, {6, 3});
  for (int64_t e = 0; e < 18; ++e) x.SetInteger(e, e == 0 ? std::numeric_limits<int32_t>::max() : e);
  const std::vector<HostTensor> outputs = Outputs(Sample("cumulative_sum"), {x});
  EXPECT_EQ(outputs[0].GetInteger(0), static_cast<int32_t>(std::numeric_limits<int32_t>::max() + 45u));   // wraps
  EXPECT_EQ(outputs[0].GetInteger(1), 1 + 4 + 7 + 10 + 13 + 16);
  EXPECT_EQ(outputs[1].GetInteger(5 * 3 + 2), 17);
  EXPECT_EQ(outputs[1].GetInteger(4 * 3 + 2), 17 + 14);
  ExpectSameElements(Sample("cumulative_sum"), {x});
}

// The body's outputs name the carried tensors first: what the sample calls c_next follows h.
TEST(InterpreterTest, RecurrenceCarriesSeveralTensors) {
  const TensorProgram program = Sample("recurrence");
  const HostTensor x = Random({4, 2}, 5), h0 = Random({2}, 6), c0 = Random({2}, 7);
  const std::vector<HostTensor> outputs = Outputs(program, {x, h0, c0});
  double h[2] = {h0.Get(0), h0.Get(1)}, c[2] = {c0.Get(0), c0.Get(1)};
  for (int64_t t = 0; t < 4; ++t) {
    for (int i = 0; i < 2; ++i) {
      const double item = x.Get(t * 2 + i), gate = 1 / (1 + std::exp(-(item + h[i])));
      const double y = gate * std::tanh(c[i]);
      h[i] = gate * c[i] + item;
      c[i] = y;
      EXPECT_NEAR(outputs[2].Get(t * 2 + i), y, 1e-5);
    }
  }
  for (int i = 0; i < 2; ++i) {
    EXPECT_NEAR(outputs[0].Get(i), h[i], 1e-5);
    EXPECT_NEAR(outputs[1].Get(i), c[i], 1e-5);
  }
}

TEST(InterpreterTest, ComputedIndicesAreClamped) {
  HostTensor table = HostTensor::Zeros(DType::kF16, {10, 4});
  for (int64_t e = 0; e < 40; ++e) table.Set(e, static_cast<double>(e));
  const HostTensor ids = Filled(DType::kI64, {3}, {2, -5, 1e18});
  const std::vector<HostTensor> outputs = Outputs(Sample("gather"), {table, ids});
  EXPECT_THAT(Values(outputs[0]), ElementsAre(8, 9, 10, 11, 0, 1, 2, 3, 36, 37, 38, 39));
}

TEST(InterpreterTest, IndicesWithDivisions) {
  HostTensor x = HostTensor::Zeros(DType::kU8, {12}), flag = HostTensor::Zeros(DType::kBool, {12});
  for (int64_t e = 0; e < 12; ++e) x.SetInteger(e, 16 + e);
  flag.SetInteger(2, 1);
  EXPECT_THAT(Values(Outputs(Sample("integers"), {x, flag})[0]), ElementsAre(0, 1, -7, 3, 4, -7, 6, 7, -7, 9, 10, -7));
}

TEST(InterpreterTest, ReductionsOfNothingGiveTheIdentity) {
  const TensorProgram program = Program(R"(symbol n 0 9 1
input x f32[n]
input b bool[n]
output sum f32[]
output prod f32[]
output max f32[]
output any bool[]
output all bool[]
stage sum () sum (r:n) sum = x[r]
stage prod () prod (r:n) prod = x[r]
stage max () max (r:n) max = x[r]
stage any () max (r:n) any = b[r]
stage all () min (r:n) all = b[r]
)");
  std::vector<double> values;
  for (const HostTensor& output : Outputs(program, {HostTensor::Zeros(DType::kF32, {0}), HostTensor::Zeros(DType::kBool, {0})})) {
    values.push_back(output.Get(0));
  }
  EXPECT_THAT(values, ElementsAre(0, 1, -std::numeric_limits<double>::infinity(), 0, 1));
}

TEST(InterpreterTest, SumsAccumulateInDoubleAndNanStays) {
  const TensorProgram program = Program("input x f32[3]\noutput s f32[]\noutput m f32[]\n"
                                        "stage s () sum (r:3) s = x[r]\nstage m () max (r:3) m = x[r]\n");
  EXPECT_EQ(Outputs(program, {Filled(DType::kF32, {3}, {1e8, 1, -1e8})})[0].Get(0), 1);
  EXPECT_TRUE(std::isnan(Outputs(program, {Filled(DType::kF32, {3}, {1, std::nan(""), 2})})[1].Get(0)));
}

TEST(InterpreterTest, OperandsThatDoNotFitAreRefused) {
  const TensorProgram program = Sample("softmax"), matmul = Sample("matmul");
  HostTensor cut = HostTensor::Zeros(DType::kF32, {3, 5}), wild = cut;
  cut.bytes.pop_back();
  wild.dims = {int64_t{1} << 40, int64_t{1} << 40};
  const HostTensor b = HostTensor::Zeros(DType::kF32, {5, 4});
  const std::vector<std::pair<const TensorProgram*, std::vector<HostTensor>>> cases = {
      {&program, {}},
      {&program, {HostTensor::Zeros(DType::kF64, {2, 7})}},
      {&program, {HostTensor::Zeros(DType::kF32, {2, 6})}},
      {&program, {HostTensor::Zeros(DType::kF32, {14})}},
      {&program, {HostTensor::Zeros(DType::kF32, {65, 7})}},   // beyond the symbol's bounds
      {&program, {HostTensor::Zeros(DType::kF32, {0, 7})}},
      {&matmul, {cut, b}},
      {&matmul, {wild, b}},
      {&matmul, {b, b}},
  };
  for (const auto& [sample, operands] : cases) {
    EXPECT_EQ(Interpret(*sample, operands).status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(InterpretElements(*sample, operands, 0, {}, 100).status().code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST(InterpreterTest, SymbolsAreSolvedFromAffineDimensions) {
  const std::string text = "symbol n 1 9 1\ninput x f32[2*n + 1]\noutput y f32[n]\nstage s (i:n) y = x[2*i]\n";
  const TensorProgram program = Program(text);
  EXPECT_THAT(Values(Outputs(program, {Filled(DType::kF32, {5}, {1, 2, 3, 4, 5})})[0]), ElementsAre(1, 3));
  EXPECT_EQ(Interpret(program, std::vector{HostTensor::Zeros(DType::kF32, {4})}).status().code(),
            absl::StatusCode::kInvalidArgument);
  const TensorProgram unbound = Program("symbol n 1 9 1\noutput y f32[n]\nstage s (i:n) y = f32 0\n");
  EXPECT_EQ(Interpret(unbound, {}).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(InterpreterTest, LoadsOutsideATensorAreFaultsNotCrashes) {
  for (const char* body : {"x[floordiv(i, 2) + 7]", "x[mod(i, 2) - 5]"}) {
    const TensorProgram program = Program(std::string("input x f32[4]\noutput y f32[4]\nstage s (i:4) y = ") + body + "\n");
    const std::vector<HostTensor> operands = {HostTensor::Zeros(DType::kF32, {4})};
    const std::vector<int64_t> elements = {0};
    for (const absl::Status& status : {Interpret(program, operands).status(),
                                       InterpretElements(program, operands, 0, elements, 100).status()}) {
      EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
      EXPECT_THAT(std::string(status.message()), HasSubstr("outside 'x'"));
    }
  }
  const TensorProgram gather = Program("input x f32[0]\ninput i i64[2]\noutput y f32[2]\nstage s (a:2) y = x[@i[a]]\n");
  EXPECT_EQ(Interpret(gather, std::vector{HostTensor::Zeros(DType::kF32, {0}), HostTensor::Zeros(DType::kI64, {2})})
                .status().code(), absl::StatusCode::kInternal);
}

TEST(InterpreterTest, ElementsStopAtTheirBudget) {
  const TensorProgram endless = Program("output y f32[2]\nstage s (i:2) sum (r:1000000000000) y = f32 1\n");
  const std::vector<int64_t> elements = {1};
  EXPECT_EQ(InterpretElements(endless, {}, 0, elements, 1000).status().code(), absl::StatusCode::kDeadlineExceeded);
  const std::vector<HostTensor> operands = {Random({3, 5}, 1), Random({5, 4}, 2)};
  EXPECT_TRUE(InterpretElements(Sample("matmul"), operands, 0, elements, 11).ok());
  EXPECT_EQ(InterpretElements(Sample("matmul"), operands, 0, elements, 10).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  const std::vector<HostTensor> scanned = {HostTensor::Zeros(DType::kI32, {6, 3})};
  EXPECT_EQ(InterpretElements(Sample("cumulative_sum"), scanned, 0, elements, 20).status().code(),
            absl::StatusCode::kDeadlineExceeded);
}

TEST(InterpreterTest, ElementsThatDoNotExistAreRefused) {
  const std::vector<HostTensor> operands = {Random({3, 5}, 1), Random({5, 4}, 2)};
  for (const int64_t element : {int64_t{-1}, int64_t{12}, std::numeric_limits<int64_t>::max()}) {
    const std::vector<int64_t> elements = {element};
    EXPECT_EQ(InterpretElements(Sample("matmul"), operands, 0, elements, 1000).status().code(),
              absl::StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(InterpretElements(Sample("matmul"), operands, 1, {}, 1000).status().code(), absl::StatusCode::kInvalidArgument);
}

// A chain of stages longer than the stack would bear.
TEST(InterpreterTest, LongChainsDoNotExhaustTheStack) {
  std::string text = "input t0 f32[2]\n";
  std::string stages;
  constexpr int kLength = 5000;
  for (int i = 1; i <= kLength; ++i) {
    const std::string name = "t" + std::to_string(i), previous = "t" + std::to_string(i - 1);
    text += (i == kLength ? "output " : "temporary ") + name + " f32[2]\n";
    stages += "stage " + name + " (i:2) " + name + " = add(" + previous + "[i], f32 1)\n";
  }
  const std::vector<int64_t> elements = {1};
  const auto values = InterpretElements(Program(text + stages), std::vector{HostTensor::Zeros(DType::kF32, {2})}, 0, elements, 1 << 20);
  ASSERT_TRUE(values.ok()) << values.status();
  EXPECT_EQ((*values)[0], kLength);
}

TEST(InterpreterTest, HugeResultsAreRefused) {
  const TensorProgram program = Program("output y f32[1000000,1000000]\nstage s (i:1000000, j:1000000) y = f32 0\n");
  EXPECT_EQ(Interpret(program, {}).status().code(), absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace hone
