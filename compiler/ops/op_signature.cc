#include "compiler/ops/op_signature.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "compiler/ops/op_rows.h"

namespace hone {
namespace {

std::string_view KindText(AttrSpec::Kind kind) {
  switch (kind) {
    case AttrSpec::Kind::kInt:
      return "an integer";
    case AttrSpec::Kind::kReal:
      return "a number";
    case AttrSpec::Kind::kText:
      return "a text";
    case AttrSpec::Kind::kInts:
      return "a list of integers";
    case AttrSpec::Kind::kDims:
      return "a list of dimensions";
    case AttrSpec::Kind::kReals:
      return "a list of numbers";
    case AttrSpec::Kind::kDType:
      return "an element type";
  }
  return "?";
}

bool HasKind(const AttrValue& value, AttrSpec::Kind kind) {
  const auto* dims = std::get_if<std::vector<DimExpr>>(&value);
  switch (kind) {
    case AttrSpec::Kind::kInt:
      return std::holds_alternative<int64_t>(value);
    case AttrSpec::Kind::kReal:
      return std::holds_alternative<double>(value) || std::holds_alternative<int64_t>(value);
    case AttrSpec::Kind::kText:
      return std::holds_alternative<std::string>(value);
    case AttrSpec::Kind::kInts:
      return dims != nullptr && ConstantShape(*dims).has_value();
    case AttrSpec::Kind::kDims:
      return dims != nullptr;
    case AttrSpec::Kind::kReals:
      return std::holds_alternative<std::vector<double>>(value);
    case AttrSpec::Kind::kDType:
      return std::holds_alternative<DType>(value);
  }
  return false;
}

absl::Status CheckAttrs(std::span<const AttrSpec> specs, const AttrMap& attrs) {
  const auto named = [](const std::string& name) { return absl::StrCat("attribute '", name, "'"); };
  for (const auto& [name, value] : attrs) {
    const auto spec = std::find_if(specs.begin(), specs.end(),
                                   [&, &name = name](const AttrSpec& s) { return s.name == name; });
    if (spec == specs.end()) return OpError(absl::StrCat(named(name), " is unknown"));
    if (!HasKind(value, spec->kind))
      return OpError(absl::StrCat(named(name), " is not ", std::string(KindText(spec->kind))));
    if (spec->choices.empty()) continue;
    const std::vector<std::string> choices = absl::StrSplit(std::string(spec->choices), '|');
    if (std::find(choices.begin(), choices.end(), std::get<std::string>(value)) == choices.end()) {
      return OpError(absl::StrCat(named(name), " is none of ", std::string(spec->choices)));
    }
  }
  for (const AttrSpec& spec : specs) {
    const std::string name(spec.name);
    if (spec.required && !attrs.contains(name)) return OpError(absl::StrCat(named(name), " is missing"));
  }
  return absl::OkStatus();
}

bool Contains(OpSignature::Elements elements, DType dtype) {
  switch (elements) {
    case OpSignature::Elements::kAny:
      return true;
    case OpSignature::Elements::kNumeric:
      return dtype != DType::kBool;
    case OpSignature::Elements::kFloat:
      return IsFloat(dtype);
    case OpSignature::Elements::kBool:
      return dtype == DType::kBool;
  }
  return false;
}

absl::Status CheckShape(const std::string& what, const TensorType& type) {
  for (const DimExpr& dim : type.shape) {
    if (dim.Bounds().upper < 0)
      return OpError(absl::StrCat(what, " has a negative dimension: ", type.ToString()));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckOperands(const OpSignature& signature, const AttrMap& attrs, Types inputs) {
  const int count = static_cast<int>(inputs.size());
  if (count < signature.min_inputs || count > signature.max_inputs) {
    return OpError(absl::StrCat(count, " inputs instead of ", signature.min_inputs,
                                signature.max_inputs > signature.min_inputs ? " or more" : ""));
  }
  for (int i = 0; i < count; ++i) {
    const std::string what = absl::StrCat("input ", i);
    if (inputs[i].rank() < signature.min_rank || inputs[i].rank() > signature.max_rank) {
      return OpError(absl::StrCat(
          what, " has rank ", inputs[i].rank(), ", not ", signature.min_rank,
          signature.max_rank > signature.min_rank ? absl::StrCat(" to ", signature.max_rank) : ""));
    }
    if (absl::Status status = CheckShape(what, inputs[i]); !status.ok()) return status;
    if (signature.same_type && inputs[i].dtype != inputs[0].dtype) {
      return OpError(
          absl::StrCat(what, " is ", inputs[i].ToString(), ", of another type than ", inputs[0].ToString()));
    }
  }
  if (!Contains(signature.elements, inputs[0].dtype)) {
    return OpError(
        absl::StrCat("not defined for elements of type ", std::string(DTypeName(inputs[0].dtype))));
  }
  return CheckAttrs(signature.attributes, attrs);
}

absl::Status CheckResult(Types outputs) {
  for (const TensorType& output : outputs) {
    if (absl::Status status = CheckShape("the result", output); !status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace hone
