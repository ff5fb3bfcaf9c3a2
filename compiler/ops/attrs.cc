// Attributes: typed access and the text form.
#include <charconv>
#include <cmath>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "compiler/ops/op.h"

namespace hone {
namespace {

const AttrValue* Find(const AttrMap& attrs, std::string_view name) {
  const auto found = attrs.find(std::string(name));
  return found == attrs.end() ? nullptr : &found->second;
}

// Reals keep a point or an exponent: that is how they differ from integers.
std::string RealText(double value) {
  const std::string text = absl::StrFormat("%.17g", value);
  return text.find_first_of(".en") == std::string::npos ? text + ".0" : text;
}

template <typename List, typename Text>
std::string ListText(const List& list, Text text) {
  std::string joined;
  for (const auto& item : list) absl::StrAppend(&joined, joined.empty() ? "" : ", ", text(item));
  return joined;
}

struct ValueText {
  std::string operator()(int64_t value) const { return absl::StrCat(value); }
  std::string operator()(double value) const { return RealText(value); }
  std::string operator()(const std::string& value) const {
    return absl::StrCat("\"", absl::CHexEscape(value), "\"");
  }
  std::string operator()(const std::vector<DimExpr>& value) const {
    return absl::StrCat("[", ListText(value, [](const DimExpr& dim) { return dim.ToString(); }), "]");
  }
  std::string operator()(const std::vector<double>& value) const {
    return absl::StrCat("r[", ListText(value, RealText), "]");
  }
  std::string operator()(DType value) const { return std::string(DTypeName(value)); }
};

// Splits at commas outside brackets, parentheses and quotes.
std::vector<std::string> SplitTop(std::string_view text) {
  std::vector<std::string> parts;
  std::string part;
  int depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"' && (i == 0 || text[i - 1] != '\\')) quoted = !quoted;
    if (!quoted) depth += c == '[' || c == '(' ? 1 : c == ']' || c == ')' ? -1 : 0;
    if (c == ',' && depth == 0 && !quoted) {
      parts.push_back(part);
      part.clear();
    } else if (!(c == ' ' && part.empty())) {
      part += c;
    }
  }
  if (!part.empty()) parts.push_back(part);
  return parts;
}

absl::StatusOr<double> ParseReal(const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0')
    return absl::InvalidArgumentError(absl::StrCat("bad number '", text, "'"));
  return value;
}

absl::StatusOr<AttrValue> ParseValue(const std::string& text,
                                     const std::map<std::string, SymbolRef>& symbols) {
  const auto fault = [&] {
    return absl::InvalidArgumentError(absl::StrCat("bad attribute value '", text.substr(0, 80), "'"));
  };
  if (text.empty()) return fault();
  if (text.front() == '"') {
    std::string value;
    if (text.size() < 2 || text.back() != '"' || !absl::CUnescape(text.substr(1, text.size() - 2), &value))
      return fault();
    return AttrValue(value);
  }
  const bool reals = absl::StartsWith(text, "r[");
  if (reals || text.front() == '[') {
    if (text.back() != ']') return fault();
    const size_t open = reals ? 2 : 1;
    std::vector<DimExpr> dims;
    std::vector<double> values;
    for (const std::string& item : SplitTop(std::string_view(text).substr(open, text.size() - open - 1))) {
      if (reals) {
        const absl::StatusOr<double> value = ParseReal(item);
        if (!value.ok()) return value.status();
        values.push_back(*value);
      } else {
        const absl::StatusOr<DimExpr> dim = DimExpr::Parse(item, symbols);
        if (!dim.ok()) return dim.status();
        dims.push_back(*dim);
      }
    }
    if (reals) return AttrValue(values);
    return AttrValue(dims);
  }
  if (const std::optional<DType> dtype = ParseDType(text)) return AttrValue(*dtype);
  int64_t integer = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), integer);
  if (error == std::errc() && end == text.data() + text.size()) return AttrValue(integer);
  const absl::StatusOr<double> real = ParseReal(text);
  if (!real.ok()) return real.status();
  return AttrValue(*real);
}

}  // namespace

int64_t IntAttr(const AttrMap& attrs, std::string_view name, int64_t fallback) {
  const AttrValue* value = Find(attrs, name);
  return value != nullptr && std::holds_alternative<int64_t>(*value) ? std::get<int64_t>(*value) : fallback;
}

double FloatAttr(const AttrMap& attrs, std::string_view name, double fallback) {
  const AttrValue* value = Find(attrs, name);
  if (value == nullptr) return fallback;
  if (const double* real = std::get_if<double>(value)) return *real;
  if (const int64_t* integer = std::get_if<int64_t>(value)) return static_cast<double>(*integer);
  return fallback;
}

std::string StringAttr(const AttrMap& attrs, std::string_view name, std::string_view fallback) {
  const AttrValue* value = Find(attrs, name);
  return value != nullptr && std::holds_alternative<std::string>(*value) ? std::get<std::string>(*value)
                                                                         : std::string(fallback);
}

std::vector<DimExpr> DimsAttr(const AttrMap& attrs, std::string_view name) {
  const AttrValue* value = Find(attrs, name);
  return value != nullptr && std::holds_alternative<std::vector<DimExpr>>(*value)
             ? std::get<std::vector<DimExpr>>(*value)
             : std::vector<DimExpr>();
}

std::vector<int64_t> IntsAttr(const AttrMap& attrs, std::string_view name) {
  return ConstantShape(DimsAttr(attrs, name)).value_or(std::vector<int64_t>());
}

std::vector<double> FloatsAttr(const AttrMap& attrs, std::string_view name) {
  const AttrValue* value = Find(attrs, name);
  return value != nullptr && std::holds_alternative<std::vector<double>>(*value)
             ? std::get<std::vector<double>>(*value)
             : std::vector<double>();
}

DType DTypeAttr(const AttrMap& attrs, std::string_view name) {
  const AttrValue* value = Find(attrs, name);
  return value != nullptr && std::holds_alternative<DType>(*value) ? std::get<DType>(*value) : DType::kF32;
}

std::string AttrsText(const AttrMap& attrs) {
  std::string text;
  for (const auto& [name, value] : attrs) {
    absl::StrAppend(&text, text.empty() ? "" : ", ", name, "=", std::visit(ValueText(), value));
  }
  return text;
}

absl::StatusOr<AttrMap> ParseAttrs(std::string_view text, const std::map<std::string, SymbolRef>& symbols) {
  AttrMap attrs;
  for (const std::string& part : SplitTop(text)) {
    const size_t equals = part.find('=');
    if (equals == std::string::npos)
      return absl::InvalidArgumentError(absl::StrCat("bad attribute '", part.substr(0, 80), "'"));
    absl::StatusOr<AttrValue> value = ParseValue(part.substr(equals + 1), symbols);
    if (!value.ok()) return value.status();
    attrs.insert_or_assign(part.substr(0, equals), *std::move(value));
  }
  return attrs;
}

std::string TensorType::ToString() const {
  return absl::StrCat(std::string(DTypeName(dtype)), ShapeText(shape));
}

}  // namespace hone
