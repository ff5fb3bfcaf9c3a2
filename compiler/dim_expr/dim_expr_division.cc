#include <algorithm>
#include <numeric>

#include "compiler/dim_expr/terms.h"

// Division, remainder and their kin: what is known of bounds and divisors decides.
namespace hone {
namespace {

using namespace terms;   // NOLINT: this folder's own

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

}  // namespace

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
  if (a.IsConstant() && !Unbounded(a.Constant())) return DimExpr(FloorQuotient(a.Constant(), divisor));
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
  if (a.IsConstant() && !Unbounded(a.Constant())) return DimExpr(FloorRemainder(a.Constant(), divisor));
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

}  // namespace hone
