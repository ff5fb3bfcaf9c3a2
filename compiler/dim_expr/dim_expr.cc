#include "compiler/dim_expr/dim_expr.h"

#include <algorithm>
#include <cstdlib>
#include <numeric>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace hone {
namespace {

using Atom = DimExpr::Atom;
using AtomRef = DimExpr::AtomRef;
using Term = DimExpr::Term;
using Terms = std::vector<Term>;

constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

// Arithmetic that saturates and then stays saturated, so that a dimension that large is refused wherever it is
// evaluated. In bounds the same two values mean unbounded.
bool Unbounded(int64_t value) { return value == kMin || value == kMax; }
int64_t Plus(int64_t a, int64_t b) {
  if (Unbounded(a)) return a;
  if (Unbounded(b)) return b;
  int64_t sum = 0;
  if (!__builtin_add_overflow(a, b, &sum)) return sum;
  return a < 0 ? kMin : kMax;
}
int64_t Times(int64_t a, int64_t b) {
  if (a == 0 || b == 0) return 0;
  int64_t product = 0;
  if (!Unbounded(a) && !Unbounded(b) && !__builtin_mul_overflow(a, b, &product)) return product;
  return (a < 0) == (b < 0) ? kMax : kMin;
}
int64_t FloorQuotient(int64_t a, int64_t b) { return a / b - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0); }
int64_t FloorRemainder(int64_t a, int64_t b) { return a % b + (a % b != 0 && (a < 0) != (b < 0) ? b : 0); }

// A sum that is unbounded on one side stays so, whatever is added.
Interval Sum(const Interval& a, const Interval& b) {
  return {a.lower == kMin || b.lower == kMin ? kMin : Plus(a.lower, b.lower),
          a.upper == kMax || b.upper == kMax ? kMax : Plus(a.upper, b.upper)};
}
Interval Product(const Interval& a, const Interval& b) {
  const int64_t corners[] = {Times(a.lower, b.lower), Times(a.lower, b.upper), Times(a.upper, b.lower),
                             Times(a.upper, b.upper)};
  return {*std::min_element(std::begin(corners), std::end(corners)),
          *std::max_element(std::begin(corners), std::end(corners))};
}

int Compare(const Atom& a, const Atom& b);

int Compare(const Term& a, const Term& b) {
  if (a.factors.size() != b.factors.size()) return a.factors.size() < b.factors.size() ? 1 : -1;
  for (size_t i = 0; i < a.factors.size(); ++i) {
    if (const int order = Compare(*a.factors[i], *b.factors[i])) return order;
  }
  return 0;
}

int Compare(const DimExpr& a, const DimExpr& b) {
  if (a.terms().size() != b.terms().size()) return a.terms().size() < b.terms().size() ? -1 : 1;
  for (size_t i = 0; i < a.terms().size(); ++i) {
    if (const int order = Compare(a.terms()[i], b.terms()[i])) return order;
    if (a.terms()[i].coefficient != b.terms()[i].coefficient) {
      return a.terms()[i].coefficient < b.terms()[i].coefficient ? -1 : 1;
    }
  }
  return 0;
}

int Compare(const Atom& a, const Atom& b) {
  if (&a == &b) return 0;
  if (a.kind != b.kind) return a.kind < b.kind ? -1 : 1;
  if (a.kind == Atom::Kind::kSymbol) {
    if (a.symbol == b.symbol) return 0;
    if (const int order = a.symbol->name.compare(b.symbol->name)) return order < 0 ? -1 : 1;
    return a.symbol < b.symbol ? -1 : 1;   // equal names: any order that holds within the process
  }
  if (const int order = Compare(a.a, b.a)) return order;
  return Compare(a.b, b.b);
}

// Adds `term` to a sorted sum.
void AddTerm(const Term& term, Terms* sum) {
  const auto at = std::lower_bound(sum->begin(), sum->end(), term,
                                   [](const Term& a, const Term& b) { return Compare(a, b) < 0; });
  if (at == sum->end() || Compare(*at, term) != 0) {
    if (term.coefficient != 0) sum->insert(at, term);
    return;
  }
  at->coefficient = Plus(at->coefficient, term.coefficient);
  if (at->coefficient == 0) sum->erase(at);
}

Term MultiplyTerms(const Term& a, const Term& b) {
  Term product{Times(a.coefficient, b.coefficient), a.factors};
  product.factors.insert(product.factors.end(), b.factors.begin(), b.factors.end());
  std::sort(product.factors.begin(), product.factors.end(),
            [](const AtomRef& x, const AtomRef& y) { return Compare(*x, *y) < 0; });
  return product;
}

Interval AtomBounds(const Atom& atom) {
  if (atom.kind == Atom::Kind::kSymbol) return {atom.symbol->lower, atom.symbol->upper};
  const Interval a = atom.a.Bounds(), b = atom.b.Bounds();
  switch (atom.kind) {
    case Atom::Kind::kMin: return {std::min(a.lower, b.lower), std::min(a.upper, b.upper)};
    case Atom::Kind::kMax: return {std::max(a.lower, b.lower), std::max(a.upper, b.upper)};
    case Atom::Kind::kMod: {
      const int64_t most = Unbounded(b.upper) ? kMax : b.upper - 1;
      return {0, a.lower >= 0 ? std::min(a.upper, most) : most};
    }
    default: break;
  }
  // The divisor is positive: the quotient grows with a; it shrinks towards 0 as the divisor grows.
  const auto quotient = [](int64_t x, int64_t y) {
    if (Unbounded(x)) return x;
    if (Unbounded(y)) return x < 0 ? int64_t{-1} : int64_t{0};
    return FloorQuotient(x, y);
  };
  const int64_t least = std::max<int64_t>(1, b.lower);
  return {quotient(a.lower, a.lower < 0 ? least : b.upper), quotient(a.upper, a.upper < 0 ? b.upper : least)};
}

int64_t AtomDivisor(const Atom& atom) {
  switch (atom.kind) {
    case Atom::Kind::kSymbol: return atom.symbol->divisor;
    case Atom::Kind::kMin:
    case Atom::Kind::kMax: return std::max<int64_t>(1, std::gcd(atom.a.Divisor(), atom.b.Divisor()));
    case Atom::Kind::kMod: return std::max<int64_t>(1, std::gcd(atom.a.Divisor(), atom.b.Divisor()));
    case Atom::Kind::kFloorDiv: return 1;
  }
  return 1;
}

int64_t TermDivisor(const Term& term) {
  int64_t divisor = Unbounded(term.coefficient) ? 1 : std::abs(term.coefficient);
  for (const AtomRef& atom : term.factors) {
    int64_t product = 0;
    if (!__builtin_mul_overflow(divisor, AtomDivisor(*atom), &product)) divisor = product;
  }
  return divisor;
}

Interval TermBounds(const Term& term) {
  Interval bounds{term.coefficient, term.coefficient};
  for (const AtomRef& atom : term.factors) bounds = Product(bounds, AtomBounds(*atom));
  return bounds;
}

}  // namespace

// Gives this file's helpers access to the representation.
struct DimExprBuilder {
  static DimExpr FromTerms(Terms terms) {
    DimExpr expr;
    if (!terms.empty()) expr.terms_ = std::make_shared<const Terms>(std::move(terms));
    return expr;
  }
  static DimExpr FromAtom(Atom atom) {
    return FromTerms({Term{1, {std::make_shared<const Atom>(std::move(atom))}}});
  }
};

namespace {

// The term divided by `divisor`, if its coefficient and its factors are those of a multiple.
std::optional<Term> Quotient(const Term& term, const Term& divisor) {
  if (Unbounded(term.coefficient) || term.coefficient % divisor.coefficient != 0) return std::nullopt;
  Term quotient{term.coefficient / divisor.coefficient, {}};
  size_t used = 0;
  for (const AtomRef& atom : term.factors) {
    if (used < divisor.factors.size() && Compare(*atom, *divisor.factors[used]) == 0) {
      ++used;
    } else {
      quotient.factors.push_back(atom);
    }
  }
  if (used != divisor.factors.size()) return std::nullopt;
  return quotient;
}

// Splits a sum into whole multiples of `divisor`, divided, and the rest.
void SplitMultiples(const DimExpr& expr, const Term& divisor, DimExpr* quotient, DimExpr* rest) {
  Terms whole, remaining;
  for (const Term& term : expr.terms()) {
    if (const std::optional<Term> multiple = Quotient(term, divisor)) {
      AddTerm(*multiple, &whole);
    } else if (term.factors.empty() && divisor.factors.empty() && !Unbounded(term.coefficient)) {
      AddTerm({FloorQuotient(term.coefficient, divisor.coefficient), {}}, &whole);
      AddTerm({FloorRemainder(term.coefficient, divisor.coefficient), {}}, &remaining);
    } else {
      AddTerm(term, &remaining);
    }
  }
  *quotient = DimExprBuilder::FromTerms(std::move(whole));
  *rest = DimExprBuilder::FromTerms(std::move(remaining));
}
void SplitMultiples(const DimExpr& expr, int64_t divisor, DimExpr* quotient, DimExpr* rest) {
  SplitMultiples(expr, Term{divisor, {}}, quotient, rest);
}

// Splits a sum into terms that are multiples of `divisor` because their symbols are, and the rest.
void SplitDivisible(const DimExpr& expr, int64_t divisor, DimExpr* divisible, DimExpr* rest) {
  Terms exact, remaining;
  for (const Term& term : expr.terms()) AddTerm(term, TermDivisor(term) % divisor == 0 ? &exact : &remaining);
  *divisible = DimExprBuilder::FromTerms(std::move(exact));
  *rest = DimExprBuilder::FromTerms(std::move(remaining));
}

bool Within(const DimExpr& expr, int64_t limit) {
  const Interval bounds = expr.Bounds();
  return bounds.lower >= 0 && bounds.upper < limit;
}

// Writes expr = g * coarse + fine with 0 <= fine < g for some g > 1 that divides `divisor`; returns g, or 1.
int64_t SplitCoarse(const DimExpr& expr, int64_t divisor, DimExpr* coarse, DimExpr* fine) {
  for (const Term& term : expr.terms()) {
    if (term.factors.empty() || Unbounded(term.coefficient)) continue;
    const int64_t g = std::gcd(divisor, term.coefficient);
    if (g <= 1) continue;
    SplitMultiples(expr, g, coarse, fine);
    if (Within(*fine, g)) return g;
  }
  return 1;
}

const Atom* OnlyAtom(const DimExpr& expr, Atom::Kind kind) {
  if (expr.terms().size() != 1) return nullptr;
  const Term& term = expr.terms().front();
  if (term.coefficient != 1 || term.factors.size() != 1 || term.factors[0]->kind != kind) return nullptr;
  return term.factors[0].get();
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

// Where the divisor is one term that is not constant: whole multiples leave, and a rest below the divisor is final.
bool SplitSymbolic(const DimExpr& a, const DimExpr& b, DimExpr* quotient, DimExpr* rest) {
  if (b.terms().size() != 1 || Unbounded(b.terms().front().coefficient)) {
    *quotient = DimExpr(0);
    *rest = a;
  } else {
    SplitMultiples(a, b.terms().front(), quotient, rest);
  }
  return ProvablyLessEqual(0, *rest) && ProvablyLess(*rest, b);
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
  static const auto empty = std::make_shared<const Terms>();
  terms_ = value == 0 ? empty : std::make_shared<const Terms>(Terms{Term{value, {}}});
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
    std::vector<SymbolRef> inside;
    for (const AtomRef& atom : term.factors) {
      if (atom->kind == Atom::Kind::kSymbol) {
        inside.push_back(atom->symbol);
      } else {
        CollectSymbols(atom->a, &inside);
        CollectSymbols(atom->b, &inside);
      }
    }
    if (std::find(inside.begin(), inside.end(), symbol) != inside.end()) return std::nullopt;
    others.push_back(term);
  }
  if (rest != nullptr) *rest = DimExprBuilder::FromTerms(std::move(others));
  return coefficient;
}

DimExpr DimExpr::Substitute(const std::map<SymbolRef, DimExpr>& values) const {
  const std::vector<SymbolRef> symbols = Symbols();
  if (std::none_of(symbols.begin(), symbols.end(), [&](const SymbolRef& s) { return values.contains(s); })) return *this;
  DimExpr sum(0);
  for (const Term& term : *terms_) {
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
  return sum;
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
  Terms sum = a.terms();
  for (const Term& term : b.terms()) AddTerm(term, &sum);
  const DimExpr expr = DimExprBuilder::FromTerms(std::move(sum));
  return HasMod(expr) && expr.terms().size() > 1 ? JoinDivisions(expr) : expr;
}

DimExpr operator-(const DimExpr& a, const DimExpr& b) { return a + DimExpr(-1) * b; }

DimExpr operator*(const DimExpr& a, const DimExpr& b) {
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

DimExpr FloorDiv(const DimExpr& a, const DimExpr& b) {
  if (a == DimExpr(0) || b == DimExpr(1)) return a;
  if (a == b) return DimExpr(1);
  DimExpr quotient, rest;
  if (!b.IsConstant()) {
    if (SplitSymbolic(a, b, &quotient, &rest)) return quotient;
    return quotient + DimExprBuilder::FromAtom({Atom::Kind::kFloorDiv, nullptr, rest, b});
  }
  const int64_t divisor = b.Constant();
  if (divisor <= 0 || Unbounded(divisor)) return DimExprBuilder::FromAtom({Atom::Kind::kFloorDiv, nullptr, a, b});
  SplitMultiples(a, divisor, &quotient, &rest);
  const Interval bounds = rest.Bounds();
  if (!Unbounded(bounds.lower) && !Unbounded(bounds.upper) &&
      FloorQuotient(bounds.lower, divisor) == FloorQuotient(bounds.upper, divisor)) {
    return quotient + DimExpr(FloorQuotient(bounds.lower, divisor));
  }
  DimExpr coarse, fine;
  SplitDivisible(rest, divisor, &coarse, &fine);
  if (!coarse.terms().empty() && rest.terms().size() > 1) {
    for (const Term& term : coarse.terms()) {
      quotient = quotient + FloorDiv(DimExprBuilder::FromTerms({term}), b);
    }
    return quotient + FloorDiv(fine, b);
  }
  if (const int64_t g = SplitCoarse(rest, divisor, &coarse, &fine); g > 1) {
    return quotient + FloorDiv(coarse, DimExpr(divisor / g));
  }
  const Atom* nested = OnlyAtom(rest, Atom::Kind::kFloorDiv);
  if (nested != nullptr && nested->b.IsConstant()) {
    return quotient + FloorDiv(nested->a, DimExpr(Times(nested->b.Constant(), divisor)));
  }
  return quotient + DimExprBuilder::FromAtom({Atom::Kind::kFloorDiv, nullptr, rest, b});
}

DimExpr Mod(const DimExpr& a, const DimExpr& b) {
  if (a == DimExpr(0) || a == b || b == DimExpr(1)) return DimExpr(0);
  DimExpr quotient, rest, multiple;
  if (!b.IsConstant()) {
    if (SplitSymbolic(a, b, &quotient, &rest)) return rest;
    return DimExprBuilder::FromAtom({Atom::Kind::kMod, nullptr, rest, b});
  }
  const int64_t divisor = b.Constant();
  if (divisor <= 0 || Unbounded(divisor)) return DimExprBuilder::FromAtom({Atom::Kind::kMod, nullptr, a, b});
  SplitMultiples(a, divisor, &quotient, &multiple);
  SplitDivisible(multiple, divisor, &quotient, &rest);
  const Interval bounds = rest.Bounds();
  if (!Unbounded(bounds.lower) && !Unbounded(bounds.upper) &&
      FloorQuotient(bounds.lower, divisor) == FloorQuotient(bounds.upper, divisor)) {
    return rest - DimExpr(Times(divisor, FloorQuotient(bounds.lower, divisor)));
  }
  DimExpr coarse, fine;
  if (const int64_t g = SplitCoarse(rest, divisor, &coarse, &fine); g > 1) {
    return DimExpr(g) * Mod(coarse, DimExpr(divisor / g)) + fine;
  }
  const Atom* nested = OnlyAtom(rest, Atom::Kind::kMod);
  if (nested != nullptr && nested->b.IsConstant() && nested->b.Constant() % divisor == 0) return Mod(nested->a, b);
  return DimExprBuilder::FromAtom({Atom::Kind::kMod, nullptr, rest, b});
}

DimExpr CeilDiv(const DimExpr& a, const DimExpr& b) { return FloorDiv(a + b - DimExpr(1), b); }

DimExpr Min(const DimExpr& a, const DimExpr& b) {
  if (ProvablyLessEqual(a, b)) return a;
  if (ProvablyLessEqual(b, a)) return b;
  const bool ordered = Compare(a, b) < 0;
  return DimExprBuilder::FromAtom({Atom::Kind::kMin, nullptr, ordered ? a : b, ordered ? b : a});
}

DimExpr Max(const DimExpr& a, const DimExpr& b) {
  if (ProvablyLessEqual(a, b)) return b;
  if (ProvablyLessEqual(b, a)) return a;
  const bool ordered = Compare(a, b) < 0;
  return DimExprBuilder::FromAtom({Atom::Kind::kMax, nullptr, ordered ? a : b, ordered ? b : a});
}

DimExpr RoundUp(const DimExpr& a, int64_t multiple) {
  return a.Divisor() % multiple == 0 ? a : DimExpr(multiple) * CeilDiv(a, DimExpr(multiple));
}

bool ProvablyLess(const DimExpr& a, const DimExpr& b) {
  const int64_t least = (b - a).Bounds().lower;
  return least != kMin && least > 0;
}
bool ProvablyLessEqual(const DimExpr& a, const DimExpr& b) {
  const int64_t least = (b - a).Bounds().lower;
  return least != kMin && least >= 0;
}

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
