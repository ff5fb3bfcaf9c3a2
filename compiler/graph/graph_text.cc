// The text form of Graph, one line each:
//   symbol s0 1 512 1                                 (lower, upper, divisor)
//   input x f32[1,3,8,8] abcd                         (type, layout)
//   constant w f32[4,3,1,1] abcd
//   constant c f32[1] a = 0.5                         (by value: every element)
//   y f32[1,4,8,8] abcd = conv2d(x, w) {attributes}
//   output y
#include <cinttypes>
#include <cstring>
#include <set>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "compiler/graph/graph.h"

namespace hone {
namespace {

constexpr size_t kMaxText = size_t{64} << 20;

std::string Sanitised(const std::string& name) {
  std::string label;
  for (const char c : name) {
    const bool kept = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '_' || c == '.' || c == '/' || c == '-' || c == '~';
    label += kept ? c : '_';
  }
  return label.empty() ? "_" : label;
}

std::vector<std::string> Labels(const Graph& graph) {
  std::vector<std::string> labels;
  std::set<std::string> taken;
  for (int i = 0; i < graph.tensor_count(); ++i) {
    const std::string base = Sanitised(graph.tensor({i}).name);
    std::string label = base;
    for (int n = i; !taken.insert(label).second; ++n) label = absl::StrCat(base, "~", n);
    labels.push_back(std::move(label));
  }
  return labels;
}

std::string HexBytes(const uint8_t* data, size_t size) {
  std::string text = "0x";
  for (size_t i = 0; i < size; ++i) absl::StrAppendFormat(&text, "%02x", data[i]);
  return text;
}

// f32, f64 and integers as numbers that read back exactly; the other types as bytes.
std::string ElementText(const ConstantData& constant) {
  const auto read = [&](auto value) {
    std::memcpy(&value, constant.data, sizeof value);
    return value;
  };
  switch (constant.dtype) {
    case DType::kF32:
      return absl::StrFormat("%.9g", read(float{}));
    case DType::kF64:
      return absl::StrFormat("%.17g", read(double{}));
    case DType::kI8:
      return absl::StrCat(read(int8_t{}));
    case DType::kI16:
      return absl::StrCat(read(int16_t{}));
    case DType::kI32:
      return absl::StrCat(read(int32_t{}));
    case DType::kI64:
      return absl::StrCat(read(int64_t{}));
    case DType::kU8:
      return absl::StrCat(read(uint8_t{}));
    case DType::kU16:
      return absl::StrCat(read(uint16_t{}));
    case DType::kU32:
      return absl::StrCat(read(uint32_t{}));
    case DType::kU64:
      return absl::StrCat(read(uint64_t{}));
    case DType::kBool:
      return absl::StrCat(read(uint8_t{}));
    case DType::kF16:
    case DType::kBF16:
      break;
  }
  return HexBytes(constant.data, static_cast<size_t>(DTypeBytes(constant.dtype)));
}

template <typename T>
std::vector<uint8_t> BytesOf(T value) {
  std::vector<uint8_t> bytes(sizeof value);
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

std::optional<std::vector<uint8_t>> ParseElement(DType dtype, const std::string& text) {
  double real = 0;
  int64_t integer = 0;
  uint64_t natural = 0;
  switch (dtype) {
    case DType::kF32:
      if (!absl::SimpleAtod(text, &real)) return std::nullopt;
      return BytesOf(static_cast<float>(real));
    case DType::kF64:
      if (!absl::SimpleAtod(text, &real)) return std::nullopt;
      return BytesOf(real);
    case DType::kF16:
    case DType::kBF16: {
      uint32_t bits = 0;
      if (!absl::SimpleHexAtoi(text, &bits) || bits > 0xffff) return std::nullopt;
      return std::vector<uint8_t>{static_cast<uint8_t>(bits >> 8), static_cast<uint8_t>(bits)};
    }
    case DType::kU64:
      if (!absl::SimpleAtoi(text, &natural)) return std::nullopt;
      return BytesOf(natural);
    case DType::kI8:
    case DType::kI16:
    case DType::kI32:
    case DType::kI64:
    case DType::kU8:
    case DType::kU16:
    case DType::kU32:
    case DType::kBool: {
      if (!absl::SimpleAtoi(text, &integer)) return std::nullopt;
      std::vector<uint8_t> bytes = BytesOf(integer);  // little-endian: the low bytes are the value
      bytes.resize(static_cast<size_t>(DTypeBytes(dtype)));
      return bytes;
    }
  }
  return std::nullopt;
}

std::vector<std::string> Split(std::string_view text, const char* separator) {
  return absl::StrSplit(absl::string_view(text.data(), text.size()), separator);
}

absl::Status Bad(std::string_view line, std::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat("graph text '", std::string(line.substr(0, 120)), "': ", std::string(what)));
}

class Reader {
 public:
  absl::StatusOr<Graph> Run(std::string_view text) {
    if (text.size() > kMaxText)
      return absl::InvalidArgumentError("the text of a graph is longer than 64 MiB");
    for (const std::string& line : Split(text, "\n")) {
      if (line.empty()) continue;
      if (absl::Status status = Line(line); !status.ok()) return status;
    }
    if (absl::Status status = graph_.Verify(); !status.ok())
      return absl::InvalidArgumentError(status.message());
    return std::move(graph_);
  }

 private:
  absl::Status Line(std::string_view line) {
    const std::vector<std::string> words = Split(line, " ");
    if (words[0] == "symbol") return SymbolLine(line, words);
    if (words[0] == "input" || words[0] == "constant") return SourceLine(line, words);
    if (words[0] == "output") return OutputLine(line);
    return NodeLine(line);
  }

  absl::Status SymbolLine(std::string_view line, const std::vector<std::string>& words) {
    int64_t lower = 0, upper = 0, divisor = 1;
    if (words.size() != 5 || !absl::SimpleAtoi(words[2], &lower) || !absl::SimpleAtoi(words[3], &upper) ||
        !absl::SimpleAtoi(words[4], &divisor) || lower > upper || divisor < 1) {
      return Bad(line, "expected: symbol NAME lower upper divisor");
    }
    graph_.AddSymbol(MakeSymbol(words[1], lower, upper, divisor));
    return absl::OkStatus();
  }

  absl::StatusOr<TensorType> Type(std::string_view line, std::string_view text) {
    const size_t bracket = text.find('[');
    const std::optional<DType> dtype = ParseDType(text.substr(0, bracket));
    if (bracket == std::string_view::npos || text.back() != ']' || !dtype) return Bad(line, "bad type");
    TensorType type{*dtype, {}};
    std::string_view dims = text.substr(bracket + 1, text.size() - bracket - 2);
    int depth = 0;
    size_t begin = 0;
    for (size_t i = 0; i <= dims.size() && !dims.empty(); ++i) {
      if (i < dims.size() && dims[i] == '(') ++depth;
      if (i < dims.size() && dims[i] == ')') --depth;
      if (i < dims.size() && (dims[i] != ',' || depth > 0)) continue;
      absl::StatusOr<DimExpr> dim = DimExpr::Parse(dims.substr(begin, i - begin), graph_.symbols());
      if (!dim.ok()) return dim.status();
      type.shape.push_back(*std::move(dim));
      begin = i + 1;
    }
    return type;
  }

  absl::Status Define(std::string_view line, const std::string& label, TensorId id,
                      std::string_view layout_text) {
    if (!ids_.emplace(label, id).second) return Bad(line, "name defined twice");
    absl::StatusOr<Layout> layout = Layout::Parse(layout_text);
    if (!layout.ok()) return layout.status();
    if (layout->rank() != graph_.tensor(id).type.rank()) return Bad(line, "layout of another rank");
    graph_.tensor(id).layout = *std::move(layout);
    return absl::OkStatus();
  }

  absl::Status SourceLine(std::string_view line, const std::vector<std::string>& words) {
    const bool constant = words[0] == "constant";
    const bool by_value = words.size() == 6 && words[4] == "=" && constant;
    // Scalars have the empty layout.
    if (words.size() != 4 && !by_value) return Bad(line, "expected a name, a type and a layout");
    absl::StatusOr<TensorType> type = Type(line, words[2]);
    if (!type.ok()) return type.status();
    const std::string layout = words[3] == "-" ? "" : words[3];
    if (!constant) return Define(line, words[1], graph_.AddInput(words[1], *type), layout);
    const std::optional<std::vector<int64_t>> dims = ConstantShape(type->shape);
    if (!dims) return Bad(line, "a constant of symbolic shape");
    auto data = std::make_shared<ConstantData>();
    data->dtype = type->dtype;
    data->dims = *dims;
    ConstantRef ref = data;
    if (by_value) {
      const std::optional<std::vector<uint8_t>> element = ParseElement(type->dtype, words[5]);
      int64_t elements = 1;
      for (const int64_t dim : *dims) {
        elements = dim < 1 || elements > kMaxElementsByValue ? kMaxElementsByValue + 1 : elements * dim;
      }
      if (!element || elements > kMaxElementsByValue) return Bad(line, "bad value");
      std::vector<uint8_t> bytes;
      for (int64_t i = 0; i < elements; ++i) bytes.insert(bytes.end(), element->begin(), element->end());
      ref = MakeConstant(type->dtype, *dims, std::move(bytes));
    }
    return Define(line, words[1], graph_.AddConstant(words[1], std::move(ref)), layout);
  }

  absl::Status Names(std::string_view line, std::string_view text, std::vector<TensorId>* ids) {
    for (const std::string& name : Split(text, ", ")) {
      if (name.empty()) continue;
      const auto found = ids_.find(name);
      if (found == ids_.end()) return Bad(line, absl::StrCat("unknown tensor ", name));
      ids->push_back(found->second);
    }
    return absl::OkStatus();
  }

  absl::Status OutputLine(std::string_view line) {
    std::vector<TensorId> ids;
    if (absl::Status status = Names(line, line.substr(std::strlen("output ")), &ids); !status.ok())
      return status;
    graph_.SetOutputs(std::move(ids));
    return absl::OkStatus();
  }

  absl::Status NodeLine(std::string_view line) {
    const size_t equals = line.find(" = ");
    if (equals == std::string_view::npos) return Bad(line, "expected ' = '");
    const std::string_view right = line.substr(equals + 3);
    const size_t open = right.find('('), close = right.find(") {");
    if (open == std::string_view::npos || close == std::string_view::npos || close < open ||
        right.back() != '}') {
      return Bad(line, "expected op(inputs) {attributes}");
    }
    std::vector<TensorId> inputs;
    if (absl::Status status = Names(line, right.substr(open + 1, close - open - 1), &inputs); !status.ok())
      return status;
    absl::StatusOr<AttrMap> attrs =
        ParseAttrs(right.substr(close + 3, right.size() - close - 4), graph_.symbols());
    if (!attrs.ok()) return attrs.status();
    const std::string op(right.substr(0, open));
    if (FindOp(op) == nullptr) return Bad(line, absl::StrCat("unknown operator ", op));
    const std::vector<std::string> results = Split(line.substr(0, equals), "; ");
    absl::StatusOr<std::vector<TensorId>> outputs =
        graph_.AddNode(op, std::move(inputs), *std::move(attrs), std::string(line.substr(0, line.find(' '))));
    if (!outputs.ok()) return outputs.status();
    if (outputs->size() != results.size()) return Bad(line, "number of outputs");
    for (size_t i = 0; i < results.size(); ++i) {
      const std::vector<std::string> words = Split(results[i], " ");
      if (words.size() != 3) return Bad(line, "expected a name, a type and a layout");
      graph_.tensor((*outputs)[i]).name = words[0];
      const std::string layout = words[2] == "-" ? "" : words[2];
      if (absl::Status status = Define(line, words[0], (*outputs)[i], layout); !status.ok()) return status;
    }
    return absl::OkStatus();
  }

  Graph graph_;
  std::map<std::string, TensorId> ids_;
};

}  // namespace

std::string Graph::ToString() const {
  const std::vector<std::string> labels = Labels(*this);
  std::string text;
  const auto definition = [&](TensorId id) {
    const Tensor& tensor = tensors_[id.index];
    const std::string layout = tensor.layout.ToString();
    return absl::StrCat(labels[id.index], " ", tensor.type.ToString(), " ", layout.empty() ? "-" : layout);
  };
  const auto names = [&](const std::vector<TensorId>& ids) {
    return absl::StrJoin(ids, ", ",
                         [&](std::string* out, TensorId id) { absl::StrAppend(out, labels[id.index]); });
  };
  for (const auto& [name, symbol] : symbols_) {
    absl::StrAppend(&text, "symbol ", name, " ", symbol->lower, " ", symbol->upper, " ", symbol->divisor,
                    "\n");
  }
  for (const TensorId id : inputs_) absl::StrAppend(&text, "input ", definition(id), "\n");
  for (int i = 0; i < tensor_count(); ++i) {
    const ConstantRef& constant = tensors_[i].constant;
    if (constant == nullptr) continue;
    absl::StrAppend(&text, "constant ", definition({i}));
    if (IsWrittenByValue(*constant)) absl::StrAppend(&text, " = ", ElementText(*constant));
    text += "\n";
  }
  for (const Node& node : nodes_) {
    text += absl::StrJoin(node.outputs, "; ",
                          [&](std::string* out, TensorId id) { absl::StrAppend(out, definition(id)); });
    absl::StrAppend(&text, " = ", std::string(node.op->name), "(", names(node.inputs), ") {",
                    AttrsText(node.attrs), "}\n");
  }
  absl::StrAppend(&text, "output ", names(outputs_), "\n");
  return text;
}

absl::StatusOr<Graph> Graph::Parse(std::string_view text) { return Reader().Run(text); }

}  // namespace hone
