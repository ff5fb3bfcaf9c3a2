#include "compiler/schedule/trace.h"

#include <charconv>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace hone {
namespace {

constexpr size_t kMaxTraceBytes = 1 << 16;

const PrimitiveRow* FindPrimitive(std::string_view verb) {
  for (const PrimitiveRow& row : PrimitiveTable()) {
    if (row.verb == verb) return &row;
  }
  return nullptr;
}

bool Allows(std::string_view options, std::string_view key) {
  for (absl::string_view allowed : absl::StrSplit(absl::string_view(options.data(), options.size()), ' ')) {
    if (std::string_view(allowed.data(), allowed.size()) == key) return true;
  }
  return false;
}

absl::StatusOr<Primitive> ParsePrimitive(const std::string& text) {
  Primitive primitive;
  for (const std::string& word : std::vector<std::string>(absl::StrSplit(text, ' ', absl::SkipEmpty()))) {
    const size_t equals = word.find('=');
    if (primitive.verb.empty()) {
      primitive.verb = word;
    } else if (equals != std::string::npos) {
      primitive.options.emplace_back(word.substr(0, equals), word.substr(equals + 1));
    } else {
      primitive.operands.push_back(word);
    }
  }
  const PrimitiveRow* row = FindPrimitive(primitive.verb);
  if (row == nullptr) return absl::InvalidArgumentError(absl::StrCat("unknown primitive '", text, "'"));
  const int operands = static_cast<int>(primitive.operands.size());
  if (operands < row->min_operands || operands > row->max_operands) {
    return absl::InvalidArgumentError(absl::StrCat("'", text, "' has ", operands, " operands"));
  }
  for (const auto& [key, value] : primitive.options) {
    if (!Allows(row->options, key) || value.empty()) {
      return absl::InvalidArgumentError(absl::StrCat("'", text, "' has no option '", key, "=", value, "'"));
    }
  }
  return primitive;
}

}  // namespace

const std::vector<PrimitiveRow>& PrimitiveTable() {
  static const std::vector<PrimitiveRow> table = {
      {"trace", 1, 1, "", "version of the grammar"},
      {"algorithm", 1, 1, "m tiles kernels levels",
       "direct, strassen: levels, or winograd: m outputs per tile and dimension, tiles per block, "
       "kernels=given: transformed at each run"},
      {"leaf", 1, 1, "mr nv vw hold ku rows tile unroll", "kind and key of the innermost body"},
      {"strip", 1, 1, "",
       "strip N: stages take turns, N rows of the result at a time; a leaf for each stage, but for padding, "
       "follows"},
      {"order", 1, 1, "", "n,m: panels outside, rows inside; m,n: the reverse"},
      {"block", 2, 2, "", "block m N: row tiles that share one sweep over the panels"},
      {"split", 2, 2, "", "split k N: reduction steps per pass"},
      {"parallel", 1, 1, "", "the loops that threads share: m, n, mn or outer"},
      {"inner_layout", 2, 2, "", "storage of a temporary or packed operand"},
      {"tile", 2, 2, "", "tile AXIS N"},
      {"fuse", 2, 2, "", "fuse AXIS AXIS"},
      {"compute_at", 2, 2, "", "compute_at STAGE AXIS"},
      {"store_at", 2, 2, "", "store_at STAGE AXIS"},
      {"roll", 2, 2, "", "roll STAGE AXIS: ring buffer along an axis"},
      {"cache", 2, 2, "", "cache TENSOR AXIS: copy into contiguous scratch"},
  };
  return table;
}

std::optional<std::string_view> Primitive::Option(std::string_view key) const {
  for (const auto& [name, value] : options) {
    if (name == key) return value;
  }
  return std::nullopt;
}

int64_t Primitive::IntOption(std::string_view key, int64_t fallback) const {
  const std::optional<std::string_view> text = Option(key);
  if (!text) return fallback;
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  return error == std::errc() && end == text->data() + text->size() ? value : fallback;
}

const Primitive* Trace::Find(std::string_view verb) const {
  for (const Primitive& primitive : primitives) {
    if (primitive.verb == verb) return &primitive;
  }
  return nullptr;
}

std::string Trace::ToString() const {
  std::string text;
  for (const Primitive& primitive : primitives) {
    absl::StrAppend(&text, text.empty() ? "" : "; ", primitive.verb);
    for (const std::string& operand : primitive.operands) absl::StrAppend(&text, " ", operand);
    for (const auto& [key, value] : primitive.options) absl::StrAppend(&text, " ", key, "=", value);
  }
  return text;
}

absl::StatusOr<Trace> Trace::Parse(std::string_view text) {
  if (text.size() > kMaxTraceBytes) return absl::InvalidArgumentError("the trace is longer than 64 KiB");
  Trace trace;
  for (const std::string& part : std::vector<std::string>(absl::StrSplit(std::string(text), ';'))) {
    absl::StatusOr<Primitive> primitive = ParsePrimitive(std::string(absl::StripAsciiWhitespace(part)));
    if (!primitive.ok()) return primitive.status();
    trace.primitives.push_back(*std::move(primitive));
  }
  if (trace.primitives.front().verb != "trace" || trace.primitives.front().operands[0] != absl::StrCat(kVersion)) {
    return absl::InvalidArgumentError(absl::StrCat("a trace begins with 'trace ", kVersion, "'"));
  }
  return trace;
}

}  // namespace hone
