// The text form of DimExpr: sums of products of integers, names and floordiv/mod/min/max calls.
#include <algorithm>
#include <cctype>
#include <charconv>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "compiler/dim_expr/dim_expr.h"

namespace hone {
namespace {

using Atom = DimExpr::Atom;

constexpr int kMaxDepth = 64;
constexpr size_t kMaxText = 1 << 12;
constexpr size_t kMaxTerms = 256;     // of a product: (a + b)*(a + b)*... grows beyond all bounds
constexpr size_t kMaxDegree = 32;

std::string AtomText(const Atom& atom) {
  const auto call = [&](const char* name) {
    return absl::StrCat(name, "(", atom.a.ToString(), ", ", atom.b.ToString(), ")");
  };
  switch (atom.kind) {
    case Atom::Kind::kSymbol: return atom.symbol->name;
    case Atom::Kind::kFloorDiv: return call("floordiv");
    case Atom::Kind::kMod: return call("mod");
    case Atom::Kind::kMin: return call("min");
    case Atom::Kind::kMax: return call("max");
  }
  return "?";
}

std::string TermText(const DimExpr::Term& term, int64_t coefficient) {
  std::string text;
  if (coefficient != 1 || term.factors.empty()) text = absl::StrCat(coefficient);
  for (const DimExpr::AtomRef& atom : term.factors) absl::StrAppend(&text, text.empty() ? "" : "*", AtomText(*atom));
  return text;
}

size_t Degree(const DimExpr& expr) {
  size_t degree = 0;
  for (const DimExpr::Term& term : expr.terms()) degree = std::max(degree, term.factors.size());
  return degree;
}

class Parser {
 public:
  Parser(std::string_view text, const std::map<std::string, SymbolRef>& symbols) : text_(text), symbols_(symbols) {}

  absl::StatusOr<DimExpr> Run() {
    absl::StatusOr<DimExpr> expr = Sum(0);
    Skip();
    if (expr.ok() && at_ != text_.size()) return Error("unexpected text");
    return expr;
  }

 private:
  absl::Status Error(const char* what) const {
    return absl::InvalidArgumentError(
        absl::StrCat("dimension '", std::string(text_.substr(0, 80)), "': ", what, " at ", at_));
  }
  void Skip() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }
  bool IsDigit(size_t at) const { return at < text_.size() && std::isdigit(static_cast<unsigned char>(text_[at])); }
  bool Take(char c) {
    Skip();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  absl::StatusOr<DimExpr> Sum(int depth) {
    absl::StatusOr<DimExpr> sum = Product(depth);
    while (sum.ok()) {
      const bool minus = !Take('+');
      if (minus && !Take('-')) return sum;
      absl::StatusOr<DimExpr> next = Product(depth);
      if (!next.ok()) return next;
      sum = minus ? *sum - *next : *sum + *next;
    }
    return sum;
  }

  absl::StatusOr<DimExpr> Product(int depth) {
    absl::StatusOr<DimExpr> product = Factor(depth);
    while (product.ok() && Take('*')) {
      absl::StatusOr<DimExpr> next = Factor(depth);
      if (!next.ok()) return next;
      if (product->terms().size() * next->terms().size() > kMaxTerms) return Error("too many terms");
      if (Degree(*product) + Degree(*next) > kMaxDegree) return Error("too many factors");
      product = *product * *next;
    }
    return product;
  }

  absl::StatusOr<DimExpr> Factor(int depth) {
    if (depth > kMaxDepth) return Error("nested too deeply");
    Skip();
    if (Take('(')) {
      absl::StatusOr<DimExpr> inner = Sum(depth + 1);
      if (inner.ok() && !Take(')')) return Error("expected )");
      return inner;
    }
    if (IsDigit(at_ + 1) && text_[at_] == '-') return Number();
    if (Take('-')) {
      absl::StatusOr<DimExpr> inner = Factor(depth + 1);
      if (!inner.ok()) return inner;
      return DimExpr(-1) * *inner;
    }
    if (IsDigit(at_)) return Number();
    return Name(depth);
  }

  absl::StatusOr<DimExpr> Number() {
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
    if (error != std::errc()) return Error("number too large");
    at_ = static_cast<size_t>(end - text_.data());
    return DimExpr(value);
  }

  absl::StatusOr<DimExpr> Name(int depth) {
    const size_t begin = at_;
    const auto part_of_name = [&](char c) {
      return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '/';
    };
    while (at_ < text_.size() && part_of_name(text_[at_])) ++at_;
    const std::string name(text_.substr(begin, at_ - begin));
    if (name.empty()) return Error("expected a number or a name");
    using Builder = DimExpr (*)(const DimExpr&, const DimExpr&);
    static const std::map<std::string, Builder> calls = {{"floordiv", FloorDiv}, {"mod", Mod}, {"min", Min}, {"max", Max}};
    const auto call = calls.find(name);
    if (call != calls.end() && Take('(')) return Call(call->second, depth);
    const auto symbol = symbols_.find(name);
    if (symbol == symbols_.end()) return Error("unknown name");
    return DimExpr(symbol->second);
  }

  absl::StatusOr<DimExpr> Call(DimExpr (*build)(const DimExpr&, const DimExpr&), int depth) {
    absl::StatusOr<DimExpr> a = Sum(depth + 1);
    if (!a.ok()) return a;
    if (!Take(',')) return Error("expected ,");
    absl::StatusOr<DimExpr> b = Sum(depth + 1);
    if (!b.ok()) return b;
    if (!Take(')')) return Error("expected )");
    const bool divides = build == FloorDiv || build == Mod;
    if (divides && b->Bounds().lower <= 0) return Error("divisor not provably positive");
    return build(*a, *b);
  }

  std::string_view text_;
  const std::map<std::string, SymbolRef>& symbols_;
  size_t at_ = 0;
};

}  // namespace

std::string DimExpr::ToString() const {
  if (terms_->empty()) return "0";
  std::string text;
  for (const Term& term : *terms_) {
    const bool minus = term.coefficient < 0 && term.coefficient != std::numeric_limits<int64_t>::min();
    if (text.empty()) {
      text = TermText(term, minus && !term.factors.empty() && term.coefficient == -1 ? 1 : term.coefficient);
      if (minus && !term.factors.empty() && term.coefficient == -1) text = "-" + text;
    } else {
      absl::StrAppend(&text, minus ? " - " : " + ", TermText(term, minus ? -term.coefficient : term.coefficient));
    }
  }
  return text;
}

absl::StatusOr<DimExpr> DimExpr::Parse(std::string_view text, const std::map<std::string, SymbolRef>& symbols) {
  if (text.size() > kMaxText) return absl::InvalidArgumentError("the text of a dimension is longer than 4 KiB");
  return Parser(text, symbols).Run();
}

std::string ShapeText(const std::vector<DimExpr>& dims) {
  std::string text = "[";
  for (const DimExpr& dim : dims) absl::StrAppend(&text, text.size() > 1 ? "," : "", dim.ToString());
  return text + "]";
}

}  // namespace hone
