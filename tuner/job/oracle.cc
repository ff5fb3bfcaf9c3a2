#include "tuner/job/oracle.h"

#include <algorithm>
#include <random>
#include <set>

#include "compiler/tensor_program/interpreter.h"
#include "proto/values/tensor_values.h"

namespace hone {
namespace {

constexpr size_t kMostOfAKind = 4096;
constexpr double kBudgetLoads = 1.5e7;     // about a second
constexpr int64_t kSafety = 64;            // the interpreter's own limit, times the estimate

std::vector<HostTensor> Operands(const Task& task, uint64_t seed) {
  std::vector<HostTensor> operands;
  std::vector<TensorSpec> specs = task.InputSpecs();
  const std::vector<TensorSpec> constants = task.ConstantSpecs();
  specs.insert(specs.end(), constants.begin(), constants.end());
  for (size_t i = 0; i < specs.size(); ++i) {
    operands.push_back(HostTensor::Zeros(specs[i].dtype, specs[i].dims));
    GenerateTensor(specs[i], seed, i, operands.back().bytes.data());
  }
  return operands;
}

// Loads needed for one element, roughly: every stage's reduction.
double LoadsPerElement(const TensorProgram& program) {
  double loads = 2;
  for (const Stage& stage : program.stages) {
    double points = 2;
    for (const Axis& axis : stage.reduce) points *= static_cast<double>(axis.extent.AsConstant().value_or(1));
    loads += points;
  }
  return loads;
}

std::vector<int64_t> Elements(const std::vector<int64_t>& dims, size_t most, std::mt19937_64& random) {
  int64_t count = 1;
  for (const int64_t dim : dims) count *= dim;
  std::set<int64_t> chosen;
  const auto position = [&](bool boundary) {
    int64_t element = 0;
    for (const int64_t dim : dims) {
      const int64_t inner = static_cast<int64_t>(random() % static_cast<uint64_t>(dim));
      const int64_t edge = (random() & 1) != 0 ? dim - 1 : 0;
      element = element * dim + (boundary && (random() & 1) != 0 ? edge : inner);
    }
    return element;
  };
  const size_t each = std::min(most, kMostOfAKind);
  for (size_t i = 0; i < each && count > 0; ++i) {
    chosen.insert(position(true));
    chosen.insert(position(false));
  }
  if (count > 0) chosen.insert(count - 1);
  return {chosen.begin(), chosen.end()};
}

}  // namespace

absl::StatusOr<std::vector<v1::OracleSample>> InterpretSamples(const Task& task, const TensorProgram& program,
                                                               uint64_t seed) {
  const std::vector<HostTensor> operands = Operands(task, seed);
  const std::vector<TensorSpec> outputs = task.OutputSpecs();
  std::mt19937_64 random(seed);
  std::vector<v1::OracleSample> samples;
  const double each = LoadsPerElement(program) * static_cast<double>(outputs.size());
  const size_t most = static_cast<size_t>(std::clamp(kBudgetLoads / each / 2, 4.0, static_cast<double>(kMostOfAKind)));
  for (size_t o = 0; o < outputs.size(); ++o) {
    const std::vector<int64_t> elements = Elements(outputs[o].dims, most, random);
    const int64_t limit = kSafety * static_cast<int64_t>(each) * static_cast<int64_t>(elements.size() + 1);
    const absl::StatusOr<std::vector<double>> values =
        InterpretElements(program, operands, static_cast<int>(o), elements, limit);
    if (absl::IsDeadlineExceeded(values.status())) continue;   // the device's oracle stands alone for this output
    if (!values.ok()) return values.status();
    v1::OracleSample sample;
    sample.set_output(static_cast<uint32_t>(o));
    for (size_t i = 0; i < elements.size(); ++i) {
      sample.add_element(static_cast<uint64_t>(elements[i]));
      sample.add_value((*values)[i]);
    }
    samples.push_back(std::move(sample));
  }
  return samples;
}

}  // namespace hone
