#include "compiler/tensor_program/interpreter.h"

#include <cmath>
#include <cstring>
#include <unordered_map>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "compiler/tensor_program/scalar_evaluator.h"

namespace hone {
namespace {

template <typename T>
T Read(const std::vector<uint8_t>& bytes, int64_t element) {
  T value;
  std::memcpy(&value, bytes.data() + element * static_cast<int64_t>(sizeof(T)), sizeof(T));
  return value;
}
template <typename T>
void Write(std::vector<uint8_t>* bytes, int64_t element, T value) {
  std::memcpy(bytes->data() + element * static_cast<int64_t>(sizeof(T)), &value, sizeof(T));
}

// IEEE 754 binary16 and bfloat16, round to nearest even.
double FromHalf(uint16_t bits) {
  const int exponent = (bits >> 10) & 31, mantissa = bits & 1023;
  const double magnitude = exponent == 31 ? (mantissa != 0 ? std::nan("") : HUGE_VAL)
                           : exponent == 0 ? std::ldexp(mantissa, -24)
                                           : std::ldexp(1024 + mantissa, exponent - 25);
  return (bits & 0x8000) != 0 ? -magnitude : magnitude;
}
uint16_t ToHalf(double value) {
  const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  if (std::isnan(value)) return 0x7e00;
  const double magnitude = std::fabs(value);
  if (magnitude >= 65520) return sign | 0x7c00;
  int exponent = 0;
  std::frexp(magnitude, &exponent);
  const int shift = std::max(exponent - 11, -24);   // the last bit of the mantissa
  const double scaled = std::nearbyint(std::ldexp(magnitude, -shift));
  if (shift == -24) return sign | static_cast<uint16_t>(scaled);
  return static_cast<uint16_t>(sign + ((shift + 25) << 10) + static_cast<int>(scaled) - 1024);
}
double FromBrain(uint16_t bits) {
  const uint32_t wide = static_cast<uint32_t>(bits) << 16;
  float value;
  std::memcpy(&value, &wide, sizeof(value));
  return value;
}
uint16_t ToBrain(double value) {
  const float narrow = static_cast<float>(value);
  uint32_t bits;
  std::memcpy(&bits, &narrow, sizeof(bits));
  if (std::isnan(narrow)) return static_cast<uint16_t>((bits >> 16) | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

int64_t Elements(const std::vector<int64_t>& shape) {
  int64_t count = 1;
  for (const int64_t dim : shape) count *= dim;
  return count;
}

absl::Status Bind(const TensorProgram& program, std::span<const HostTensor> operands,
                  std::map<SymbolRef, int64_t>* symbols) {
  std::vector<ProgramTensorId> given = program.TensorsOf(ProgramTensor::Role::kInput);
  for (const ProgramTensorId id : program.TensorsOf(ProgramTensor::Role::kConstant)) given.push_back(id);
  if (given.size() != operands.size()) {
    return absl::InvalidArgumentError(absl::StrCat("the program takes ", given.size(), " operands, not ", operands.size()));
  }
  const auto fault = [](const ProgramTensor& tensor) {
    return absl::InvalidArgumentError(absl::StrCat("operand '", tensor.name, "' does not fit the program"));
  };
  for (size_t i = 0; i < given.size(); ++i) {
    const ProgramTensor& tensor = program.tensors[given[i]];
    if (tensor.dtype != operands[i].dtype || tensor.shape.size() != operands[i].dims.size()) return fault(tensor);
    if (static_cast<int64_t>(operands[i].bytes.size()) != operands[i].Elements() * DTypeBytes(tensor.dtype)) return fault(tensor);
    for (size_t d = 0; d < tensor.shape.size(); ++d) {
      const std::vector<SymbolRef> free = tensor.shape[d].Symbols();
      if (free.size() == 1 && tensor.shape[d] == DimExpr(free[0])) symbols->emplace(free[0], operands[i].dims[d]);
    }
  }
  for (size_t i = 0; i < given.size(); ++i) {
    const ProgramTensor& tensor = program.tensors[given[i]];
    for (size_t d = 0; d < tensor.shape.size(); ++d) {
      const absl::StatusOr<int64_t> dim = tensor.shape[d].Evaluate(*symbols);
      if (!dim.ok()) return dim.status();
      if (*dim != operands[i].dims[d]) return fault(tensor);
    }
  }
  return absl::OkStatus();
}

// Steps `index` through a box, last dimension fastest; false after the last point.
bool Next(std::vector<int64_t>* index, size_t begin, const std::vector<int64_t>& extents) {
  for (size_t d = extents.size(); d-- > 0;) {
    if (++(*index)[begin + d] < extents[d]) return true;
    (*index)[begin + d] = 0;
  }
  return false;
}

// One stage made ready: extents, evaluators of bodies and combiners.
class StageEvaluator {
 public:
  StageEvaluator(const Stage& stage, const std::map<SymbolRef, int64_t>& symbols,
                 const std::vector<std::vector<int64_t>>& shapes, const ScalarEvaluator::Fetch& fetch)
      : stage_(stage) {
    std::vector<SymbolRef> variables;
    for (const auto* axes : {&stage.axes, &stage.reduce}) {
      for (const Axis& axis : *axes) {
        variables.push_back(axis.variable);
        (axes == &stage.axes ? extents_ : reduce_).push_back(axis.extent.Evaluate(symbols).value_or(0));
      }
    }
    for (const ScalarRef& body : stage.body) bodies_.emplace_back(body, variables, symbols, shapes, fetch);
    if (!stage.tuple) return;
    for (const ScalarRef& scalar : stage.tuple->identity) identity_.emplace_back(scalar, variables, symbols, shapes, fetch);
    for (const ScalarRef& scalar : stage.tuple->combine) combine_.emplace_back(scalar, variables, symbols, shapes, fetch);
  }

  const std::vector<int64_t>& extents() const { return extents_; }

  // `point`: coordinates of the outputs, with room for the reduction axes behind them.
  std::vector<Number> At(std::vector<int64_t>* point) const {
    std::vector<Number> values;
    if (stage_.combine == Combine::kNone) {
      for (const ScalarEvaluator& body : bodies_) values.push_back(body.Evaluate(*point));
      return values;
    }
    values = Identity();
    std::fill(point->begin() + static_cast<ptrdiff_t>(extents_.size()), point->end(), 0);
    if (Elements(reduce_) == 0) return values;
    do {
      Step(*point, &values);
    } while (Next(point, extents_.size(), reduce_));
    return values;
  }

  std::vector<int64_t> Point(int64_t element) const {
    std::vector<int64_t> point(extents_.size() + reduce_.size(), 0);
    for (size_t d = extents_.size(); d-- > 0;) {
      point[d] = element % extents_[d];
      element /= extents_[d];
    }
    return point;
  }

 private:
  std::vector<Number> Identity() const {
    std::vector<Number> values;
    for (const ScalarEvaluator& identity : identity_) values.push_back(identity.Evaluate({}));
    if (!values.empty()) return values;
    const double infinity = std::numeric_limits<double>::infinity();
    const double value = stage_.combine == Combine::kProd  ? 1
                         : stage_.combine == Combine::kMax ? -infinity
                         : stage_.combine == Combine::kMin ? infinity
                                                           : 0;
    return {NumberOf(stage_.body[0]->dtype, value)};
  }

  void Step(const std::vector<int64_t>& point, std::vector<Number>* values) const {
    if (stage_.combine == Combine::kTuple) {
      std::vector<Number> both = *values;
      for (const ScalarEvaluator& body : bodies_) both.push_back(body.Evaluate(point));
      for (size_t c = 0; c < combine_.size(); ++c) (*values)[c] = combine_[c].Evaluate(point, both);
      return;
    }
    const Number x = bodies_[0].Evaluate(point);
    Number& sum = (*values)[0];
    const DType dtype = stage_.body[0]->dtype;
    if (IsFloat(dtype)) {
      switch (stage_.combine) {
        case Combine::kProd: sum.real *= x.real; break;
        case Combine::kMax: sum.real = std::isnan(x.real) || x.real > sum.real ? x.real : sum.real; break;
        case Combine::kMin: sum.real = std::isnan(x.real) || x.real < sum.real ? x.real : sum.real; break;
        default: sum.real += x.real;
      }
      return;
    }
    switch (stage_.combine) {
      case Combine::kProd:
        sum.integer = Wrap(static_cast<int64_t>(static_cast<uint64_t>(sum.integer) * static_cast<uint64_t>(x.integer)), dtype);
        break;
      case Combine::kMax: sum.integer = std::max(sum.integer, x.integer); break;
      case Combine::kMin: sum.integer = std::min(sum.integer, x.integer); break;
      default:
        sum.integer = Wrap(static_cast<int64_t>(static_cast<uint64_t>(sum.integer) + static_cast<uint64_t>(x.integer)), dtype);
    }
  }

  const Stage& stage_;
  std::vector<int64_t> extents_, reduce_;
  std::vector<ScalarEvaluator> bodies_, identity_, combine_;
};

// All tensors in full, in f64 or i64.
class Machine {
 public:
  Machine(const TensorProgram& program, std::map<SymbolRef, int64_t> symbols)
      : program_(program), symbols_(std::move(symbols)), values_(program.tensors.size()) {}

  absl::Status Run(std::span<const HostTensor> operands) {
    for (const ProgramTensor& tensor : program_.tensors) {
      std::vector<int64_t> shape;
      for (const DimExpr& dim : tensor.shape) {
        const absl::StatusOr<int64_t> value = dim.Evaluate(symbols_);
        if (!value.ok()) return value.status();
        if (*value < 0) return absl::InvalidArgumentError(absl::StrCat("'", tensor.name, "' has a negative dimension"));
        shape.push_back(*value);
      }
      shapes_.push_back(std::move(shape));
    }
    size_t operand = 0;
    for (const auto role : {ProgramTensor::Role::kInput, ProgramTensor::Role::kConstant}) {
      for (const ProgramTensorId id : program_.TensorsOf(role)) Fill(id, operands[operand++]);
    }
    for (const Stage& stage : program_.stages) {
      if (absl::Status status = stage.scan ? RunScan(*stage.scan) : RunStage(stage); !status.ok()) return status;
    }
    return absl::OkStatus();
  }

  HostTensor Result(ProgramTensorId id) const {
    HostTensor tensor = HostTensor::Zeros(program_.tensors[id].dtype, shapes_[id]);
    for (size_t e = 0; e < values_[id].size(); ++e) Put(values_[id][e], static_cast<int64_t>(e), &tensor);
    return tensor;
  }

 private:
  static void Put(const Number& value, int64_t element, HostTensor* tensor) {
    if (IsFloat(tensor->dtype)) {
      tensor->Set(element, value.real);
    } else {
      tensor->SetInteger(element, value.integer);
    }
  }

  void Fill(ProgramTensorId id, const HostTensor& tensor) {
    values_[id].resize(static_cast<size_t>(tensor.Elements()));
    for (size_t e = 0; e < values_[id].size(); ++e) {
      const int64_t element = static_cast<int64_t>(e);
      values_[id][e] = IsFloat(tensor.dtype) ? Number{tensor.Get(element), 0} : Number{0, tensor.GetInteger(element)};
    }
  }

  absl::Status RunStage(const Stage& stage) {
    const ScalarEvaluator::Fetch fetch = [&](ProgramTensorId tensor, int64_t element) {
      return values_[tensor][static_cast<size_t>(element)];
    };
    const StageEvaluator evaluator(stage, symbols_, shapes_, fetch);
    const int64_t count = Elements(evaluator.extents());
    for (const ProgramTensorId output : stage.outputs) values_[output].resize(static_cast<size_t>(count));
    std::vector<int64_t> point = evaluator.Point(0);
    for (int64_t element = 0; element < count; ++element) {
      const std::vector<Number> values = evaluator.At(&point);
      for (size_t c = 0; c < stage.outputs.size(); ++c) values_[stage.outputs[c]][static_cast<size_t>(element)] = values[c];
      Next(&point, 0, evaluator.extents());
    }
    return absl::OkStatus();
  }

  // The body's operands are rounded to their types between steps, as stored tensors are.
  absl::Status RunScan(const Scan& scan) {
    const absl::StatusOr<int64_t> length = scan.length.Evaluate(symbols_);
    if (!length.ok()) return length.status();
    std::vector<HostTensor> carried;
    for (const ProgramTensorId id : scan.initial) carried.push_back(Result(id));
    for (const ProgramTensorId id : scan.stacked) values_[id].resize(static_cast<size_t>(Elements(shapes_[id])));
    for (int64_t step = 0; step < *length; ++step) {
      const int64_t at = scan.reverse ? *length - 1 - step : step;
      std::vector<HostTensor> operands = carried;
      for (const ProgramTensorId id : scan.scanned) operands.push_back(Slice(id, at));
      absl::StatusOr<std::vector<HostTensor>> results = Interpret(*scan.body, operands);
      if (!results.ok()) return results.status();
      for (size_t i = 0; i < carried.size(); ++i) carried[i] = (*results)[i];
      for (size_t i = 0; i < scan.stacked.size(); ++i) {
        const HostTensor& slice = (*results)[carried.size() + i];
        const int64_t count = slice.Elements();
        for (int64_t e = 0; e < count; ++e) {
          values_[scan.stacked[i]][static_cast<size_t>(at * count + e)] =
              IsFloat(slice.dtype) ? Number{slice.Get(e), 0} : Number{0, slice.GetInteger(e)};
        }
      }
    }
    for (size_t i = 0; i < scan.final_carried.size(); ++i) Fill(scan.final_carried[i], carried[i]);
    return absl::OkStatus();
  }

  HostTensor Slice(ProgramTensorId id, int64_t at) const {
    HostTensor slice = HostTensor::Zeros(program_.tensors[id].dtype, {shapes_[id].begin() + 1, shapes_[id].end()});
    const int64_t count = slice.Elements();
    for (int64_t e = 0; e < count; ++e) Put(values_[id][static_cast<size_t>(at * count + e)], e, &slice);
    return slice;
  }

  const TensorProgram& program_;
  std::map<SymbolRef, int64_t> symbols_;
  std::vector<std::vector<int64_t>> shapes_;
  std::vector<std::vector<Number>> values_;
};

// Single elements on demand; what a stage computed is kept.
class ElementMachine {
 public:
  ElementMachine(const TensorProgram& program, std::span<const HostTensor> operands, int64_t budget)
      : program_(program), budget_(budget), operands_(program.tensors.size(), nullptr), known_(program.tensors.size()) {
    for (const ProgramTensor& tensor : program.tensors) shapes_.push_back(ConstantShape(tensor.shape).value());
    size_t operand = 0;
    for (const auto role : {ProgramTensor::Role::kInput, ProgramTensor::Role::kConstant}) {
      for (const ProgramTensorId id : program.TensorsOf(role)) operands_[id] = &operands[operand++];
    }
    fetch_ = [this](ProgramTensorId tensor, int64_t element) { return Value(tensor, element); };
    for (const Stage& stage : program.stages) {
      auto evaluator = std::make_shared<StageEvaluator>(stage, symbols_, shapes_, fetch_);
      for (size_t c = 0; c < stage.outputs.size(); ++c) producers_[stage.outputs[c]] = {evaluator, &stage};
    }
  }

  Number Value(ProgramTensorId tensor, int64_t element) {
    if (--budget_ < 0) return {};
    if (const HostTensor* operand = operands_[tensor]) {
      return IsFloat(operand->dtype) ? Number{operand->Get(element), 0} : Number{0, operand->GetInteger(element)};
    }
    const auto found = known_[tensor].find(element);
    if (found != known_[tensor].end()) return found->second;
    const auto& [evaluator, stage] = producers_.at(tensor);
    std::vector<int64_t> point = evaluator->Point(element);
    const std::vector<Number> values = evaluator->At(&point);
    for (size_t c = 0; c < stage->outputs.size(); ++c) known_[stage->outputs[c]][element] = values[c];
    return known_[tensor].at(element);
  }

  bool exhausted() const { return budget_ < 0; }

 private:
  const TensorProgram& program_;
  int64_t budget_;
  std::map<SymbolRef, int64_t> symbols_;
  std::vector<std::vector<int64_t>> shapes_;
  std::vector<const HostTensor*> operands_;
  std::vector<std::unordered_map<int64_t, Number>> known_;
  std::map<ProgramTensorId, std::pair<std::shared_ptr<StageEvaluator>, const Stage*>> producers_;
  ScalarEvaluator::Fetch fetch_;
};

}  // namespace

HostTensor HostTensor::Zeros(DType dtype, std::vector<int64_t> dims) {
  HostTensor tensor{dtype, std::move(dims), {}};
  tensor.bytes.assign(static_cast<size_t>(tensor.Elements() * DTypeBytes(dtype)), 0);
  return tensor;
}

int64_t HostTensor::Elements() const { return hone::Elements(dims); }

double HostTensor::Get(int64_t element) const {
  switch (dtype) {
    case DType::kF32: return Read<float>(bytes, element);
    case DType::kF64: return Read<double>(bytes, element);
    case DType::kF16: return FromHalf(Read<uint16_t>(bytes, element));
    case DType::kBF16: return FromBrain(Read<uint16_t>(bytes, element));
    case DType::kU64: return static_cast<double>(Read<uint64_t>(bytes, element));
    default: return static_cast<double>(GetInteger(element));
  }
}

int64_t HostTensor::GetInteger(int64_t element) const {
  switch (dtype) {
    case DType::kI8: return Read<int8_t>(bytes, element);
    case DType::kI16: return Read<int16_t>(bytes, element);
    case DType::kI32: return Read<int32_t>(bytes, element);
    case DType::kI64: return Read<int64_t>(bytes, element);
    case DType::kU8: return Read<uint8_t>(bytes, element);
    case DType::kU16: return Read<uint16_t>(bytes, element);
    case DType::kU32: return Read<uint32_t>(bytes, element);
    case DType::kU64: return static_cast<int64_t>(Read<uint64_t>(bytes, element));
    case DType::kBool: return Read<uint8_t>(bytes, element) != 0;
    default: return static_cast<int64_t>(Get(element));
  }
}

void HostTensor::Set(int64_t element, double value) {
  switch (dtype) {
    case DType::kF32: return Write(&bytes, element, static_cast<float>(value));
    case DType::kF64: return Write(&bytes, element, value);
    case DType::kF16: return Write(&bytes, element, ToHalf(value));
    case DType::kBF16: return Write(&bytes, element, ToBrain(value));
    default: return SetInteger(element, NumberOf(dtype, value).integer);
  }
}

void HostTensor::SetInteger(int64_t element, int64_t value) {
  switch (DTypeBytes(dtype)) {
    case 1: return Write(&bytes, element, static_cast<uint8_t>(dtype == DType::kBool ? value != 0 : value));
    case 2: return Write(&bytes, element, static_cast<uint16_t>(value));
    case 4: return Write(&bytes, element, static_cast<uint32_t>(value));
    default: return Write(&bytes, element, static_cast<uint64_t>(value));
  }
}

absl::StatusOr<std::vector<HostTensor>> Interpret(const TensorProgram& program, std::span<const HostTensor> operands) {
  std::map<SymbolRef, int64_t> symbols;
  if (absl::Status status = Bind(program, operands, &symbols); !status.ok()) return status;
  Machine machine(program, std::move(symbols));
  if (absl::Status status = machine.Run(operands); !status.ok()) return status;
  std::vector<HostTensor> results;
  for (const ProgramTensorId id : program.TensorsOf(ProgramTensor::Role::kOutput)) results.push_back(machine.Result(id));
  return results;
}

absl::StatusOr<std::vector<double>> InterpretElements(const TensorProgram& program, std::span<const HostTensor> operands,
                                                      int output, std::span<const int64_t> elements,
                                                      int64_t max_evaluations) {
  std::map<SymbolRef, int64_t> symbols;
  if (absl::Status status = Bind(program, operands, &symbols); !status.ok()) return status;
  const std::vector<ProgramTensorId> outputs = program.TensorsOf(ProgramTensor::Role::kOutput);
  if (output < 0 || output >= static_cast<int>(outputs.size())) return absl::InvalidArgumentError("no such output");
  for (const ProgramTensor& tensor : program.tensors) {
    if (!ConstantShape(tensor.shape)) return absl::InvalidArgumentError("single elements of static programs only");
  }
  std::vector<double> values;
  const bool real = IsFloat(program.tensors[outputs[output]].dtype);
  bool scans = false;
  for (const Stage& stage : program.stages) scans = scans || stage.scan.has_value();
  if (scans) {
    // A scan's elements depend on all before them: the whole is computed.
    absl::StatusOr<std::vector<HostTensor>> all = Interpret(program, operands);
    if (!all.ok()) return all.status();
    for (const int64_t element : elements) values.push_back((*all)[output].Get(element));
    return values;
  }
  ElementMachine machine(program, operands, max_evaluations);
  for (const int64_t element : elements) {
    const Number value = machine.Value(outputs[output], element);
    if (machine.exhausted()) return absl::DeadlineExceededError("too many scalar loads");
    values.push_back(real ? value.real : static_cast<double>(value.integer));
  }
  return values;
}

}  // namespace hone
