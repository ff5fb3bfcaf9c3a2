#include "compiler/schedule/contract_view.h"

#include <algorithm>

namespace hone {
namespace {

constexpr double kTranscendentalFlops = 15;   // a polynomial of degree 6 with its range reduction
constexpr int64_t kGroupMultiple = 16;  // channels: whole blocks of any layout, whole vectors of any target

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

// One axis, or two that split one.
bool IsOneAxis(const DimExpr& index) {
  const std::vector<SymbolRef> symbols = index.Symbols();
  const auto splits = [&](const SymbolRef& outer, const SymbolRef& inner) {
    DimExpr rest;
    const std::optional<int64_t> width = index.AffineCoefficient(outer, &rest);
    return width && *width - 1 == inner->upper && rest == DimExpr(inner);
  };
  if (symbols.size() == 2) return splits(symbols[0], symbols[1]) || splits(symbols[1], symbols[0]);
  return symbols.size() == 1 && index == DimExpr(symbols[0]);
}

// The packed operand is copied axis by axis: each of its indices is one axis, used once, or zero.
bool IsPlainOperand(const std::vector<LoadIndex>& indices) {
  std::vector<SymbolRef> seen;
  for (const LoadIndex& index : indices) {
    const DimExpr& expr = std::get<DimExpr>(index);
    if (expr == DimExpr(0)) continue;
    if (!IsOneAxis(expr)) return false;
    for (const SymbolRef& symbol : expr.Symbols()) {
      if (std::find(seen.begin(), seen.end(), symbol) != seen.end()) return false;
      seen.push_back(symbol);
    }
  }
  return true;
}

// c of the first floordiv(axis, c) among a load's indices; 0: there is none.
int64_t DivisorOf(const SymbolRef& axis, const Scalar& load) {
  for (const LoadIndex& index : load.indices) {
    const DimExpr* expr = std::get_if<DimExpr>(&index);
    if (expr == nullptr) continue;
    for (const DimExpr::Term& term : expr->terms()) {
      for (const DimExpr::AtomRef& atom : term.factors) {
        if (atom->kind == DimExpr::Atom::Kind::kFloorDiv && atom->a == DimExpr(axis))
          return atom->b.AsConstant().value_or(0);
      }
    }
  }
  return 0;
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
  for (const LoadIndex& index : b.indices) {
    const DimExpr& expr = std::get<DimExpr>(index);
    if (!expr.Mentions(stage.axes[view.n].variable)) continue;
    for (const int axis : view.batch) {
      if (expr.Mentions(stage.axes[axis].variable)) view.group = axis;
    }
  }
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

void SplitGroups(StageLoops* stage) {
  for (size_t i = 0; i < stage->axes.size(); ++i) {
    const Axis axis = stage->axes[i];
    int64_t width = 0;
    for (const ScalarRef& body : stage->body) {
      ForEachLoad(body, [&](const Scalar& load) { width = std::max(width, DivisorOf(axis.variable, load)); });
    }
    if (width == 0 || width % kGroupMultiple != 0 || Extent(axis) % width != 0) continue;
    const int64_t groups = Extent(axis) / width;
    const Axis group{MakeSymbol(axis.variable->name + "_group", 0, groups - 1), DimExpr(groups)};
    const Axis inside{MakeSymbol(axis.variable->name, 0, width - 1), DimExpr(width)};
    StageLoops split = *stage;
    SubstituteInto({{axis.variable, DimExpr(width) * DimExpr(group.variable) + DimExpr(inside.variable)}},
                   &split);
    split.axes[i] = inside;
    split.axes.insert(split.axes.begin() + static_cast<ptrdiff_t>(i), group);
    const std::optional<ContractView> view = ViewAsContract(split);
    const bool aligned =
        view && std::all_of(view->a_indices.begin(), view->a_indices.end(), [&](const LoadIndex& index) {
          return std::get<DimExpr>(index).AffineCoefficient(group.variable).value_or(1) % kGroupMultiple == 0;
        });
    if (aligned) *stage = std::move(split);
    return;
  }
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
