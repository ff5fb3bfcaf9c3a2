// What holds for every row of the operator table.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "compiler/ops/op.h"
#include "tests/compiler/ops/op_harness.h"

namespace hone {
namespace {

std::string Label(const OpRow& row, const OpCase& sample) {
  return std::string(row.name) + "/" + sample.name;
}

TEST(OpTableTest, RowsAreComplete) {
  std::set<std::string_view> names;
  for (const OpRow& row : OpTable()) {
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    EXPECT_EQ(FindOp(row.name), &row);
    EXPECT_FALSE(row.summary.empty()) << row.name;
    EXPECT_LE(1, row.min_inputs) << row.name;
    EXPECT_LE(row.min_inputs, row.max_inputs) << row.name;
    EXPECT_FALSE(row.cases().empty()) << row.name;
    for (const AttrSpec& attribute : row.attributes) {
      EXPECT_NE(row.summary.find(attribute.name), std::string_view::npos)
          << row.name << " hides " << attribute.name;
    }
  }
  EXPECT_EQ(FindOp("no such operator"), nullptr);
}

TEST(OpTableTest, EveryCaseInfersLowersAndRuns) {
  for (const OpRow& row : OpTable()) {
    std::set<std::string> names;
    for (const OpCase& sample : row.cases()) {
      EXPECT_TRUE(names.insert(sample.name).second) << Label(row, sample) << " twice";
      const auto outputs = row.infer(sample.attrs, sample.inputs);
      ASSERT_TRUE(outputs.ok()) << Label(row, sample) << ": " << outputs.status();
      const auto program = ProgramOf(row.name, sample.attrs, sample.inputs);
      ASSERT_TRUE(program.ok()) << Label(row, sample) << ": " << program.status();
      const DimExpr flops = row.flops(sample.attrs, sample.inputs, *outputs);
      EXPECT_GT(flops.AsConstant().value_or(0), 0) << Label(row, sample);
      std::vector<HostTensor> inputs;
      for (size_t i = 0; i < sample.inputs.size(); ++i) {
        inputs.push_back(Generated(sample.inputs[i], i, sample.low, sample.high));
      }
      const auto results = Interpret(*program, inputs);
      ASSERT_TRUE(results.ok()) << Label(row, sample) << ": " << results.status();
      ASSERT_EQ(results->size(), outputs->size());
      for (size_t i = 0; i < results->size(); ++i) {
        EXPECT_EQ((*results)[i].dtype, (*outputs)[i].dtype) << Label(row, sample);
        EXPECT_EQ((*results)[i].dims, ConstantShape((*outputs)[i].shape)) << Label(row, sample);
      }
    }
  }
}

// A program's text says all of it: what parses back computes the same.
TEST(OpTableTest, ProgramsParseBack) {
  for (const OpRow& row : OpTable()) {
    for (const OpCase& sample : row.cases()) {
      const auto program = ProgramOf(row.name, sample.attrs, sample.inputs);
      ASSERT_TRUE(program.ok()) << Label(row, sample) << ": " << program.status();
      const std::string text = program->ToString();
      const auto parsed = TensorProgram::Parse(text);
      ASSERT_TRUE(parsed.ok()) << Label(row, sample) << ": " << parsed.status() << "\n" << text;
      EXPECT_EQ(parsed->ToString(), text) << Label(row, sample);
      std::vector<HostTensor> inputs;
      for (size_t i = 0; i < sample.inputs.size(); ++i) {
        inputs.push_back(Generated(sample.inputs[i], i, sample.low, sample.high));
      }
      const auto expected = Interpret(*program, inputs), actual = Interpret(*parsed, inputs);
      ASSERT_TRUE(expected.ok() && actual.ok()) << Label(row, sample) << expected.status() << actual.status();
      for (size_t i = 0; i < expected->size(); ++i) {
        EXPECT_EQ((*actual)[i].bytes, (*expected)[i].bytes) << Label(row, sample);
      }
    }
  }
}

// Single elements are the whole result's, wherever they are asked for.
TEST(OpTableTest, SingleElementsAgree) {
  for (const OpRow& row : OpTable()) {
    const OpCase sample = row.cases().front();
    const auto program = ProgramOf(row.name, sample.attrs, sample.inputs);
    ASSERT_TRUE(program.ok()) << Label(row, sample);
    bool scans = false;
    for (const Stage& stage : program->stages) scans = scans || stage.scan.has_value();
    if (scans) continue;
    std::vector<HostTensor> inputs;
    for (size_t i = 0; i < sample.inputs.size(); ++i)
      inputs.push_back(Generated(sample.inputs[i], i, sample.low, sample.high));
    const auto all = Interpret(*program, inputs);
    ASSERT_TRUE(all.ok()) << Label(row, sample);
    const int64_t last = all->front().Elements() - 1;
    const std::vector<int64_t> elements = {0, last / 2, last};
    const auto some = InterpretElements(*program, inputs, 0, elements, 1 << 24);
    ASSERT_TRUE(some.ok()) << Label(row, sample) << ": " << some.status();
    for (size_t e = 0; e < elements.size(); ++e) {
      const double whole = all->front().Get(elements[e]);
      EXPECT_NEAR((*some)[e], whole, 1e-6 * std::max(1.0, std::fabs(whole))) << Label(row, sample);
    }
  }
}

// A program over a symbol, run at one size, is the program of that size.
TEST(OpTableTest, SymbolicProgramsAgree) {
  int agreed = 0;
  for (const OpRow& row : OpTable()) {
    for (const OpCase& sample : row.cases()) {
      std::set<int64_t> sizes;
      std::vector<HostTensor> inputs;
      for (size_t i = 0; i < sample.inputs.size(); ++i) {
        inputs.push_back(Generated(sample.inputs[i], i, sample.low, sample.high));
        for (const int64_t dim : inputs.back().dims) sizes.insert(dim);
      }
      const auto program = ProgramOf(row.name, sample.attrs, sample.inputs);
      ASSERT_TRUE(program.ok()) << Label(row, sample);
      const auto expected = Interpret(*program, inputs);
      ASSERT_TRUE(expected.ok()) << Label(row, sample);
      sizes.erase(1);  // a symbol does not broadcast
      for (const int64_t size : sizes) {
        const DimExpr symbol(MakeSymbol("s0", 1, 512));
        std::vector<TensorType> types = sample.inputs;
        for (TensorType& type : types)
          std::replace(type.shape.begin(), type.shape.end(), DimExpr(size), symbol);
        const auto symbolic = ProgramOf(row.name, sample.attrs, types);
        if (absl::IsInvalidArgument(symbolic.status())) continue;  // an attribute asks for this very size
        ASSERT_TRUE(symbolic.ok()) << Label(row, sample) << " at " << size << ": " << symbolic.status();
        const auto actual = Interpret(*symbolic, inputs);
        ASSERT_TRUE(actual.ok()) << Label(row, sample) << " at " << size << ": " << actual.status();
        for (size_t i = 0; i < expected->size(); ++i) {
          ASSERT_EQ((*actual)[i].dims, (*expected)[i].dims) << Label(row, sample) << " at " << size;
          for (int64_t e = 0; e < (*expected)[i].Elements(); ++e) {
            const double a = (*actual)[i].Get(e), b = (*expected)[i].Get(e);
            ASSERT_TRUE(a == b || std::fabs(a - b) <= 1e-6 * std::fabs(b))
                << Label(row, sample) << " at " << size;
          }
        }
        ++agreed;
      }
    }
  }
  EXPECT_GT(agreed, 300);
  RecordProperty("agreed", agreed);
}

TEST(OpTableTest, AttributesSurviveTheirText) {
  for (const OpRow& row : OpTable()) {
    for (const OpCase& sample : row.cases()) {
      const auto parsed = ParseAttrs(AttrsText(sample.attrs), {});
      ASSERT_TRUE(parsed.ok()) << Label(row, sample) << ": " << parsed.status();
      EXPECT_EQ(*parsed, sample.attrs) << Label(row, sample);
    }
  }
}

// Whatever the operands and attributes, inference answers; a fault is InvalidArgument with a text, and what
// it accepts lowers to a program that verifies.
void ExpectAnswer(const OpRow& row, const AttrMap& attrs, const std::vector<TensorType>& inputs) {
  std::string label = std::string(row.name) + "(" + AttrsText(attrs) + ")";
  for (const TensorType& input : inputs) label += " " + input.ToString();
  const auto outputs = row.infer(attrs, inputs);
  if (!outputs.ok()) {
    EXPECT_EQ(outputs.status().code(), absl::StatusCode::kInvalidArgument) << label;
    EXPECT_FALSE(outputs.status().message().empty()) << label;
    return;
  }
  const auto program = ProgramOf(row.name, attrs, inputs);
  EXPECT_TRUE(program.ok()) << label << ": " << program.status();
  for (const TensorType& output : *outputs) {
    const auto shape = ConstantShape(output.shape);
    for (const int64_t dim : shape.value_or(std::vector<int64_t>())) EXPECT_GE(dim, 0) << label;
  }
}

void ExpectRefusal(const OpRow& row, const AttrMap& attrs, const std::vector<TensorType>& inputs,
                   const std::string& named) {
  const auto outputs = row.infer(attrs, inputs);
  ASSERT_EQ(outputs.status().code(), absl::StatusCode::kInvalidArgument) << row.name;
  EXPECT_NE(outputs.status().message().find(named), std::string::npos)
      << row.name << ": " << outputs.status();
}

TEST(OpTableTest, WrongNumbersOfInputsAreNamed) {
  for (const OpRow& row : OpTable()) {
    const OpCase sample = row.cases().front();
    ExpectRefusal(row, sample.attrs, {}, "0 inputs");
    if (row.max_inputs > 100) continue;
    const std::vector<TensorType> many(static_cast<size_t>(row.max_inputs) + 1, sample.inputs[0]);
    ExpectRefusal(row, sample.attrs, many, "inputs instead of");
  }
}

TEST(OpTableTest, AttributesAreChecked) {
  for (const OpRow& row : OpTable()) {
    const OpCase sample = row.cases().front();
    AttrMap unknown = sample.attrs;
    unknown["no_such"] = int64_t{1};
    ExpectRefusal(row, unknown, sample.inputs, "no_such");
    for (const AttrSpec& spec : row.attributes) {
      const std::string name(spec.name);
      AttrMap wrong = sample.attrs;
      wrong[name] = AttrValue(DType::kBool);
      if (spec.kind == AttrSpec::Kind::kDType) wrong[name] = int64_t{1};
      ExpectRefusal(row, wrong, sample.inputs, name);
      if (!spec.choices.empty()) {
        wrong[name] = "no such choice";
        ExpectRefusal(row, wrong, sample.inputs, name);
      }
      if (!spec.required) continue;
      AttrMap missing = sample.attrs;
      missing.erase(name);
      ExpectRefusal(row, missing, sample.inputs, name);
    }
  }
}

TEST(OpTableTest, AnyRanksTypesAndShapesAreAnswered) {
  for (const OpRow& row : OpTable()) {
    for (const OpCase& sample : row.cases()) {
      for (size_t i = 0; i < sample.inputs.size(); ++i) {
        std::vector<TensorType> inputs = sample.inputs;
        for (const DType dtype : {DType::kBool, DType::kI64, DType::kI32, DType::kF64, DType::kF16}) {
          inputs[i].dtype = dtype;
          ExpectAnswer(row, sample.attrs, inputs);
        }
        for (const std::vector<int64_t>& shape :
             std::vector<std::vector<int64_t>>{{},
                                               {0},
                                               {1},
                                               {5},
                                               {0, 0},
                                               {3, 5},
                                               {2, 0, 3},
                                               {1, 1, 1, 1},
                                               {0, 0, 0, 0},
                                               {1, 0, 3, 3},
                                               {1, 3, 0, 5},
                                               {0, 1, 3, 3},
                                               {1, 7, 3, 5},
                                               {2, 3, 4, 5, 6},
                                               {-1, 3, 5, 5},
                                               {-3},
                                               {int64_t{1} << 62, 4, 4, 4},
                                               std::vector<int64_t>(17, 1)}) {
          inputs = sample.inputs;
          inputs[i].shape = DimList(shape);
          ExpectAnswer(row, sample.attrs, inputs);
        }
        inputs = sample.inputs;
        for (DimExpr& dim : inputs[i].shape) {
          const DimExpr before = dim;
          dim = DimExpr(MakeSymbol("s0"));
          ExpectAnswer(row, sample.attrs, inputs);
          dim = before;
        }
      }
    }
  }
}

TEST(OpTableTest, AnyAttributeValuesAreAnswered) {
  const int64_t huge = std::numeric_limits<int64_t>::max(), least = std::numeric_limits<int64_t>::min();
  for (const OpRow& row : OpTable()) {
    for (const OpCase& sample : row.cases()) {
      for (const AttrSpec& spec : row.attributes) {
        AttrMap attrs = sample.attrs;
        const std::string name(spec.name);
        const auto lists = DimsAttr(attrs, name);
        for (const int64_t value :
             {int64_t{0}, int64_t{-1}, int64_t{1}, int64_t{2}, int64_t{17}, huge, least}) {
          if (spec.kind == AttrSpec::Kind::kInt) attrs[name] = value;
          if (spec.kind == AttrSpec::Kind::kReal) attrs[name] = static_cast<double>(value);
          if (spec.kind == AttrSpec::Kind::kReals)
            attrs[name] = std::vector<double>(2, static_cast<double>(value));
          const bool dims = spec.kind == AttrSpec::Kind::kInts || spec.kind == AttrSpec::Kind::kDims;
          for (const size_t length : {lists.size(), size_t{0}, size_t{1}, size_t{2}, size_t{9}}) {
            if (dims) attrs[name] = std::vector<DimExpr>(length, DimExpr(value));
            ExpectAnswer(row, attrs, sample.inputs);
            if (!dims) break;
          }
          for (size_t d = 0; dims && d < lists.size(); ++d) {
            std::vector<DimExpr> changed = lists;
            changed[d] = DimExpr(value);
            attrs[name] = changed;
            ExpectAnswer(row, attrs, sample.inputs);
          }
        }
        if (spec.kind == AttrSpec::Kind::kReal || spec.kind == AttrSpec::Kind::kReals) {
          for (const double value : {std::nan(""), HUGE_VAL, -HUGE_VAL, 1e308}) {
            attrs[name] = spec.kind == AttrSpec::Kind::kReal ? AttrValue(value)
                                                             : AttrValue(std::vector<double>(2, value));
            ExpectAnswer(row, attrs, sample.inputs);
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace hone
