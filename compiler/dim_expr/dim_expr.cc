#include "compiler/dim_expr/dim_expr.h"

#include <algorithm>
#include <numeric>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "compiler/dim_expr/terms.h"

namespace hone {
namespace {

using namespace terms;   // NOLINT: this folder's own

bool Holds(const Term& term, Atom::Kind kind) {
  return std::any_of(term.factors.begin(), term.factors.end(), [&](const AtomRef& atom) { return atom->kind == kind; });
}

// Whether the symbol occurs in it for which `wanted` holds.
template <typename Wanted>
bool MentionsAny(const DimExpr& expr, const Wanted& wanted);
template <typename Wanted>
bool MentionsAny(const Term& term, const Wanted& wanted) {
  return std::any_of(term.factors.begin(), term.factors.end(), [&](const AtomRef& atom) {
    if (atom->kind == Atom::Kind::kSymbol) return wanted(atom->symbol);
    return MentionsAny(atom->a, wanted) || MentionsAny(atom->b, wanted);
  });
}
template <typename Wanted>
bool MentionsAny(const DimExpr& expr, const Wanted& wanted) {
  return std::any_of(expr.terms().begin(), expr.terms().end(), [&](const Term& term) { return MentionsAny(term, wanted); });
}

// c*floordiv(x, c) + mod(x, c) = x.
DimExpr JoinDivisions(const DimExpr& expr) {
  for (const Term& term : expr.terms()) {
    if (term.factors.size() != 1 || term.factors[0]->kind != Atom::Kind::kMod) continue;
    if (Unbounded(term.coefficient)) continue;
    const Atom& mod = *term.factors[0];
    const DimExpr quotient = FloorDiv(mod.a, mod.b);
    const Atom* division = OnlyAtom(quotient, Atom::Kind::kFloorDiv);
    if (division == nullptr || !mod.b.IsConstant()) continue;
    const int64_t wanted = Times(term.coefficient, mod.b.Constant());
    if (Unbounded(wanted)) continue;
    for (const Term& other : expr.terms()) {
      if (other.coefficient != wanted || other.factors.size() != 1 || Compare(*other.factors[0], *division) != 0) continue;
      Terms rest = expr.terms();
      AddTerm({-term.coefficient, term.factors}, &rest);
      AddTerm({-wanted, other.factors}, &rest);
      return DimExprBuilder::FromTerms(std::move(rest)) + DimExpr(term.coefficient) * mod.a;
    }
  }
  return expr;
}

// c*floordiv(x, c) = x where x is known to be a multiple of c: takes both out of the term and returns x.
std::optional<DimExpr> DivideExactly(Term* term) {
  for (size_t i = 0; i < term->factors.size(); ++i) {
    const AtomRef atom = term->factors[i];
    if (atom->kind != Atom::Kind::kFloorDiv || !atom->b.IsConstant() || Unbounded(term->coefficient)) continue;
    const int64_t divisor = atom->b.Constant();
    if (divisor <= 0 || term->coefficient % divisor != 0 || atom->a.Divisor() % divisor != 0) continue;
    term->coefficient /= divisor;
    term->factors.erase(term->factors.begin() + static_cast<ptrdiff_t>(i));
    return atom->a;
  }
  return std::nullopt;
}

bool HasMod(const DimExpr& expr) {
  return std::any_of(expr.terms().begin(), expr.terms().end(), [](const Term& term) {
    return term.factors.size() == 1 && term.factors[0]->kind == Atom::Kind::kMod;
  });
}

}  // namespace

SymbolRef MakeSymbol(std::string name, int64_t lower, int64_t upper, int64_t divisor) {
  return std::make_shared<const Symbol>(Symbol{std::move(name), lower, upper, divisor});
}

DimExpr::DimExpr(int64_t value) {
  // Most constants are small: they share their representation.
  constexpr int64_t kShared = 1024;
  const auto make = [](int64_t constant) {
    return constant == 0 ? std::make_shared<const Terms>() : std::make_shared<const Terms>(Terms{Term{constant, {}}});
  };
  static const auto shared = [&] {
    std::vector<std::shared_ptr<const Terms>> small;
    for (int64_t constant = -1; constant <= kShared; ++constant) small.push_back(make(constant));
    return small;
  }();
  terms_ = value >= -1 && value <= kShared ? shared[static_cast<size_t>(value + 1)] : make(value);
}

DimExpr::DimExpr(SymbolRef symbol) {
  if (symbol->lower == symbol->upper) {
    *this = DimExpr(symbol->lower);
    return;
  }
  Atom atom{.kind = Atom::Kind::kSymbol, .symbol = std::move(symbol), .a = DimExpr(0), .b = DimExpr(0)};
  terms_ = std::make_shared<const Terms>(Terms{Term{1, {std::make_shared<const Atom>(std::move(atom))}}});
}

bool DimExpr::IsConstant() const {
  return terms_->empty() || (terms_->size() == 1 && terms_->front().factors.empty());
}
std::optional<int64_t> DimExpr::AsConstant() const {
  if (!IsConstant()) return std::nullopt;
  return Constant();
}
int64_t DimExpr::Constant() const { return terms_->empty() ? 0 : terms_->front().coefficient; }

Interval DimExpr::Bounds() const {
  Interval sum{0, 0};
  for (const Term& term : *terms_) sum = Sum(sum, TermBounds(term));
  return sum;
}

int64_t DimExpr::Divisor() const {
  int64_t divisor = 0;
  for (const Term& term : *terms_) divisor = std::gcd(divisor, TermDivisor(term));
  return divisor;
}

namespace {

void CollectSymbols(const DimExpr& expr, std::vector<SymbolRef>* symbols) {
  for (const Term& term : expr.terms()) {
    for (const AtomRef& atom : term.factors) {
      if (atom->kind != Atom::Kind::kSymbol) {
        CollectSymbols(atom->a, symbols);
        CollectSymbols(atom->b, symbols);
      } else if (std::find(symbols->begin(), symbols->end(), atom->symbol) == symbols->end()) {
        symbols->push_back(atom->symbol);
      }
    }
  }
}

}  // namespace

std::vector<SymbolRef> DimExpr::Symbols() const {
  std::vector<SymbolRef> symbols;
  CollectSymbols(*this, &symbols);
  return symbols;
}

bool DimExpr::Mentions(const SymbolRef& symbol) const {
  return MentionsAny(*this, [&](const SymbolRef& other) { return other == symbol; });
}

std::optional<int64_t> DimExpr::AffineCoefficient(const SymbolRef& symbol, DimExpr* rest) const {
  int64_t coefficient = 0;
  Terms others;
  for (const Term& term : *terms_) {
    const bool alone = term.factors.size() == 1 && term.factors[0]->kind == Atom::Kind::kSymbol &&
                       term.factors[0]->symbol == symbol;
    if (alone) {
      coefficient = term.coefficient;
      continue;
    }
    if (MentionsAny(term, [&](const SymbolRef& other) { return other == symbol; })) return std::nullopt;
    if (rest != nullptr) others.push_back(term);
  }
  if (rest != nullptr) *rest = DimExprBuilder::FromTerms(std::move(others));
  return coefficient;
}

DimExpr DimExpr::Substitute(const std::map<SymbolRef, DimExpr>& values) const {
  const auto given = [&](const SymbolRef& symbol) { return values.contains(symbol); };
  if (!MentionsAny(*this, given)) return *this;
  DimExpr sum(0);
  Terms kept;
  for (const Term& term : *terms_) {
    if (!MentionsAny(term, given)) {
      kept.push_back(term);
      continue;
    }
    DimExpr product(term.coefficient);
    for (const AtomRef& atom : term.factors) {
      switch (atom->kind) {
        case Atom::Kind::kSymbol: {
          const auto found = values.find(atom->symbol);
          product = product * (found == values.end() ? DimExpr(atom->symbol) : found->second);
          break;
        }
        case Atom::Kind::kFloorDiv:
          product = product * FloorDiv(atom->a.Substitute(values), atom->b.Substitute(values));
          break;
        case Atom::Kind::kMod:
          product = product * Mod(atom->a.Substitute(values), atom->b.Substitute(values));
          break;
        case Atom::Kind::kMin:
          product = product * Min(atom->a.Substitute(values), atom->b.Substitute(values));
          break;
        case Atom::Kind::kMax:
          product = product * Max(atom->a.Substitute(values), atom->b.Substitute(values));
          break;
      }
    }
    sum = sum + product;
  }
  return DimExprBuilder::FromTerms(std::move(kept)) + sum;
}

absl::StatusOr<int64_t> DimExpr::Evaluate(const std::map<SymbolRef, int64_t>& values) const {
  const auto overflow = [] { return absl::OutOfRangeError("a dimension exceeds 64 bits"); };
  int64_t sum = 0;
  for (const Term& term : *terms_) {
    int64_t product = term.coefficient;
    if (Unbounded(product)) return overflow();
    for (const AtomRef& atom : term.factors) {
      int64_t factor = 0;
      if (atom->kind == Atom::Kind::kSymbol) {
        const auto found = values.find(atom->symbol);
        if (found == values.end()) {
          return absl::InvalidArgumentError(absl::StrCat("dimension '", atom->symbol->name, "' has no value"));
        }
        factor = found->second;
      } else {
        const absl::StatusOr<int64_t> a = atom->a.Evaluate(values), b = atom->b.Evaluate(values);
        if (!a.ok()) return a;
        if (!b.ok()) return b;
        const bool divides = atom->kind == Atom::Kind::kFloorDiv || atom->kind == Atom::Kind::kMod;
        if (divides && *b <= 0) return absl::OutOfRangeError("division of a dimension by a number that is not positive");
        factor = atom->kind == Atom::Kind::kFloorDiv ? FloorQuotient(*a, *b)
                 : atom->kind == Atom::Kind::kMod    ? FloorRemainder(*a, *b)
                 : atom->kind == Atom::Kind::kMin    ? std::min(*a, *b)
                                                     : std::max(*a, *b);
      }
      if (__builtin_mul_overflow(product, factor, &product)) return overflow();
    }
    if (__builtin_add_overflow(sum, product, &sum)) return overflow();
  }
  return sum;
}

DimExpr operator+(const DimExpr& a, const DimExpr& b) {
  if (a.terms().empty()) return b;
  if (b.terms().empty()) return a;
  if (a.IsConstant() && b.IsConstant()) return DimExpr(Plus(a.Constant(), b.Constant()));
  Terms sum = a.terms();
  for (const Term& term : b.terms()) AddTerm(term, &sum);
  const DimExpr expr = DimExprBuilder::FromTerms(std::move(sum));
  return HasMod(expr) && expr.terms().size() > 1 ? JoinDivisions(expr) : expr;
}

DimExpr operator-(const DimExpr& a, const DimExpr& b) { return a + DimExpr(-1) * b; }

namespace {

// The products' order is that of the terms; nothing becomes simpler where nothing is divided.
DimExpr Scaled(const DimExpr& expr, int64_t factor) {
  Terms product = expr.terms();
  for (Term& term : product) term.coefficient = Times(term.coefficient, factor);
  return DimExprBuilder::FromTerms(std::move(product));
}

bool HoldsDivision(const DimExpr& expr) {
  return std::any_of(expr.terms().begin(), expr.terms().end(),
                     [](const Term& term) { return Holds(term, Atom::Kind::kFloorDiv); });
}

}  // namespace

DimExpr operator*(const DimExpr& a, const DimExpr& b) {
  if (a.IsConstant() && b.IsConstant()) return DimExpr(Times(a.Constant(), b.Constant()));
  if (b.IsConstant()) return b * a;
  if (a.IsConstant()) {
    if (a.Constant() == 0) return a;
    if (a.Constant() == 1) return b;
    if (!HoldsDivision(b)) return Scaled(b, a.Constant());
  }
  Terms sum;
  DimExpr exact(0);
  for (const Term& x : a.terms()) {
    for (const Term& y : b.terms()) {
      Term product = MultiplyTerms(x, y);
      if (const std::optional<DimExpr> dividend = DivideExactly(&product)) {
        exact = exact + DimExprBuilder::FromTerms({std::move(product)}) * *dividend;
      } else {
        AddTerm(product, &sum);
      }
    }
  }
  return DimExprBuilder::FromTerms(std::move(sum)) + exact;
}

bool operator==(const DimExpr& a, const DimExpr& b) { return a.terms_ == b.terms_ || Compare(a, b) == 0; }

DimExpr Product(const std::vector<DimExpr>& dims) {
  DimExpr product(1);
  for (const DimExpr& dim : dims) product = product * dim;
  return product;
}

std::optional<std::vector<int64_t>> ConstantShape(const std::vector<DimExpr>& dims) {
  std::vector<int64_t> shape;
  for (const DimExpr& dim : dims) {
    if (!dim.IsConstant()) return std::nullopt;
    shape.push_back(dim.Constant());
  }
  return shape;
}

}  // namespace hone
