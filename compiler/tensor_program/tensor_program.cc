#include "compiler/tensor_program/tensor_program.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"

namespace hone {
namespace {

constexpr std::string_view kRoles[] = {"input", "constant", "temporary", "output"};
constexpr std::string_view kCombines[] = {"map", "sum", "prod", "max", "min", "tuple"};

void CountLoads(const ScalarRef& scalar, ProgramTensorId tensor, bool* found) {
  if (scalar->kind == Scalar::Kind::kLoad && scalar->tensor == tensor) *found = true;
  for (const LoadIndex& index : scalar->indices) {
    if (const ScalarRef* computed = std::get_if<ScalarRef>(&index)) CountLoads(*computed, tensor, found);
  }
  for (const ScalarRef& operand : scalar->operands) CountLoads(operand, tensor, found);
}

std::string ScalarText(const ScalarRef& scalar, const TensorProgram& program) {
  const auto operands = [&] {
    std::string text;
    for (const ScalarRef& operand : scalar->operands) {
      absl::StrAppend(&text, text.empty() ? "" : ", ", ScalarText(operand, program));
    }
    return text;
  };
  const std::string dtype(DTypeName(scalar->dtype));
  switch (scalar->kind) {
    case Scalar::Kind::kReal: return absl::StrCat(dtype, " ", scalar->real);
    case Scalar::Kind::kInteger: return absl::StrCat(dtype, " ", scalar->integer);
    case Scalar::Kind::kIndex: return absl::StrCat("index(", scalar->index.ToString(), ")");
    case Scalar::Kind::kLoad: {
      std::string text = program.tensors[scalar->tensor].name + "[";
      for (size_t d = 0; d < scalar->indices.size(); ++d) {
        const DimExpr* expr = std::get_if<DimExpr>(&scalar->indices[d]);
        absl::StrAppend(&text, d == 0 ? "" : ", ",
                        expr != nullptr ? expr->ToString()
                                        : "@" + ScalarText(std::get<ScalarRef>(scalar->indices[d]), program));
      }
      return text + "]";
    }
    case Scalar::Kind::kUnary: return absl::StrCat(std::string(UnaryOpName(scalar->unary)), "(", operands(), ")");
    case Scalar::Kind::kBinary: return absl::StrCat(std::string(BinaryOpName(scalar->binary)), "(", operands(), ")");
    case Scalar::Kind::kSelect: return absl::StrCat("select(", operands(), ")");
    case Scalar::Kind::kCast: return absl::StrCat("cast_", dtype, "(", operands(), ")");
    case Scalar::Kind::kParameter: return absl::StrCat("$", scalar->parameter);
  }
  return "?";
}

std::string AxesText(const std::vector<Axis>& axes) {
  std::string text;
  for (const Axis& axis : axes) absl::StrAppend(&text, text.empty() ? "" : ", ", axis.variable->name, ":", axis.extent.ToString());
  return text;
}

absl::Status CheckScalar(const TensorProgram& program, const Stage& stage, const ScalarRef& scalar,
                         const std::set<ProgramTensorId>& available) {
  const auto fault = [&](const std::string& what) {
    return absl::InternalError(absl::StrCat("stage '", stage.name, "': ", what));
  };
  if (scalar->kind == Scalar::Kind::kLoad) {
    if (scalar->tensor < 0 || scalar->tensor >= static_cast<int>(program.tensors.size())) return fault("unknown tensor");
    const ProgramTensor& tensor = program.tensors[scalar->tensor];
    if (!available.contains(scalar->tensor)) return fault(absl::StrCat("loads '", tensor.name, "' before it is written"));
    if (scalar->indices.size() != tensor.shape.size()) return fault(absl::StrCat("wrong rank of '", tensor.name, "'"));
    if (scalar->dtype != tensor.dtype) return fault(absl::StrCat("wrong type of '", tensor.name, "'"));
    for (const LoadIndex& index : scalar->indices) {
      if (!std::holds_alternative<ScalarRef>(index)) continue;
      if (absl::Status status = CheckScalar(program, stage, std::get<ScalarRef>(index), available); !status.ok()) return status;
    }
  }
  if (scalar->kind == Scalar::Kind::kBinary && scalar->operands[0]->dtype != scalar->operands[1]->dtype) {
    return fault(absl::StrCat("operands of ", std::string(BinaryOpName(scalar->binary)), " differ in type"));
  }
  for (const ScalarRef& operand : scalar->operands) {
    if (absl::Status status = CheckScalar(program, stage, operand, available); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status CheckStage(const TensorProgram& program, const Stage& stage, const std::set<ProgramTensorId>& available) {
  const auto fault = [&](const std::string& what) {
    return absl::InternalError(absl::StrCat("stage '", stage.name, "': ", what));
  };
  if (stage.scan) return absl::OkStatus();
  if (stage.body.size() != stage.outputs.size() || stage.body.empty()) return fault("one body per output");
  if ((stage.combine == Combine::kNone) != stage.reduce.empty()) return fault("reduction axes without a combiner");
  if ((stage.combine == Combine::kTuple) != stage.tuple.has_value()) return fault("tuple without a combiner");
  for (size_t i = 0; i < stage.outputs.size(); ++i) {
    const ProgramTensor& output = program.tensors[stage.outputs[i]];
    if (output.shape.size() != stage.axes.size()) return fault("one axis per dimension of the output");
    for (size_t d = 0; d < stage.axes.size(); ++d) {
      if (!(output.shape[d] == stage.axes[d].extent)) return fault(absl::StrCat("extent of axis ", d));
    }
    if (output.dtype != stage.body[i]->dtype) return fault("type of the output");
    if (absl::Status status = CheckScalar(program, stage, stage.body[i], available); !status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace

ProgramTensorId TensorProgram::AddTensor(ProgramTensor tensor) {
  tensors.push_back(std::move(tensor));
  return static_cast<ProgramTensorId>(tensors.size()) - 1;
}

std::vector<ProgramTensorId> TensorProgram::TensorsOf(ProgramTensor::Role role) const {
  std::vector<ProgramTensorId> ids;
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (tensors[i].role == role) ids.push_back(static_cast<ProgramTensorId>(i));
  }
  return ids;
}

const Stage* TensorProgram::ProducerOf(ProgramTensorId tensor) const {
  for (const Stage& stage : stages) {
    if (std::find(stage.outputs.begin(), stage.outputs.end(), tensor) != stage.outputs.end()) return &stage;
    if (!stage.scan) continue;
    for (const auto* written : {&stage.scan->final_carried, &stage.scan->stacked}) {
      if (std::find(written->begin(), written->end(), tensor) != written->end()) return &stage;
    }
  }
  return nullptr;
}

int TensorProgram::UsesOf(ProgramTensorId tensor) const {
  int uses = 0;
  for (const Stage& stage : stages) {
    bool found = false;
    for (const ScalarRef& body : stage.body) CountLoads(body, tensor, &found);
    if (stage.scan) {
      for (const auto* read : {&stage.scan->initial, &stage.scan->scanned}) {
        found = found || std::find(read->begin(), read->end(), tensor) != read->end();
      }
    }
    uses += found ? 1 : 0;
  }
  return uses;
}

std::string TensorProgram::ToString() const {
  std::string text;
  for (const ProgramTensor& tensor : tensors) {
    absl::StrAppend(&text, std::string(kRoles[static_cast<int>(tensor.role)]), " ", tensor.name, " ",
                    std::string(DTypeName(tensor.dtype)), ShapeText(tensor.shape), "\n");
  }
  for (const Stage& stage : stages) {
    absl::StrAppend(&text, "stage ", stage.name, " (", AxesText(stage.axes), ")");
    if (stage.combine != Combine::kNone) {
      absl::StrAppend(&text, " ", std::string(kCombines[static_cast<int>(stage.combine)]), " (", AxesText(stage.reduce), ")");
    }
    for (size_t i = 0; i < stage.outputs.size() && i < stage.body.size(); ++i) {
      absl::StrAppend(&text, i == 0 ? " " : "; ", tensors[stage.outputs[i]].name, " = ", ScalarText(stage.body[i], *this));
    }
    text += "\n";
  }
  return text;
}

absl::Status TensorProgram::Verify() const {
  std::set<std::string> names;
  std::set<ProgramTensorId> available;
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (!names.insert(tensors[i].name).second) return absl::InternalError(absl::StrCat("tensor '", tensors[i].name, "' twice"));
    const bool given = tensors[i].role == ProgramTensor::Role::kInput || tensors[i].role == ProgramTensor::Role::kConstant;
    if (given) available.insert(static_cast<ProgramTensorId>(i));
  }
  std::set<std::string> stage_names;
  for (const Stage& stage : stages) {
    if (!stage_names.insert(stage.name).second) return absl::InternalError(absl::StrCat("stage '", stage.name, "' twice"));
    if (absl::Status status = CheckStage(*this, stage, available); !status.ok()) return status;
    std::vector<ProgramTensorId> written = stage.outputs;
    if (stage.scan) {
      written = stage.scan->final_carried;
      written.insert(written.end(), stage.scan->stacked.begin(), stage.scan->stacked.end());
    }
    for (const ProgramTensorId tensor : written) {
      if (!available.insert(tensor).second) {
        return absl::InternalError(absl::StrCat("stage '", stage.name, "' writes '", tensors[tensor].name, "' again"));
      }
    }
  }
  for (const ProgramTensorId output : TensorsOf(ProgramTensor::Role::kOutput)) {
    if (!available.contains(output)) return absl::InternalError(absl::StrCat("output '", tensors[output].name, "' is not written"));
  }
  return absl::OkStatus();
}

}  // namespace hone
