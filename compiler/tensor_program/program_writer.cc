#include <algorithm>
#include <charconv>
#include <map>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "compiler/tensor_program/program_text.h"

namespace hone {
namespace {

std::string NameText(const std::string& name) {
  bool plain = !name.empty() && StartsName(name[0]);
  for (const char c : name) plain = plain && ContinuesName(c);
  return plain ? name : absl::StrCat("\"", absl::CHexEscape(name), "\"");
}

std::string RealText(double value) {
  char text[40];
  return {text, std::to_chars(text, text + sizeof(text), value).ptr};
}

std::string BoundText(int64_t bound) { return bound == Symbol::kUnbounded ? "*" : absl::StrCat(bound); }

class Writer {
 public:
  explicit Writer(const TensorProgram& program) : program_(program) {}

  // `known`: symbols that an enclosing program has declared.
  std::string Program(const std::string& indent, std::map<std::string, SymbolRef> known) {
    std::string text;
    const auto declare = [&](const DimExpr& dim) {
      for (const SymbolRef& symbol : dim.Symbols()) {
        SymbolRef& declared = known[symbol->name];
        if (declared == symbol) continue;
        declared = symbol;
        absl::StrAppend(&text, indent, "symbol ", symbol->name, " ", symbol->lower, " ", BoundText(symbol->upper), " ",
                        symbol->divisor, "\n");
      }
    };
    for (const ProgramTensor& tensor : program_.tensors) {
      for (const DimExpr& dim : tensor.shape) declare(dim);
    }
    for (const ProgramTensor& tensor : program_.tensors) {
      absl::StrAppend(&text, indent, std::string(kRoleNames[static_cast<int>(tensor.role)]), " ", NameText(tensor.name), " ",
                      std::string(DTypeName(tensor.dtype)), ShapeText(tensor.shape), "\n");
    }
    for (const Stage& stage : program_.stages) {
      if (stage.scan) declare(stage.scan->length);
      text += stage.scan ? ScanText(stage, indent, known) : indent + StageText(Distinct(stage, known));
      text += "\n";
    }
    return text;
  }

 private:
  // The stage with other names for axes that are named like a dimension: names tell them apart only in text.
  static Stage Distinct(Stage stage, const std::map<std::string, SymbolRef>& known) {
    std::map<SymbolRef, DimExpr> renamed;
    for (auto* axes : {&stage.axes, &stage.reduce}) {
      for (Axis& axis : *axes) {
        Symbol variable = *axis.variable;
        if (!known.contains(variable.name)) continue;
        while (known.contains(variable.name) || Named(stage, variable.name)) variable.name += "_";
        const SymbolRef replacement = std::make_shared<const Symbol>(std::move(variable));
        renamed.emplace(axis.variable, DimExpr(replacement));
        axis.variable = replacement;
      }
    }
    if (renamed.empty()) return stage;
    for (ScalarRef& body : stage.body) body = SubstituteAxes(body, renamed);
    return stage;
  }

  static bool Named(const Stage& stage, const std::string& name) {
    const auto named = [&](const Axis& axis) { return axis.variable->name == name; };
    return std::any_of(stage.axes.begin(), stage.axes.end(), named) ||
           std::any_of(stage.reduce.begin(), stage.reduce.end(), named);
  }

  std::string StageText(const Stage& stage) const {
    std::string text = absl::StrCat("stage ", NameText(stage.name), " ", AxesText(stage.axes), " ");
    if (stage.combine != Combine::kNone) {
      absl::StrAppend(&text, std::string(kCombineNames[static_cast<int>(stage.combine)]), " ", AxesText(stage.reduce), " ");
    }
    for (size_t i = 0; i < stage.outputs.size() && i < stage.body.size(); ++i) {
      absl::StrAppend(&text, i == 0 ? "" : "; ", TensorName(stage.outputs[i]), " = ", ScalarText(stage.body[i]));
    }
    if (stage.tuple) {
      absl::StrAppend(&text, " identity ", ScalarsText(stage.tuple->identity, "; "), " combine ",
                      ScalarsText(stage.tuple->combine, "; "));
    }
    return text;
  }

  std::string ScanText(const Stage& stage, const std::string& indent, const std::map<std::string, SymbolRef>& known) const {
    const Scan& scan = *stage.scan;
    const auto list = [&](const std::vector<ProgramTensorId>& ids, const std::vector<ProgramTensorId>& to) {
      std::string text = "(";
      for (size_t i = 0; i < ids.size(); ++i) {
        absl::StrAppend(&text, i == 0 ? "" : ", ", TensorName(ids[i]));
        if (i < to.size()) absl::StrAppend(&text, " -> ", TensorName(to[i]));
      }
      return text + ")";
    };
    return absl::StrCat(indent, "scan ", NameText(stage.name), " length (", scan.length.ToString(), ")",
                        scan.reverse ? " reverse" : "", " carry ", list(scan.initial, scan.final_carried), " over ",
                        list(scan.scanned, {}), " stack ", list(scan.stacked, {}), " {\n",
                        scan.body == nullptr ? "" : Writer(*scan.body).Program(indent + "  ", known), indent, "}");
  }

  static std::string AxesText(const std::vector<Axis>& axes) {
    std::string text = "(";
    for (const Axis& axis : axes) {
      const Symbol& variable = *axis.variable;
      absl::StrAppend(&text, text.size() > 1 ? ", " : "", variable.name, ":", axis.extent.ToString());
      const Symbol implied = ImpliedVariable(variable.name, axis.extent);
      if (variable.lower == implied.lower && variable.upper == implied.upper && variable.divisor == implied.divisor) continue;
      absl::StrAppend(&text, "{", variable.lower, ",", BoundText(variable.upper), ",", variable.divisor, "}");
    }
    return text + ")";
  }

  std::string TensorName(ProgramTensorId id) const {
    return id >= 0 && id < static_cast<int>(program_.tensors.size()) ? NameText(program_.tensors[id].name)
                                                                    : absl::StrCat("\"?", id, "\"");
  }

  std::string ScalarsText(const std::vector<ScalarRef>& scalars, const char* separator) const {
    std::string text;
    for (const ScalarRef& scalar : scalars) absl::StrAppend(&text, text.empty() ? "" : separator, ScalarText(scalar));
    return text;
  }

  std::string ScalarText(const ScalarRef& scalar) const {
    const std::string dtype(DTypeName(scalar->dtype));
    const auto call = [&](std::string_view name) {
      return absl::StrCat(std::string(name), "(", ScalarsText(scalar->operands, ", "), ")");
    };
    switch (scalar->kind) {
      case Scalar::Kind::kReal: return absl::StrCat(dtype, " ", RealText(scalar->real));
      case Scalar::Kind::kInteger: return absl::StrCat(dtype, " ", scalar->integer);
      case Scalar::Kind::kIndex: return absl::StrCat("index(", scalar->index.ToString(), ")");
      case Scalar::Kind::kLoad: return LoadText(*scalar);
      case Scalar::Kind::kUnary: return call(UnaryOpName(scalar->unary));
      case Scalar::Kind::kBinary: return call(BinaryOpName(scalar->binary));
      case Scalar::Kind::kSelect: return call("select");
      case Scalar::Kind::kCast: return call("cast_" + dtype);
      case Scalar::Kind::kParameter: return absl::StrCat("$", scalar->parameter, ":", dtype);
    }
    return "?";
  }

  std::string LoadText(const Scalar& load) const {
    std::string text = TensorName(load.tensor) + "[";
    for (size_t d = 0; d < load.indices.size(); ++d) {
      const DimExpr* expr = std::get_if<DimExpr>(&load.indices[d]);
      absl::StrAppend(&text, d == 0 ? "" : ", ",
                      expr != nullptr ? expr->ToString() : "@" + ScalarText(std::get<ScalarRef>(load.indices[d])));
    }
    return text + "]";
  }

  const TensorProgram& program_;
};

}  // namespace

std::string TensorProgram::ToString() const { return Writer(*this).Program("", {}); }

}  // namespace hone
