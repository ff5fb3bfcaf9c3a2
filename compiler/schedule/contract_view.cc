#include "compiler/schedule/contract_view.h"

#include <algorithm>

namespace hone {
namespace {

constexpr double kTranscendentalFlops = 15;   // a polynomial of degree 6 with its range reduction

bool Uses(const std::vector<LoadIndex>& indices, const SymbolRef& symbol) {
  for (const LoadIndex& index : indices) {
    const std::vector<SymbolRef> symbols = std::get<DimExpr>(index).Symbols();
    if (std::find(symbols.begin(), symbols.end(), symbol) != symbols.end()) return true;
  }
  return false;
}

bool AllAffine(const std::vector<LoadIndex>& indices) {
  return std::all_of(indices.begin(), indices.end(),
                     [](const LoadIndex& index) { return std::holds_alternative<DimExpr>(index); });
}

// The packed operand is copied axis by axis: each of its indices is one axis, used once, or zero.
bool IsPlainOperand(const std::vector<LoadIndex>& indices) {
  std::vector<SymbolRef> seen;
  for (const LoadIndex& index : indices) {
    const DimExpr& expr = std::get<DimExpr>(index);
    if (expr == DimExpr(0)) continue;
    const std::vector<SymbolRef> symbols = expr.Symbols();
    if (symbols.size() != 1 || !(expr == DimExpr(symbols[0]))) return false;
    if (std::find(seen.begin(), seen.end(), symbols[0]) != seen.end()) return false;
    seen.push_back(symbols[0]);
  }
  return true;
}

std::optional<ContractView> ViewWith(const StageLoops& stage, const Scalar& a, const Scalar& b) {
  if (!AllAffine(a.indices) || !AllAffine(b.indices) || !IsPlainOperand(b.indices)) return std::nullopt;
  ContractView view{.a = a.tensor, .b = b.tensor, .a_indices = a.indices, .b_indices = b.indices};
  for (size_t i = 0; i < stage.axes.size(); ++i) {
    const bool in_a = Uses(a.indices, stage.axes[i].variable), in_b = Uses(b.indices, stage.axes[i].variable);
    const int axis = static_cast<int>(i);
    if (Extent(stage.axes[i]) == 1) {
      view.m.push_back(axis);
    } else if (in_b && !in_a) {
      if (view.n >= 0) return std::nullopt;
      view.n = axis;
    } else {
      (in_b ? view.batch : view.m).push_back(axis);
    }
  }
  for (const Axis& axis : stage.reduce) {
    const bool trivial = Extent(axis) == 1;
    if (!trivial && (!Uses(a.indices, axis.variable) || !Uses(b.indices, axis.variable))) return std::nullopt;
  }
  if (view.n < 0) return std::nullopt;
  return view;
}

}  // namespace

std::optional<ContractView> ViewAsContract(const StageLoops& stage) {
  if (stage.combine != Combine::kSum || stage.body.size() != 1 || stage.dtype != DType::kF32) return std::nullopt;
  const ScalarRef& body = stage.body[0];
  if (body->kind != Scalar::Kind::kBinary || body->binary != BinaryOp::kMul) return std::nullopt;
  const Scalar& left = *body->operands[0];
  const Scalar& right = *body->operands[1];
  if (left.kind != Scalar::Kind::kLoad || right.kind != Scalar::Kind::kLoad) return std::nullopt;
  if (Points(stage.reduce) < 2) return std::nullopt;
  if (std::optional<ContractView> view = ViewWith(stage, left, right)) return view;
  return ViewWith(stage, right, left);
}

double StageFlops(const StageLoops& stage) {
  const double points = static_cast<double>(Points(stage.axes));
  double flops = 0;
  for (const ScalarRef& body : stage.body) {
    const ScalarCost cost = CostOf(body);
    flops += points * static_cast<double>(Points(stage.reduce)) *
             (1 + cost.operations + kTranscendentalFlops * cost.transcendental);
  }
  for (const Store& store : stage.stores) {
    const ScalarCost cost = CostOf(store.value);
    flops += points * (1 + cost.operations + kTranscendentalFlops * cost.transcendental);
  }
  return flops;
}

int CostliestStage(const FusedStages& fused) {
  int best = 0;
  for (size_t i = 1; i < fused.stages.size(); ++i) {
    if (StageFlops(fused.stages[i]) > StageFlops(fused.stages[best])) best = static_cast<int>(i);
  }
  return best;
}

}  // namespace hone
