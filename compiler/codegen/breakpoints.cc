#include "compiler/codegen/breakpoints.h"

#include <cstdlib>

namespace hone {
namespace {

constexpr size_t kMostCuts = 16;   // of one axis

int64_t CeilQuotient(int64_t a, int64_t b) { return a / b + (a % b > 0 ? 1 : 0); }

}  // namespace

void Breakpoints::Collect(const StageLoops& stage) {
  for (const ScalarRef& body : stage.body) Collect(body);
  for (const Store& store : stage.stores) Collect(store.value);
  if (stage.tail_lanes > 0 && stage.tail_block == axis_.variable) points_.insert(Extent(axis_) - 1);
  for (int64_t block = 1; stage.each_block == axis_.variable && block < Extent(axis_); ++block) points_.insert(block);
}

void Breakpoints::Collect(const ScalarRef& scalar) {
  if (scalar->kind == Scalar::Kind::kBinary) Compare(*scalar);
  for (const ScalarRef& operand : scalar->operands) Collect(operand);
}

void Breakpoints::Compare(const Scalar& scalar) {
  if (scalar.binary != BinaryOp::kLess && scalar.binary != BinaryOp::kLessEqual) return;
  DimExpr sides[2];
  for (int s = 0; s < 2; ++s) {
    const Scalar& operand = *scalar.operands[s];
    if (operand.kind != Scalar::Kind::kIndex && operand.kind != Scalar::Kind::kInteger) return;
    sides[s] = operand.kind == Scalar::Kind::kIndex ? operand.index : DimExpr(operand.integer);
  }
  // Holds where coefficient * x + rest >= wanted: surely beyond one point and surely not before another.
  DimExpr rest;
  const DimExpr difference = sides[1] - sides[0];
  const std::optional<int64_t> coefficient = difference.AffineCoefficient(axis_.variable, &rest);
  const Interval bounds = rest.Bounds();
  if (!coefficient || *coefficient == 0 || bounds.lower == Interval().lower || bounds.upper == Interval().upper) return;
  const int64_t wanted = scalar.binary == BinaryOp::kLess ? 1 : 0, step = std::abs(*coefficient);
  for (const int64_t other : {bounds.lower, bounds.upper}) {
    const int64_t point = *coefficient > 0 ? CeilQuotient(wanted - other, step) : -CeilQuotient(wanted - other, step) + 1;
    if (point > 0 && point < Extent(axis_) && points_.size() < kMostCuts) points_.insert(point);
  }
}

}  // namespace hone
