#include "compiler/schedule/guarded_reduction.h"

#include <limits>

namespace hone {
namespace {

bool IsNeutral(const Scalar& scalar, Combine combine) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (scalar.kind != Scalar::Kind::kReal) return false;
  switch (combine) {
    case Combine::kSum: return scalar.real == 0;
    case Combine::kProd: return scalar.real == 1;
    case Combine::kMax: return scalar.real == -kInfinity;
    case Combine::kMin: return scalar.real == kInfinity;
    case Combine::kNone:
    case Combine::kTuple: return false;
  }
  return false;
}

std::optional<DimExpr> AsIndex(const Scalar& scalar) {
  if (scalar.kind == Scalar::Kind::kIndex) return scalar.index;
  if (scalar.kind == Scalar::Kind::kInteger) return DimExpr(scalar.integer);
  return std::nullopt;
}

class GuardReader {
 public:
  explicit GuardReader(const std::vector<Axis>& reduce) : reduce_(reduce) {
    for (const Axis& axis : reduce) ranges_.push_back({DimExpr(0), axis.extent});
  }

  // The body without its guards; null if one of them is no range.
  ScalarRef Strip(const ScalarRef& body, Combine combine) {
    if (body->kind == Scalar::Kind::kSelect) {
      const bool plain = IsNeutral(*body->operands[2], combine) && Read(*body->operands[0]);
      return plain ? body->operands[1] : nullptr;
    }
    if (combine != Combine::kSum || body->kind != Scalar::Kind::kBinary || body->binary != BinaryOp::kMul) return body;
    const ScalarRef a = Strip(body->operands[0], combine), b = Strip(body->operands[1], combine);
    return a == nullptr || b == nullptr ? nullptr : Binary(BinaryOp::kMul, a, b);
  }

  std::vector<ReduceRange> ranges() && { return std::move(ranges_); }

 private:
  bool Read(const Scalar& condition) {
    if (condition.kind != Scalar::Kind::kBinary) return false;
    if (condition.binary == BinaryOp::kAnd) return Read(*condition.operands[0]) && Read(*condition.operands[1]);
    if (condition.binary != BinaryOp::kLess && condition.binary != BinaryOp::kLessEqual) return false;
    const std::optional<DimExpr> left = AsIndex(*condition.operands[0]), right = AsIndex(*condition.operands[1]);
    return left && right && Bound(*right - *left, condition.binary == BinaryOp::kLess ? 1 : 0);
  }

  // Holds where coefficient * tap + rest >= wanted.
  bool Bound(const DimExpr& difference, int64_t wanted) {
    int found = -1;
    for (const SymbolRef& symbol : difference.Symbols()) {
      for (size_t r = 0; r < reduce_.size(); ++r) {
        if (reduce_[r].variable != symbol) continue;
        if (found >= 0) return false;
        found = static_cast<int>(r);
      }
    }
    if (found < 0) return false;
    DimExpr rest;
    const std::optional<int64_t> coefficient = difference.AffineCoefficient(reduce_[found].variable, &rest);
    if (!coefficient || *coefficient == 0) return false;
    ReduceRange& range = ranges_[found];
    if (*coefficient > 0) {
      range.begin = Max(range.begin, CeilDiv(DimExpr(wanted) - rest, DimExpr(*coefficient)));
    } else {
      range.end = Min(range.end, FloorDiv(rest - DimExpr(wanted), DimExpr(-*coefficient)) + DimExpr(1));
    }
    return true;
  }

  const std::vector<Axis>& reduce_;
  std::vector<ReduceRange> ranges_;
};

}  // namespace

std::optional<GuardedReduction> RangesOfGuards(const ScalarRef& body, Combine combine, const std::vector<Axis>& reduce) {
  GuardReader reader(reduce);
  ScalarRef stripped = reader.Strip(body, combine);
  if (stripped == nullptr) return std::nullopt;
  return GuardedReduction{std::move(stripped), std::move(reader).ranges()};
}

}  // namespace hone
