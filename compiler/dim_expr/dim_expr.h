#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace hone {

// A symbolic dimension or a loop variable: an integer in [lower, upper], a multiple of `divisor`. Identity is the
// pointer; names are for text forms and unique within one graph or loop nest.
struct Symbol {
  static constexpr int64_t kUnbounded = std::numeric_limits<int64_t>::max();
  std::string name;
  int64_t lower = 0;
  int64_t upper = kUnbounded;   // inclusive
  int64_t divisor = 1;
};
using SymbolRef = std::shared_ptr<const Symbol>;

SymbolRef MakeSymbol(std::string name, int64_t lower = 0, int64_t upper = Symbol::kUnbounded, int64_t divisor = 1);

struct Interval {
  int64_t lower = std::numeric_limits<int64_t>::min();   // min() and max() mean unbounded
  int64_t upper = std::numeric_limits<int64_t>::max();
  bool operator==(const Interval&) const = default;
};

// An integer expression in canonical form: a sum of products of atoms with integer coefficients, where an atom is a
// symbol, floordiv(e, d), mod(e, d) (d provably positive, rounding down), min(a, b) or max(a, b). Simplified when built,
// using bounds and divisibility: with 0 <= i < 16, floordiv(16*o + i, 16) is o and mod(16*o + i, 16) is i.
// An immutable value, cheap to copy, safe to share between threads.
class DimExpr {
 public:
  struct Atom;
  using AtomRef = std::shared_ptr<const Atom>;
  struct Term {
    int64_t coefficient = 0;
    std::vector<AtomRef> factors;   // sorted; empty for the constant term
  };

  DimExpr(int64_t value = 0);        // NOLINT: integers are dimensions
  DimExpr(SymbolRef symbol);         // NOLINT

  const std::vector<Term>& terms() const { return *terms_; }   // zero is the empty sum
  bool IsConstant() const;
  std::optional<int64_t> AsConstant() const;
  int64_t Constant() const;          // requires IsConstant()
  Interval Bounds() const;
  int64_t Divisor() const;           // the largest integer known to divide it (0 for the constant 0)
  std::vector<SymbolRef> Symbols() const;   // in order of first appearance, each once
  bool Mentions(const SymbolRef& symbol) const;

  // The coefficient of `symbol` if the expression is affine in it (it occurs in no other atom and no product), and in
  // `rest` what remains without it. nullopt otherwise.
  std::optional<int64_t> AffineCoefficient(const SymbolRef& symbol, DimExpr* rest = nullptr) const;

  DimExpr Substitute(const std::map<SymbolRef, DimExpr>& values) const;
  // InvalidArgument: an unbound symbol; OutOfRange: int64 overflow.
  absl::StatusOr<int64_t> Evaluate(const std::map<SymbolRef, int64_t>& values) const;

  std::string ToString() const;      // "4*s0 + floordiv(s1 + 1, 2)"
  // Symbols are looked up by name in `symbols`; an unknown name is InvalidArgument.
  static absl::StatusOr<DimExpr> Parse(std::string_view text, const std::map<std::string, SymbolRef>& symbols);

  friend DimExpr operator+(const DimExpr& a, const DimExpr& b);
  friend DimExpr operator-(const DimExpr& a, const DimExpr& b);
  friend DimExpr operator*(const DimExpr& a, const DimExpr& b);
  friend bool operator==(const DimExpr& a, const DimExpr& b);   // provable: the canonical forms are equal

 private:
  friend struct DimExprBuilder;
  std::shared_ptr<const std::vector<Term>> terms_;
};

struct DimExpr::Atom {
  enum class Kind { kSymbol, kFloorDiv, kMod, kMin, kMax };
  Kind kind = Kind::kSymbol;
  SymbolRef symbol;   // kSymbol
  DimExpr a, b;       // the others
};

DimExpr FloorDiv(const DimExpr& a, const DimExpr& b);   // b provably positive
DimExpr CeilDiv(const DimExpr& a, const DimExpr& b);
DimExpr Mod(const DimExpr& a, const DimExpr& b);
DimExpr Min(const DimExpr& a, const DimExpr& b);
DimExpr Max(const DimExpr& a, const DimExpr& b);
DimExpr RoundUp(const DimExpr& a, int64_t multiple);
bool ProvablyLess(const DimExpr& a, const DimExpr& b);        // false means "not known"
bool ProvablyLessEqual(const DimExpr& a, const DimExpr& b);
DimExpr Product(const std::vector<DimExpr>& dims);
std::string ShapeText(const std::vector<DimExpr>& dims);      // "[1,3,s0]"
std::optional<std::vector<int64_t>> ConstantShape(const std::vector<DimExpr>& dims);

}  // namespace hone
