#include <algorithm>
#include <charconv>
#include <map>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "compiler/tensor_program/program_text.h"

namespace hone {
namespace {

constexpr size_t kMaxText = size_t{1} << 24;
constexpr int kMaxScalarDepth = 500;
constexpr int kMaxScanDepth = 8;

using Symbols = std::map<std::string, SymbolRef>;

template <typename Op>
std::optional<Op> FindOpNamed(std::string_view name, Op last, std::string_view (*name_of)(Op)) {
  for (int i = 0; i <= static_cast<int>(last); ++i) {
    if (name_of(static_cast<Op>(i)) == name) return static_cast<Op>(i);
  }
  return std::nullopt;
}

// The text with a position in it; the first error stays, and everything fails after it.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : text_(text) {}

  const absl::Status& status() const { return status_; }
  bool ok() const { return status_.ok(); }
  bool Fail(const std::string& what) {
    if (!status_.ok()) return false;
    const std::string_view before = text_.substr(0, at_);
    status_ = absl::InvalidArgumentError(absl::StrCat(
        "tensor program, line ", 1 + std::count(before.begin(), before.end(), '\n'), ": ", what));
    return false;
  }

  char Peek() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool AtEnd() { return Peek() == '\0' && at_ >= text_.size(); }
  bool Take(std::string_view token) {
    Peek();
    if (!ok() || text_.substr(at_, token.size()) != token) return false;
    at_ += token.size();
    return true;
  }
  bool Expect(std::string_view token) { return Take(token) || Fail(absl::StrCat("expected ", std::string(token))); }

  // A plain identifier; empty if there is none.
  std::string Word() {
    const size_t begin = StartsName(Peek()) ? at_ : text_.size();
    while (begin < text_.size() && at_ < text_.size() && ContinuesName(text_[at_])) ++at_;
    return begin < text_.size() ? std::string(text_.substr(begin, at_ - begin)) : std::string();
  }
  bool Keyword(std::string_view keyword) {
    const size_t before = at_;
    if (ok() && Word() == keyword) return true;
    at_ = before;
    return false;
  }
  std::string Name() {
    if (Peek() != '"') {
      std::string word = Word();
      if (word.empty()) Fail("expected a name");
      return word;
    }
    std::string name;
    size_t close = text_.find('"', at_ + 1);
    while (close != std::string_view::npos && Escaped(close)) close = text_.find('"', close + 1);
    if (close == std::string_view::npos || !absl::CUnescape(std::string(text_.substr(at_ + 1, close - at_ - 1)), &name)) {
      Fail("bad quoted name");
      return {};
    }
    at_ = close + 1;
    return name;
  }

  template <typename Number>
  Number Value() {
    Peek();
    Number value{};
    const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
    if (error != std::errc()) {
      Fail("bad number");
      return {};
    }
    at_ = static_cast<size_t>(end - text_.data());
    return value;
  }

  // A dimension expression: up to one of `ends` outside parentheses.
  DimExpr Dim(std::string_view ends, const Symbols& symbols) {
    Peek();
    size_t end = at_;
    for (int depth = 0; end < text_.size() && text_[end] != '\n'; ++end) {
      if (depth == 0 && ends.find(text_[end]) != std::string_view::npos) break;
      depth += text_[end] == '(' ? 1 : text_[end] == ')' ? -1 : 0;
    }
    absl::StatusOr<DimExpr> dim = DimExpr::Parse(text_.substr(at_, end - at_), symbols);
    if (!dim.ok()) {
      Fail(std::string(dim.status().message()));
      return 0;
    }
    at_ = end;
    return *std::move(dim);
  }

 private:
  bool Escaped(size_t at) const {
    size_t slashes = 0;
    while (at > slashes && text_[at - 1 - slashes] == '\\') ++slashes;
    return slashes % 2 == 1;
  }

  std::string_view text_;
  size_t at_ = 0;
  absl::Status status_;
};

class Reader {
 public:
  Reader(Cursor* cursor, Symbols symbols, int depth) : cursor_(*cursor), symbols_(std::move(symbols)), depth_(depth) {}

  // Statements up to the end of the text or, in a body, the closing brace.
  TensorProgram Run() {
    while (cursor_.ok() && !cursor_.AtEnd() && cursor_.Peek() != '}') Statement();
    return std::move(program_);
  }

 private:
  bool Statement() {
    const std::string word = cursor_.Word();
    if (word == "symbol") return SymbolStatement();
    if (word == "stage") return StageStatement();
    if (word == "scan") return ScanStatement();
    for (size_t role = 0; role < std::size(kRoleNames); ++role) {
      if (word == kRoleNames[role]) return TensorStatement(static_cast<ProgramTensor::Role>(role));
    }
    return cursor_.Fail("expected a statement");
  }

  int64_t Bound() { return cursor_.Take("*") ? Symbol::kUnbounded : cursor_.Value<int64_t>(); }

  SymbolRef MakeVariable(const std::string& name, int64_t lower, int64_t upper, int64_t divisor) {
    if (lower > upper || divisor < 1) cursor_.Fail(absl::StrCat("bounds of ", name));
    return MakeSymbol(name, lower, upper, divisor);
  }

  bool SymbolStatement() {
    const std::string name = cursor_.Word();
    if (name.empty()) return cursor_.Fail("expected the name of a symbol");
    const int64_t lower = cursor_.Value<int64_t>(), upper = Bound(), divisor = cursor_.Value<int64_t>();
    symbols_[name] = MakeVariable(name, lower, upper, divisor);
    return cursor_.ok();
  }

  std::optional<DType> Type(std::string_view word) {
    const std::optional<DType> dtype = ParseDType(word);
    if (!dtype) cursor_.Fail(absl::StrCat("unknown type '", std::string(word.substr(0, 20)), "'"));
    return dtype;
  }

  bool TensorStatement(ProgramTensor::Role role) {
    ProgramTensor tensor{.name = cursor_.Name(), .role = role};
    tensor.dtype = Type(cursor_.Word()).value_or(DType::kF32);
    cursor_.Expect("[");
    if (!cursor_.Take("]")) {
      do tensor.shape.push_back(cursor_.Dim(",]", symbols_));
      while (cursor_.Take(","));
      cursor_.Expect("]");
    }
    if (!ids_.emplace(tensor.name, static_cast<int>(program_.tensors.size())).second) return cursor_.Fail("tensor twice");
    program_.AddTensor(std::move(tensor));
    return cursor_.ok();
  }

  ProgramTensorId Tensor() {
    const std::string name = cursor_.Name();
    const auto found = ids_.find(name);
    if (found != ids_.end()) return found->second;
    cursor_.Fail(absl::StrCat("unknown tensor '", name.substr(0, 80), "'"));
    return -1;
  }

  std::vector<Axis> Axes() {
    std::vector<Axis> axes;
    cursor_.Expect("(");
    if (cursor_.Take(")")) return axes;
    do {
      const std::string name = cursor_.Word();
      if (name.empty()) cursor_.Fail("expected the name of an axis");
      cursor_.Expect(":");
      const DimExpr extent = cursor_.Dim(",){", symbols_);
      Symbol variable = ImpliedVariable(name, extent);
      if (cursor_.Take("{")) {
        variable.lower = cursor_.Value<int64_t>();
        cursor_.Expect(",");
        variable.upper = Bound();
        cursor_.Expect(",");
        variable.divisor = cursor_.Value<int64_t>();
        cursor_.Expect("}");
      }
      axes.push_back({MakeVariable(name, variable.lower, variable.upper, variable.divisor), extent});
    } while (cursor_.Take(","));
    cursor_.Expect(")");
    return axes;
  }

  bool StageStatement() {
    Stage stage{.name = cursor_.Name(), .axes = Axes()};
    for (size_t i = 1; i < std::size(kCombineNames); ++i) {
      // A tensor may have the name of a combiner: "sum = ..." is an output.
      Cursor ahead = cursor_;
      if (!ahead.Keyword(kCombineNames[i]) || ahead.Peek() != '(') continue;
      cursor_ = ahead;
      stage.combine = static_cast<Combine>(i);
      stage.reduce = Axes();
      break;
    }
    scope_ = symbols_;
    for (const auto* axes : {&stage.axes, &stage.reduce}) {
      for (const Axis& axis : *axes) scope_[axis.variable->name] = axis.variable;
    }
    do {
      stage.outputs.push_back(Tensor());
      cursor_.Expect("=");
      stage.body.push_back(Expression(0));
    } while (cursor_.Take(";"));
    if (stage.combine == Combine::kTuple) {
      if (!cursor_.Keyword("identity")) return cursor_.Fail("expected identity");
      stage.tuple.emplace();
      do stage.tuple->identity.push_back(Expression(0));
      while (cursor_.Take(";"));
      if (!cursor_.Keyword("combine")) return cursor_.Fail("expected combine");
      do stage.tuple->combine.push_back(Expression(0));
      while (cursor_.Take(";"));
    }
    program_.stages.push_back(std::move(stage));
    return cursor_.ok();
  }

  bool ScanStatement() {
    if (depth_ >= kMaxScanDepth) return cursor_.Fail("scans nested too deeply");
    Stage stage{.name = cursor_.Name()};
    Scan& scan = stage.scan.emplace();
    if (!cursor_.Keyword("length") || !cursor_.Expect("(")) return cursor_.Fail("expected length");
    scan.length = cursor_.Dim(")", symbols_);
    cursor_.Expect(")");
    scan.reverse = cursor_.Keyword("reverse");
    if (!cursor_.Keyword("carry")) return cursor_.Fail("expected carry");
    TensorList(&scan.initial, &scan.final_carried);
    if (!cursor_.Keyword("over")) return cursor_.Fail("expected over");
    TensorList(&scan.scanned, nullptr);
    if (!cursor_.Keyword("stack")) return cursor_.Fail("expected stack");
    TensorList(&scan.stacked, nullptr);
    cursor_.Expect("{");
    scan.body = std::make_shared<const TensorProgram>(Reader(&cursor_, symbols_, depth_ + 1).Run());
    cursor_.Expect("}");
    program_.stages.push_back(std::move(stage));
    return cursor_.ok();
  }

  void TensorList(std::vector<ProgramTensorId>* from, std::vector<ProgramTensorId>* to) {
    cursor_.Expect("(");
    if (cursor_.Take(")")) return;
    do {
      from->push_back(Tensor());
      if (to == nullptr) continue;
      cursor_.Expect("->");
      to->push_back(Tensor());
    } while (cursor_.Take(","));
    cursor_.Expect(")");
  }

  // Never null, so that builders may look at operands after an error too.
  ScalarRef Expression(int depth) {
    if (depth > kMaxScalarDepth) cursor_.Fail("expression nested too deeply");
    if (!cursor_.ok()) return Real(0);
    if (cursor_.Take("$")) {
      const int parameter = cursor_.Value<int>();
      cursor_.Expect(":");
      return Parameter(parameter, Type(cursor_.Word()).value_or(DType::kF32));
    }
    const bool quoted = cursor_.Peek() == '"';
    const std::string name = cursor_.Name();
    if (quoted || cursor_.Peek() == '[') return LoadOf(name, depth);
    if (cursor_.Take("(")) return Call(name, depth);
    const std::optional<DType> dtype = Type(name);
    if (!dtype) return Real(0);
    return IsFloat(*dtype) ? Real(cursor_.Value<double>(), *dtype) : Integer(cursor_.Value<int64_t>(), *dtype);
  }

  ScalarRef LoadOf(const std::string& name, int depth) {
    const auto found = ids_.find(name);
    if (found == ids_.end()) {
      cursor_.Fail(absl::StrCat("unknown tensor '", name.substr(0, 80), "'"));
      return Real(0);
    }
    std::vector<LoadIndex> indices;
    cursor_.Expect("[");
    if (!cursor_.Take("]")) {
      do {
        if (cursor_.Take("@")) {
          indices.emplace_back(Expression(depth + 1));
        } else {
          indices.emplace_back(cursor_.Dim(",]", scope_));
        }
      } while (cursor_.Take(","));
      cursor_.Expect("]");
    }
    return Load(found->second, program_.tensors[found->second].dtype, std::move(indices));
  }

  ScalarRef Call(const std::string& name, int depth) {
    if (name == "index") {
      ScalarRef index = IndexValue(cursor_.Dim(")", scope_));
      cursor_.Expect(")");
      return index;
    }
    std::vector<ScalarRef> operands;
    do operands.push_back(Expression(depth + 1));
    while (cursor_.Take(","));
    cursor_.Expect(")");
    if (name == "select" && operands.size() == 3) return Select(operands[0], operands[1], operands[2]);
    if (name.rfind("cast_", 0) == 0 && operands.size() == 1) {
      return Cast(operands[0], Type(name.substr(5)).value_or(DType::kF32));
    }
    const auto unary = FindOpNamed(name, UnaryOp::kBitNot, UnaryOpName);
    if (unary && operands.size() == 1) return Unary(*unary, operands[0]);
    const auto binary = FindOpNamed(name, BinaryOp::kShiftRight, BinaryOpName);
    if (binary && operands.size() == 2) return Binary(*binary, operands[0], operands[1]);
    cursor_.Fail(absl::StrCat("no operation ", name.substr(0, 40), " of ", operands.size(), " operands"));
    return Real(0);
  }

  Cursor& cursor_;
  TensorProgram program_;
  std::map<std::string, ProgramTensorId> ids_;
  Symbols symbols_;
  Symbols scope_;   // symbols and the axes of the stage being read
  const int depth_;
};

}  // namespace

absl::StatusOr<TensorProgram> TensorProgram::Parse(std::string_view text) {
  if (text.size() > kMaxText) return absl::InvalidArgumentError("the text of a tensor program is longer than 16 MiB");
  Cursor cursor(text);
  TensorProgram program = Reader(&cursor, {}, 0).Run();
  if (!cursor.ok()) return cursor.status();
  if (!cursor.AtEnd()) return absl::InvalidArgumentError("tensor program: unexpected }");
  if (absl::Status status = program.Verify(); !status.ok()) return absl::InvalidArgumentError(status.message());
  return program;
}

}  // namespace hone
