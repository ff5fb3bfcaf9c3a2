#pragma once

#include <utility>
#include <vector>

#include "compiler/dim_expr/dim_expr.h"

// What the files of this folder share: sums of terms in canonical order.
namespace hone {

struct DimExprBuilder {   // makes expressions of their representation
  static DimExpr FromTerms(std::vector<DimExpr::Term> terms) {
    DimExpr expr;
    if (!terms.empty()) expr.terms_ = std::make_shared<const std::vector<DimExpr::Term>>(std::move(terms));
    return expr;
  }
  static DimExpr FromAtom(DimExpr::Atom atom) {
    return FromTerms({DimExpr::Term{1, {std::make_shared<const DimExpr::Atom>(std::move(atom))}}});
  }
};

namespace terms {

using Atom = DimExpr::Atom;
using AtomRef = DimExpr::AtomRef;
using Term = DimExpr::Term;
using Terms = std::vector<Term>;

constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

// Arithmetic that saturates and then stays saturated, so that a dimension that large is refused wherever it is
// evaluated. In bounds the same two values mean unbounded.
inline bool Unbounded(int64_t value) { return value == kMin || value == kMax; }
inline int64_t Plus(int64_t a, int64_t b) {
  if (Unbounded(a)) return a;
  if (Unbounded(b)) return b;
  int64_t sum = 0;
  if (!__builtin_add_overflow(a, b, &sum)) return sum;
  return a < 0 ? kMin : kMax;
}
inline int64_t Times(int64_t a, int64_t b) {
  if (a == 0 || b == 0) return 0;
  int64_t product = 0;
  if (!Unbounded(a) && !Unbounded(b) && !__builtin_mul_overflow(a, b, &product)) return product;
  return (a < 0) == (b < 0) ? kMax : kMin;
}
inline int64_t FloorQuotient(int64_t a, int64_t b) { return a / b - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0); }
inline int64_t FloorRemainder(int64_t a, int64_t b) { return a % b + (a % b != 0 && (a < 0) != (b < 0) ? b : 0); }

Interval Sum(const Interval& a, const Interval& b);
Interval TermBounds(const Term& term);
int64_t TermDivisor(const Term& term);   // an integer that divides every value of the term

// The canonical order: below, equal to or above 0. Of terms: without their coefficients.
int Compare(const Atom& a, const Atom& b);
int Compare(const Term& a, const Term& b);
int Compare(const DimExpr& a, const DimExpr& b);

void AddTerm(const Term& term, Terms* sum);   // to a sorted sum
Term MultiplyTerms(const Term& a, const Term& b);
const Atom* OnlyAtom(const DimExpr& expr, Atom::Kind kind);   // the expression, if it is one atom of this kind; else null

}  // namespace terms
}  // namespace hone
