#include "compiler/dim_expr/terms.h"

#include <algorithm>
#include <cstdlib>
#include <numeric>

namespace hone::terms {

// A sum that is unbounded on one side stays so, whatever is added.
Interval Sum(const Interval& a, const Interval& b) {
  return {a.lower == kMin || b.lower == kMin ? kMin : Plus(a.lower, b.lower),
          a.upper == kMax || b.upper == kMax ? kMax : Plus(a.upper, b.upper)};
}

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

const Atom* OnlyAtom(const DimExpr& expr, Atom::Kind kind) {
  if (expr.terms().size() != 1) return nullptr;
  const Term& term = expr.terms().front();
  if (term.coefficient != 1 || term.factors.size() != 1 || term.factors[0]->kind != kind) return nullptr;
  return term.factors[0].get();
}

namespace {

Interval Product(const Interval& a, const Interval& b) {
  const int64_t corners[] = {Times(a.lower, b.lower), Times(a.lower, b.upper), Times(a.upper, b.lower),
                             Times(a.upper, b.upper)};
  return {*std::min_element(std::begin(corners), std::end(corners)),
          *std::max_element(std::begin(corners), std::end(corners))};
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

}  // namespace

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

}  // namespace hone::terms
