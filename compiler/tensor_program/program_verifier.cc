// The invariants of a TensorProgram.
#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "compiler/tensor_program/tensor_program.h"

namespace hone {
namespace {

constexpr int kMaxScanDepth = 8;

enum class Operands { kFloat, kInteger, kBool, kNumber };

Operands OperandsOf(UnaryOp op) {
  switch (op) {
    case UnaryOp::kNot: return Operands::kBool;
    case UnaryOp::kBitNot: return Operands::kInteger;
    case UnaryOp::kNeg:
    case UnaryOp::kAbs:
    case UnaryOp::kSign: return Operands::kNumber;
    default: return Operands::kFloat;
  }
}

Operands OperandsOf(BinaryOp op) {
  switch (op) {
    case BinaryOp::kAnd:
    case BinaryOp::kOr:
    case BinaryOp::kXor: return Operands::kBool;
    case BinaryOp::kBitAnd:
    case BinaryOp::kBitOr:
    case BinaryOp::kBitXor:
    case BinaryOp::kShiftLeft:
    case BinaryOp::kShiftRight: return Operands::kInteger;
    default: return Operands::kNumber;
  }
}

bool Takes(Operands operands, DType dtype) {
  switch (operands) {
    case Operands::kFloat: return IsFloat(dtype);
    case Operands::kInteger: return !IsFloat(dtype);
    case Operands::kBool: return dtype == DType::kBool;
    case Operands::kNumber: return true;
  }
  return false;
}

// One stage against the tensors that are written before it.
class StageVerifier {
 public:
  StageVerifier(const TensorProgram& program, const Stage& stage, const std::set<ProgramTensorId>& available,
                const std::map<std::string, SymbolRef>& symbols)
      : program_(program), stage_(stage), available_(available), symbols_(symbols) {}

  absl::Status Run() {
    if (absl::Status status = CheckAxes(); !status.ok()) return status;
    if (stage_.body.empty() || stage_.body.size() != stage_.outputs.size()) return Fault("one body per output");
    if ((stage_.combine == Combine::kNone) != stage_.reduce.empty()) return Fault("reduction axes without a combiner");
    if ((stage_.combine == Combine::kTuple) != stage_.tuple.has_value()) return Fault("tuple without a combiner");
    const bool many = stage_.combine == Combine::kNone || stage_.combine == Combine::kTuple;
    if (!many && stage_.body.size() != 1) return Fault("a reduction to several outputs needs a tuple combiner");
    for (size_t i = 0; i < stage_.outputs.size(); ++i) {
      if (absl::Status status = CheckOutput(i); !status.ok()) return status;
    }
    return stage_.tuple ? CheckCombiner() : absl::OkStatus();
  }

 private:
  absl::Status Fault(const std::string& what) const {
    return absl::InternalError(absl::StrCat("stage '", stage_.name, "': ", what));
  }

  absl::Status CheckAxes() {
    for (const auto* axes : {&stage_.axes, &stage_.reduce}) {
      for (const Axis& axis : *axes) {
        if (axis.variable == nullptr) return Fault("an axis without a variable");
        const std::string& name = axis.variable->name;
        if (!axes_.emplace(name, &axis).second) return Fault(absl::StrCat("axis '", name, "' twice"));
        for (const SymbolRef& symbol : axis.extent.Symbols()) {
          if (!IsDimension(symbol)) return Fault(absl::StrCat("extent of '", name, "' uses ", symbol->name));
        }
        const std::optional<int64_t> extent = axis.extent.AsConstant();
        static_ = static_ && extent && *extent > 0;
      }
    }
    return absl::OkStatus();
  }

  bool IsDimension(const SymbolRef& symbol) const {
    const auto found = symbols_.find(symbol->name);
    return found != symbols_.end() && found->second == symbol;
  }

  absl::Status CheckOutput(size_t i) {
    const ProgramTensor& output = program_.tensors[stage_.outputs[i]];
    if (output.shape.size() != stage_.axes.size()) return Fault("one axis per dimension of the output");
    for (size_t d = 0; d < stage_.axes.size(); ++d) {
      if (!(output.shape[d] == stage_.axes[d].extent)) return Fault(absl::StrCat("extent of axis ", d));
    }
    if (stage_.body[i] == nullptr) return Fault("null expression");
    if (output.dtype != stage_.body[i]->dtype) return Fault("type of the output");
    return CheckScalar(stage_.body[i], false);
  }

  absl::Status CheckCombiner() {
    const size_t n = stage_.body.size();
    if (stage_.tuple->identity.size() != n || stage_.tuple->combine.size() != n) return Fault("size of the combiner");
    combiner_ = true;
    for (const auto* scalars : {&stage_.tuple->identity, &stage_.tuple->combine}) {
      parameters_ = scalars == &stage_.tuple->combine;
      seen_.clear();   // what a body may contain, a combiner may not
      for (size_t i = 0; i < n; ++i) {
        const ScalarRef& scalar = (*scalars)[i];
        if (absl::Status status = CheckScalar(scalar, false); !status.ok()) return status;
        if (scalar->dtype != stage_.body[i]->dtype) return Fault("type of the combiner");
      }
    }
    return absl::OkStatus();
  }

  // `guarded`: evaluated only where a condition holds, so that loads may be out of range elsewhere.
  absl::Status CheckScalar(const ScalarRef& scalar, bool guarded) {
    if (scalar == nullptr) return Fault("null expression");
    if (!seen_.insert({scalar.get(), guarded}).second) return absl::OkStatus();
    if (absl::Status status = CheckNode(*scalar, guarded); !status.ok()) return status;
    const bool condition = scalar->kind == Scalar::Kind::kSelect ||
                           (scalar->kind == Scalar::Kind::kBinary && scalar->binary == BinaryOp::kAnd);
    for (size_t i = 0; i < scalar->operands.size(); ++i) {
      if (absl::Status status = CheckScalar(scalar->operands[i], guarded || (condition && i > 0)); !status.ok()) return status;
    }
    return absl::OkStatus();
  }

  absl::Status CheckOperands(const Scalar& scalar, size_t count) const {
    if (scalar.operands.size() != count) return Fault("number of operands");
    for (const ScalarRef& operand : scalar.operands) {
      if (operand == nullptr) return Fault("null expression");
    }
    return absl::OkStatus();
  }

  absl::Status CheckNode(const Scalar& scalar, bool guarded) {
    switch (scalar.kind) {
      case Scalar::Kind::kReal: return IsFloat(scalar.dtype) ? CheckOperands(scalar, 0) : Fault("a real of integer type");
      case Scalar::Kind::kInteger: return IsFloat(scalar.dtype) ? Fault("an integer of float type") : CheckOperands(scalar, 0);
      case Scalar::Kind::kIndex: return scalar.dtype == DType::kI64 ? CheckSymbols(scalar.index) : Fault("an index is i64");
      case Scalar::Kind::kLoad: return CheckLoad(scalar, guarded);
      case Scalar::Kind::kParameter: return CheckParameter(scalar);
      case Scalar::Kind::kCast: return CheckOperands(scalar, 1);
      case Scalar::Kind::kSelect: {
        if (absl::Status status = CheckOperands(scalar, 3); !status.ok()) return status;
        if (scalar.operands[0]->dtype != DType::kBool) return Fault("the condition of a select is not a bool");
        const bool equal = scalar.operands[1]->dtype == scalar.dtype && scalar.operands[2]->dtype == scalar.dtype;
        return equal ? absl::OkStatus() : Fault("sides of a select differ in type");
      }
      case Scalar::Kind::kUnary: {
        if (absl::Status status = CheckOperands(scalar, 1); !status.ok()) return status;
        const bool test = scalar.unary == UnaryOp::kIsNan || scalar.unary == UnaryOp::kIsInf || scalar.unary == UnaryOp::kNot;
        const DType dtype = scalar.operands[0]->dtype;
        const bool fits = Takes(OperandsOf(scalar.unary), dtype) && scalar.dtype == (test ? DType::kBool : dtype);
        return fits ? absl::OkStatus()
                    : Fault(absl::StrCat(std::string(UnaryOpName(scalar.unary)), " of ", std::string(DTypeName(dtype))));
      }
      case Scalar::Kind::kBinary: break;
    }
    if (absl::Status status = CheckOperands(scalar, 2); !status.ok()) return status;
    const DType dtype = scalar.operands[0]->dtype;
    const std::string name(BinaryOpName(scalar.binary));
    if (scalar.operands[1]->dtype != dtype) return Fault(absl::StrCat("operands of ", name, " differ in type"));
    const bool fits = Takes(OperandsOf(scalar.binary), dtype) &&
                      scalar.dtype == (IsComparison(scalar.binary) ? DType::kBool : dtype);
    return fits ? absl::OkStatus() : Fault(absl::StrCat(name, " of ", std::string(DTypeName(dtype))));
  }

  absl::Status CheckParameter(const Scalar& scalar) const {
    if (!parameters_) return Fault("a parameter outside a combiner");
    const int n = static_cast<int>(stage_.body.size());
    if (scalar.parameter < 0 || scalar.parameter >= 2 * n) return Fault("number of a parameter");
    return scalar.dtype == stage_.body[scalar.parameter % n]->dtype ? absl::OkStatus() : Fault("type of a parameter");
  }

  absl::Status CheckSymbols(const DimExpr& expr) const {
    if (combiner_) return Fault("a combiner depends on the position");
    for (const SymbolRef& symbol : expr.Symbols()) {
      const auto axis = axes_.find(symbol->name);
      if ((axis == axes_.end() || axis->second->variable != symbol) && !IsDimension(symbol)) {
        return Fault(absl::StrCat("'", symbol->name, "' is neither an axis nor a dimension"));
      }
    }
    return absl::OkStatus();
  }

  absl::Status CheckLoad(const Scalar& scalar, bool guarded) {
    if (combiner_) return Fault("a combiner loads");
    if (scalar.tensor < 0 || scalar.tensor >= static_cast<int>(program_.tensors.size())) return Fault("unknown tensor");
    const ProgramTensor& tensor = program_.tensors[scalar.tensor];
    const auto fault = [&](const std::string& what) { return Fault(absl::StrCat(what, " of '", tensor.name, "'")); };
    if (!available_.contains(scalar.tensor)) return Fault(absl::StrCat("loads '", tensor.name, "' before it is written"));
    if (scalar.indices.size() != tensor.shape.size()) return fault("wrong rank");
    if (scalar.dtype != tensor.dtype) return fault("wrong type");
    for (size_t d = 0; d < scalar.indices.size(); ++d) {
      if (const ScalarRef* computed = std::get_if<ScalarRef>(&scalar.indices[d])) {
        if (*computed == nullptr || IsFloat((*computed)->dtype)) return fault("a computed index that is no integer");
        if (absl::Status status = CheckScalar(*computed, guarded); !status.ok()) return status;
        continue;
      }
      const DimExpr& index = std::get<DimExpr>(scalar.indices[d]);
      if (absl::Status status = CheckSymbols(index); !status.ok()) return status;
      if (!guarded && ProvablyOutside(index, tensor.shape[d])) {
        return fault(absl::StrCat("index ", d, " (", index.ToString(), ") runs outside dimension ", tensor.shape[d].ToString()));
      }
    }
    return absl::OkStatus();
  }

  // Affine in axes of constant extents: the extremes are taken, so a value outside is a fault.
  bool ProvablyOutside(const DimExpr& index, const DimExpr& dim) const {
    if (!static_ || !dim.IsConstant()) return false;
    DimExpr rest = index;
    DimExpr least(0), most(0);
    for (const auto& [name, axis] : axes_) {
      DimExpr without;
      const std::optional<int64_t> stride = rest.AffineCoefficient(axis->variable, &without);
      if (!stride) return false;
      rest = without;
      const DimExpr reach = DimExpr(*stride) * (axis->extent - 1);
      (*stride < 0 ? least : most) = (*stride < 0 ? least : most) + reach;
    }
    if (!rest.IsConstant()) return false;
    return ProvablyLess(rest + least, 0) || ProvablyLessEqual(dim, rest + most);
  }

  const TensorProgram& program_;
  const Stage& stage_;
  const std::set<ProgramTensorId>& available_;
  const std::map<std::string, SymbolRef>& symbols_;
  std::map<std::string, const Axis*> axes_;
  std::set<std::pair<const Scalar*, bool>> seen_;   // shared subexpressions are checked once
  bool static_ = true;        // extents are constant and positive
  bool combiner_ = false;     // inside the combiner: no loads, no positions
  bool parameters_ = false;   // inside the combiner proper, not its identity
};

class ProgramVerifier {
 public:
  ProgramVerifier(const TensorProgram& program, int depth) : program_(program), depth_(depth) {}

  absl::Status Run() {
    if (absl::Status status = CheckTensors(); !status.ok()) return status;
    std::set<std::string> names;
    for (const Stage& stage : program_.stages) {
      if (!names.insert(stage.name).second) return Fault(stage, "name used twice");
      std::vector<ProgramTensorId> written = stage.outputs;
      if (stage.scan) {
        written = stage.scan->final_carried;
        written.insert(written.end(), stage.scan->stacked.begin(), stage.scan->stacked.end());
      }
      for (const ProgramTensorId id : written) {
        if (!Known(id)) return Fault(stage, "writes an unknown tensor");
      }
      if (absl::Status status = stage.scan ? CheckScan(stage) : StageVerifier(program_, stage, available_, symbols_).Run();
          !status.ok()) {
        return status;
      }
      for (const ProgramTensorId id : written) {
        if (!available_.insert(id).second) return Fault(stage, absl::StrCat("writes '", program_.tensors[id].name, "' again"));
      }
    }
    for (const ProgramTensorId output : program_.TensorsOf(ProgramTensor::Role::kOutput)) {
      if (!available_.contains(output)) {
        return absl::InternalError(absl::StrCat("output '", program_.tensors[output].name, "' is not written"));
      }
    }
    return absl::OkStatus();
  }

 private:
  absl::Status Fault(const Stage& stage, const std::string& what) const {
    return absl::InternalError(absl::StrCat("stage '", stage.name, "': ", what));
  }
  bool Known(ProgramTensorId id) const { return id >= 0 && id < static_cast<int>(program_.tensors.size()); }

  absl::Status CheckTensors() {
    std::set<std::string> names;
    for (size_t i = 0; i < program_.tensors.size(); ++i) {
      const ProgramTensor& tensor = program_.tensors[i];
      if (!names.insert(tensor.name).second) return absl::InternalError(absl::StrCat("tensor '", tensor.name, "' twice"));
      const bool given = tensor.role == ProgramTensor::Role::kInput || tensor.role == ProgramTensor::Role::kConstant;
      if (given) available_.insert(static_cast<ProgramTensorId>(i));
      for (const DimExpr& dim : tensor.shape) {
        for (const SymbolRef& symbol : dim.Symbols()) {
          if (symbols_.emplace(symbol->name, symbol).first->second != symbol) {
            return absl::InternalError(absl::StrCat("two dimensions are named '", symbol->name, "'"));
          }
        }
      }
    }
    return absl::OkStatus();
  }

  absl::Status CheckScan(const Stage& stage) const {
    const Scan& scan = *stage.scan;
    if (!stage.axes.empty() || !stage.reduce.empty() || !stage.body.empty() || !stage.outputs.empty() || stage.tuple ||
        stage.combine != Combine::kNone) {
      return Fault(stage, "a scan has no axes, bodies or outputs of its own");
    }
    if (scan.body == nullptr || depth_ >= kMaxScanDepth) return Fault(stage, "no body, or scans nested too deeply");
    if (scan.initial.size() != scan.final_carried.size()) return Fault(stage, "number of carried tensors");
    for (const auto* read : {&scan.initial, &scan.scanned}) {
      for (const ProgramTensorId id : *read) {
        if (!Known(id) || !available_.contains(id)) return Fault(stage, "reads a tensor before it is written");
      }
    }
    if (absl::Status status = ProgramVerifier(*scan.body, depth_ + 1).Run(); !status.ok()) {
      return Fault(stage, std::string(status.message()));
    }
    if (!scan.body->TensorsOf(ProgramTensor::Role::kConstant).empty()) return Fault(stage, "the body has constants");
    const std::vector<ProgramTensorId> inputs = scan.body->TensorsOf(ProgramTensor::Role::kInput);
    const std::vector<ProgramTensorId> outputs = scan.body->TensorsOf(ProgramTensor::Role::kOutput);
    if (inputs.size() != scan.initial.size() + scan.scanned.size()) return Fault(stage, "number of inputs of the body");
    if (outputs.size() != scan.initial.size() + scan.stacked.size()) return Fault(stage, "number of outputs of the body");
    for (size_t i = 0; i < inputs.size(); ++i) {
      const bool carried = i < scan.initial.size();
      const ProgramTensorId outer = carried ? scan.initial[i] : scan.scanned[i - scan.initial.size()];
      if (!Fits(scan, outer, scan.body->tensors[inputs[i]], !carried)) return Fault(stage, absl::StrCat("input ", i, " of the body"));
      if (carried && !Fits(scan, scan.final_carried[i], scan.body->tensors[inputs[i]], false)) {
        return Fault(stage, absl::StrCat("last value of carried tensor ", i));
      }
    }
    for (size_t i = 0; i < outputs.size(); ++i) {
      const bool carried = i < scan.initial.size();
      const ProgramTensorId outer = carried ? scan.initial[i] : scan.stacked[i - scan.initial.size()];
      if (!Fits(scan, outer, scan.body->tensors[outputs[i]], !carried)) return Fault(stage, absl::StrCat("output ", i, " of the body"));
    }
    return absl::OkStatus();
  }

  // Whether tensor `outer`, without its leading axis if it is sliced, is what the body's tensor states.
  bool Fits(const Scan& scan, ProgramTensorId outer, const ProgramTensor& inner, bool sliced) const {
    const ProgramTensor& tensor = program_.tensors[outer];
    if (tensor.dtype != inner.dtype || tensor.shape.size() != inner.shape.size() + (sliced ? 1 : 0)) return false;
    if (!sliced) return tensor.shape == inner.shape;
    return tensor.shape[0] == scan.length && std::equal(inner.shape.begin(), inner.shape.end(), tensor.shape.begin() + 1);
  }

  const TensorProgram& program_;
  const int depth_;
  std::set<ProgramTensorId> available_;
  std::map<std::string, SymbolRef> symbols_;   // of shapes
};

}  // namespace

absl::Status TensorProgram::Verify() const { return ProgramVerifier(*this, 0).Run(); }

}  // namespace hone
