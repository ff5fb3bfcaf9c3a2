#include "compiler/tensor_program/interpreter.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <unordered_map>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "compiler/tensor_program/scalar_evaluator.h"

namespace hone {
namespace {

using Role = ProgramTensor::Role;

constexpr int64_t kMaxElements = int64_t{1} << 28;   // written by one program; 16 bytes each
constexpr size_t kMaxChain = 200;                    // stages that are evaluated by recursion

int64_t Elements(const std::vector<int64_t>& shape) {
  int64_t count = 1;
  for (const int64_t dim : shape) count *= dim;
  return count;
}

// The operands in order, by tensor.
std::vector<ProgramTensorId> GivenTensors(const TensorProgram& program) {
  std::vector<ProgramTensorId> given = program.TensorsOf(Role::kInput);
  for (const ProgramTensorId id : program.TensorsOf(Role::kConstant)) given.push_back(id);
  return given;
}

// Finds the symbol's value if `dim` is affine in it and nothing else.
absl::Status BindSymbol(const DimExpr& dim, int64_t size, std::map<SymbolRef, int64_t>* symbols) {
  const std::vector<SymbolRef> free = dim.Symbols();
  if (free.size() != 1 || symbols->contains(free[0])) return absl::OkStatus();
  DimExpr rest;
  const std::optional<int64_t> scale = dim.AffineCoefficient(free[0], &rest);
  if (!scale || *scale == 0 || !rest.IsConstant()) return absl::OkStatus();
  const absl::StatusOr<int64_t> product = (DimExpr(size) - rest).Evaluate({});
  if (!product.ok()) return product.status();
  const Symbol& symbol = *free[0];
  const int64_t value = *product / *scale;
  if (*product % *scale != 0 || value < symbol.lower || value > symbol.upper || value % symbol.divisor != 0) {
    return absl::InvalidArgumentError(absl::StrCat("dimension '", symbol.name, "' cannot have the size that ", size,
                                                   " = ", dim.ToString(), " gives it"));
  }
  symbols->emplace(free[0], value);
  return absl::OkStatus();
}

absl::Status Bind(const TensorProgram& program, std::span<const HostTensor> operands,
                  std::map<SymbolRef, int64_t>* symbols) {
  const std::vector<ProgramTensorId> given = GivenTensors(program);
  if (given.size() != operands.size()) {
    return absl::InvalidArgumentError(absl::StrCat("the program takes ", given.size(), " operands, not ", operands.size()));
  }
  const auto fault = [](const ProgramTensor& tensor) {
    return absl::InvalidArgumentError(absl::StrCat("operand '", tensor.name, "' does not fit the program"));
  };
  for (size_t i = 0; i < given.size(); ++i) {
    const ProgramTensor& tensor = program.tensors[given[i]];
    const HostTensor& operand = operands[i];
    if (tensor.dtype != operand.dtype || tensor.shape.size() != operand.dims.size()) return fault(tensor);
    if (std::any_of(operand.dims.begin(), operand.dims.end(), [](int64_t dim) { return dim < 0; })) return fault(tensor);
    const int64_t width = DTypeBytes(tensor.dtype), bytes = static_cast<int64_t>(operand.bytes.size());
    if (bytes % width != 0 || operand.Elements() != bytes / width) return fault(tensor);
    for (size_t d = 0; d < tensor.shape.size(); ++d) {
      if (absl::Status status = BindSymbol(tensor.shape[d], operand.dims[d], symbols); !status.ok()) return status;
    }
  }
  for (size_t i = 0; i < given.size(); ++i) {
    const ProgramTensor& tensor = program.tensors[given[i]];
    for (size_t d = 0; d < tensor.shape.size(); ++d) {
      const absl::StatusOr<int64_t> dim = tensor.shape[d].Evaluate(*symbols);
      if (!dim.ok()) return absl::InvalidArgumentError(dim.status().message());
      if (*dim != operands[i].dims[d]) return fault(tensor);
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::vector<int64_t>>> BoundShapes(const TensorProgram& program,
                                                              const std::map<SymbolRef, int64_t>& symbols) {
  std::vector<std::vector<int64_t>> shapes;
  int64_t total = 0;
  for (const ProgramTensor& tensor : program.tensors) {
    std::vector<int64_t> shape;
    int64_t count = 1;
    bool huge = false;
    for (const DimExpr& dim : tensor.shape) {
      const absl::StatusOr<int64_t> value = dim.Evaluate(symbols);
      if (!value.ok()) return absl::InvalidArgumentError(value.status().message());
      if (*value < 0) return absl::InvalidArgumentError(absl::StrCat("'", tensor.name, "' has a negative dimension"));
      huge = __builtin_mul_overflow(count, *value, &count) || huge;
      shape.push_back(*value);
    }
    if (std::find(shape.begin(), shape.end(), 0) != shape.end()) huge = false, count = 0;
    const bool given = tensor.role == Role::kInput || tensor.role == Role::kConstant;
    if (!given && (huge || count > kMaxElements || (total += count) > kMaxElements)) {
      return absl::ResourceExhaustedError(absl::StrCat("'", tensor.name, "' is too large to be interpreted"));
    }
    shapes.push_back(std::move(shape));
  }
  return shapes;
}

// Steps `index` through a box, last dimension fastest; false after the last point.
bool Next(std::vector<int64_t>* index, size_t begin, std::span<const int64_t> extents) {
  for (size_t d = extents.size(); d-- > 0;) {
    if (++(*index)[begin + d] < extents[d]) return true;
    (*index)[begin + d] = 0;
  }
  return false;
}

// What an evaluation may still do, and what went wrong.
struct Meter {
  int64_t loads = std::numeric_limits<int64_t>::max();   // left
  const ProgramTensor* outside = nullptr;                // a load ran outside it

  bool Stopped() const { return loads < 0 || outside != nullptr; }
  absl::Status status() const {
    if (outside != nullptr) return absl::InternalError(absl::StrCat("a load runs outside '", outside->name, "'"));
    return loads < 0 ? absl::DeadlineExceededError("too many scalar loads") : absl::OkStatus();
  }
};

Number ElementOf(const HostTensor& tensor, int64_t element) {
  return IsFloat(tensor.dtype) ? Number{tensor.Get(element), 0} : Number{0, tensor.GetInteger(element)};
}

// One stage made ready: extents, evaluators of bodies and combiners.
class StageEvaluator {
 public:
  StageEvaluator(const Stage& stage, const std::map<SymbolRef, int64_t>& symbols,
                 const std::vector<std::vector<int64_t>>& shapes, const ScalarEvaluator::Fetch& fetch, Meter* meter)
      : stage_(stage), rank_(stage.axes.size()), meter_(*meter) {
    std::vector<SymbolRef> variables;
    for (const auto* axes : {&stage.axes, &stage.reduce}) {
      for (const Axis& axis : *axes) {
        variables.push_back(axis.variable);
        extents_.push_back(axis.extent.Evaluate(symbols).value_or(0));
      }
    }
    const ScalarEvaluator::Scope scope{variables, extents_, symbols, shapes};
    for (const ScalarRef& body : stage.body) bodies_.emplace_back(body, scope, fetch);
    if (stage.combine == Combine::kNone) return;
    if (stage.tuple) {
      for (const ScalarRef& scalar : stage.tuple->combine) combine_.emplace_back(scalar, scope, fetch);
      for (const ScalarRef& scalar : stage.tuple->identity) {
        identity_.push_back(ScalarEvaluator(scalar, scope, fetch).Evaluate(extents_));
      }
    } else {
      identity_ = {IdentityOf(stage.combine, stage.body[0]->dtype)};
    }
  }

  std::span<const int64_t> extents() const { return std::span(extents_).first(rank_); }

  // One value per output. `point`: coordinates of the outputs, with room for the reduction axes behind them.
  const std::vector<Number>& At(std::vector<int64_t>* point) {
    values_ = identity_;
    if (stage_.combine == Combine::kNone) {
      for (const ScalarEvaluator& body : bodies_) values_.push_back(Metered(body, *point));
      return values_;
    }
    const std::span<const int64_t> reduce = std::span(extents_).subspan(rank_);
    std::fill(point->begin() + static_cast<ptrdiff_t>(rank_), point->end(), 0);
    if (std::any_of(reduce.begin(), reduce.end(), [](int64_t extent) { return extent <= 0; })) return values_;
    do {
      Step(*point);
    } while (!meter_.Stopped() && Next(point, rank_, reduce));
    return values_;
  }

  std::vector<int64_t> Point(int64_t element) const {
    std::vector<int64_t> point(extents_.size(), 0);
    for (size_t d = rank_; d-- > 0;) {
      point[d] = element % extents_[d];
      element /= extents_[d];
    }
    return point;
  }

 private:
  static Number IdentityOf(Combine combine, DType dtype) {
    const double infinity = std::numeric_limits<double>::infinity();
    switch (combine) {
      case Combine::kProd: return NumberOf(dtype, 1);
      case Combine::kMax: return dtype == DType::kBool ? Number() : NumberOf(dtype, -infinity);
      case Combine::kMin: return NumberOf(dtype, infinity);
      case Combine::kNone:
      case Combine::kTuple:
      case Combine::kSum: break;
    }
    return {};
  }

  // An expression without loads costs one, so that every evaluation ends.
  Number Metered(const ScalarEvaluator& body, const std::vector<int64_t>& point) {
    const int64_t before = meter_.loads;
    const Number value = body.Evaluate(point);
    if (meter_.loads == before) --meter_.loads;
    return value;
  }

  void Step(const std::vector<int64_t>& point) {
    if (stage_.combine == Combine::kTuple) {
      both_ = values_;
      for (const ScalarEvaluator& body : bodies_) both_.push_back(Metered(body, point));
      for (size_t c = 0; c < combine_.size(); ++c) values_[c] = combine_[c].Evaluate(point, both_);
      return;
    }
    const Number x = Metered(bodies_[0], point);
    const DType dtype = stage_.body[0]->dtype;
    Number& sum = values_[0];
    switch (stage_.combine) {
      case Combine::kProd: sum = ApplyBinary(BinaryOp::kMul, sum, x, dtype); break;
      case Combine::kMax: sum = ApplyBinary(BinaryOp::kMax, sum, x, dtype); break;
      case Combine::kMin: sum = ApplyBinary(BinaryOp::kMin, sum, x, dtype); break;
      case Combine::kNone:
      case Combine::kTuple:
      case Combine::kSum:
        sum = IsFloat(dtype) ? Number{sum.real + x.real, 0} : ApplyBinary(BinaryOp::kAdd, sum, x, dtype);
    }
  }

  const Stage& stage_;
  const size_t rank_;
  Meter& meter_;
  std::vector<int64_t> extents_;   // of the axes, then of the reduction
  std::vector<ScalarEvaluator> bodies_, combine_;
  std::vector<Number> identity_, values_, both_;
};

absl::StatusOr<std::vector<HostTensor>> Run(const TensorProgram& program, std::span<const HostTensor> operands, Meter* meter);

// All tensors in full, in f64 or i64.
class Machine {
 public:
  Machine(const TensorProgram& program, std::span<const HostTensor> operands, std::map<SymbolRef, int64_t> symbols,
          std::vector<std::vector<int64_t>> shapes, Meter* meter)
      : program_(program),
        symbols_(std::move(symbols)),
        shapes_(std::move(shapes)),
        operands_(program.tensors.size(), nullptr),
        values_(program.tensors.size()),
        meter_(*meter) {
    for (size_t operand = 0; const ProgramTensorId id : GivenTensors(program)) operands_[id] = &operands[operand++];
    fetch_ = [this](ProgramTensorId tensor, int64_t element) -> Number {
      --meter_.loads;
      if (element >= 0) return ValueOf(tensor, element);
      meter_.outside = &program_.tensors[tensor];
      return {};
    };
  }

  absl::Status Run() {
    for (const Stage& stage : program_.stages) {
      if (absl::Status status = stage.scan ? RunScan(*stage.scan) : RunStage(stage); !status.ok()) return status;
    }
    return absl::OkStatus();
  }

  HostTensor Result(ProgramTensorId id) const {
    if (operands_[id] != nullptr) return *operands_[id];
    return Part(id, 0, Elements(shapes_[id]), shapes_[id]);
  }

 private:
  Number ValueOf(ProgramTensorId tensor, int64_t element) const {
    const HostTensor* operand = operands_[tensor];
    return operand != nullptr ? ElementOf(*operand, element) : values_[tensor][static_cast<size_t>(element)];
  }

  HostTensor Part(ProgramTensorId id, int64_t begin, int64_t count, std::vector<int64_t> dims) const {
    HostTensor tensor = HostTensor::Zeros(program_.tensors[id].dtype, std::move(dims));
    for (int64_t e = 0; e < count; ++e) {
      const Number value = ValueOf(id, begin + e);
      IsFloat(tensor.dtype) ? tensor.Set(e, value.real) : tensor.SetInteger(e, value.integer);
    }
    return tensor;
  }

  void Fill(ProgramTensorId id, int64_t begin, const HostTensor& tensor) {
    for (int64_t e = 0; e < tensor.Elements(); ++e) values_[id][static_cast<size_t>(begin + e)] = ElementOf(tensor, e);
  }

  absl::Status RunStage(const Stage& stage) {
    StageEvaluator evaluator(stage, symbols_, shapes_, fetch_, &meter_);
    const std::vector<int64_t>& shape = shapes_[stage.outputs[0]];
    const int64_t count = Elements(shape);
    for (const ProgramTensorId output : stage.outputs) values_[output].resize(static_cast<size_t>(count));
    if (count == 0) return absl::OkStatus();
    std::vector<int64_t> point = evaluator.Point(0);
    for (int64_t element = 0; element < count && !meter_.Stopped(); ++element) {
      const std::vector<Number>& values = evaluator.At(&point);
      for (size_t c = 0; c < stage.outputs.size(); ++c) values_[stage.outputs[c]][static_cast<size_t>(element)] = values[c];
      Next(&point, 0, evaluator.extents());
    }
    return meter_.status();
  }

  // The body's operands are rounded to their types between steps, as stored tensors are.
  absl::Status RunScan(const Scan& scan) {
    const absl::StatusOr<int64_t> length = scan.length.Evaluate(symbols_);
    if (!length.ok()) return length.status();
    std::vector<HostTensor> carried;
    for (const ProgramTensorId id : scan.initial) carried.push_back(Result(id));
    for (const auto* written : {&scan.stacked, &scan.final_carried}) {
      for (const ProgramTensorId id : *written) values_[id].resize(static_cast<size_t>(Elements(shapes_[id])));
    }
    for (int64_t step = 0; step < *length; ++step) {
      const int64_t at = scan.reverse ? *length - 1 - step : step;
      std::vector<HostTensor> operands = std::move(carried);
      for (const ProgramTensorId id : scan.scanned) {
        const std::vector<int64_t> slice(shapes_[id].begin() + 1, shapes_[id].end());
        operands.push_back(Part(id, at * Elements(slice), Elements(slice), slice));
      }
      absl::StatusOr<std::vector<HostTensor>> results = hone::Run(*scan.body, operands, &meter_);
      if (!results.ok()) return results.status();
      for (size_t i = 0; i < scan.stacked.size(); ++i) {
        const HostTensor& slice = (*results)[scan.initial.size() + i];
        Fill(scan.stacked[i], at * slice.Elements(), slice);
      }
      results->resize(scan.initial.size());
      carried = *std::move(results);
    }
    for (size_t i = 0; i < scan.final_carried.size(); ++i) Fill(scan.final_carried[i], 0, carried[i]);
    return absl::OkStatus();
  }

  const TensorProgram& program_;
  const std::map<SymbolRef, int64_t> symbols_;
  const std::vector<std::vector<int64_t>> shapes_;
  std::vector<const HostTensor*> operands_;     // null: in values_
  std::vector<std::vector<Number>> values_;
  Meter& meter_;
  ScalarEvaluator::Fetch fetch_;
};

// The program verifies.
absl::StatusOr<std::vector<HostTensor>> Run(const TensorProgram& program, std::span<const HostTensor> operands, Meter* meter) {
  std::map<SymbolRef, int64_t> symbols;
  if (absl::Status status = Bind(program, operands, &symbols); !status.ok()) return status;
  absl::StatusOr<std::vector<std::vector<int64_t>>> shapes = BoundShapes(program, symbols);
  if (!shapes.ok()) return shapes.status();
  Machine machine(program, operands, std::move(symbols), *std::move(shapes), meter);
  if (absl::Status status = machine.Run(); !status.ok()) return status;
  std::vector<HostTensor> results;
  for (const ProgramTensorId id : program.TensorsOf(Role::kOutput)) results.push_back(machine.Result(id));
  return results;
}

// Values of some elements of a tensor.
class KnownElements {
 public:
  // `dense`: many of them will be known, and are read often.
  KnownElements(int64_t elements, bool dense) {
    if (!dense || elements > kMaxDense) return;
    known_.resize(static_cast<size_t>(elements));
    dense_.resize(static_cast<size_t>(elements));
  }

  const Number* Find(int64_t element) const {
    if (!known_.empty()) return known_[static_cast<size_t>(element)] ? &dense_[static_cast<size_t>(element)] : nullptr;
    const auto found = sparse_.find(element);
    return found == sparse_.end() ? nullptr : &found->second;
  }
  void Add(int64_t element, const Number& value) {
    if (known_.empty()) {
      sparse_[element] = value;
    } else {
      known_[static_cast<size_t>(element)] = true;
      dense_[static_cast<size_t>(element)] = value;
    }
  }

 private:
  static constexpr int64_t kMaxDense = int64_t{1} << 20;
  std::vector<bool> known_;     // empty: sparse
  std::vector<Number> dense_;
  std::unordered_map<int64_t, Number> sparse_;
};

// Single elements on demand; what a stage computed is kept.
class ElementMachine {
 public:
  ElementMachine(const TensorProgram& program, std::span<const HostTensor> operands,
                 std::vector<std::vector<int64_t>> shapes, Meter* meter)
      : program_(program),
        shapes_(std::move(shapes)),
        operands_(program.tensors.size(), nullptr),
        meter_(*meter) {
    for (size_t i = 0; i < shapes_.size(); ++i) {
      const bool temporary = program.tensors[i].role == Role::kTemporary;
      known_.emplace_back(temporary ? Elements(shapes_[i]) : 0, temporary);
    }
    for (size_t operand = 0; const ProgramTensorId id : GivenTensors(program)) operands_[id] = &operands[operand++];
    fetch_ = [this](ProgramTensorId tensor, int64_t element) { return Value(tensor, element); };
    for (const Stage& stage : program.stages) {
      auto evaluator = std::make_shared<StageEvaluator>(stage, symbols_, shapes_, fetch_, meter);
      for (const ProgramTensorId output : stage.outputs) producers_[output] = {evaluator, &stage};
    }
  }

  Number Value(ProgramTensorId tensor, int64_t element) {
    if (element < 0) meter_.outside = &program_.tensors[tensor];
    --meter_.loads;
    if (meter_.Stopped()) return {};
    if (const HostTensor* operand = operands_[tensor]) return ElementOf(*operand, element);
    if (const Number* known = known_[tensor].Find(element)) return *known;
    const auto& [evaluator, stage] = producers_.at(tensor);
    std::vector<int64_t> point = evaluator->Point(element);
    const std::vector<Number>& values = evaluator->At(&point);
    for (size_t c = 0; c < stage->outputs.size(); ++c) known_[stage->outputs[c]].Add(element, values[c]);
    return *known_[tensor].Find(element);
  }

 private:
  const TensorProgram& program_;
  const std::map<SymbolRef, int64_t> symbols_;   // none: the program is static
  const std::vector<std::vector<int64_t>> shapes_;
  std::vector<const HostTensor*> operands_;
  std::vector<KnownElements> known_;
  std::map<ProgramTensorId, std::pair<std::shared_ptr<StageEvaluator>, const Stage*>> producers_;
  Meter& meter_;
  ScalarEvaluator::Fetch fetch_;
};

}  // namespace

absl::StatusOr<std::vector<HostTensor>> Interpret(const TensorProgram& program, std::span<const HostTensor> operands) {
  if (absl::Status status = program.Verify(); !status.ok()) return status;
  Meter meter;
  return Run(program, operands, &meter);
}

absl::StatusOr<std::vector<double>> InterpretElements(const TensorProgram& program, std::span<const HostTensor> operands,
                                                      int output, std::span<const int64_t> elements,
                                                      int64_t max_evaluations) {
  if (absl::Status status = program.Verify(); !status.ok()) return status;
  std::map<SymbolRef, int64_t> symbols;
  if (absl::Status status = Bind(program, operands, &symbols); !status.ok()) return status;
  const std::vector<ProgramTensorId> outputs = program.TensorsOf(Role::kOutput);
  if (output < 0 || output >= static_cast<int>(outputs.size())) return absl::InvalidArgumentError("no such output");
  if (!symbols.empty()) return absl::InvalidArgumentError("single elements of static programs only");
  absl::StatusOr<std::vector<std::vector<int64_t>>> shapes = BoundShapes(program, symbols);
  if (!shapes.ok()) return shapes.status();
  const int64_t count = Elements((*shapes)[outputs[output]]);
  for (const int64_t element : elements) {
    if (element < 0 || element >= count) return absl::InvalidArgumentError(absl::StrCat("no element ", element));
  }
  Meter meter{.loads = max_evaluations};
  std::vector<double> values;
  const bool scans = std::any_of(program.stages.begin(), program.stages.end(), [](const Stage& s) { return s.scan.has_value(); });
  if (scans || program.stages.size() > kMaxChain) {
    // A scan's elements depend on all before them, and long chains exceed the stack: the whole is computed.
    absl::StatusOr<std::vector<HostTensor>> all = Run(program, operands, &meter);
    if (!all.ok()) return all.status();
    for (const int64_t element : elements) values.push_back((*all)[output].Get(element));
    return values;
  }
  ElementMachine machine(program, operands, *std::move(shapes), &meter);
  const DType dtype = program.tensors[outputs[output]].dtype;
  for (const int64_t element : elements) {
    const Number value = machine.Value(outputs[output], element);
    if (absl::Status status = meter.status(); !status.ok()) return status;
    values.push_back(IsFloat(dtype) ? value.real : CastNumber(value, dtype, DType::kF64).real);
  }
  return values;
}

}  // namespace hone
