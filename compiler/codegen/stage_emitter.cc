#include "compiler/codegen/stage_emitter.h"

#include <algorithm>

#include "compiler/codegen/breakpoints.h"

namespace hone {
void StageEmitter::Run() {
  e_.SetLanes({});
  EmitAxis(0);
  e_.SetLanes({});
}

void StageEmitter::BindTo(const Axis& axis, llvm::Value* i, int64_t count, const DimExpr& begin, const DimExpr& scale) {
  if (count == 1) return e_.Substitute(axis.variable, begin);
  const SymbolRef symbol = MakeSymbol(axis.variable->name, 0, count - 1);
  e_.Bind(symbol, i);
  e_.Substitute(axis.variable, begin + scale * DimExpr(symbol));
}

void StageEmitter::EmitAxis(int level) {
  if (level == outputs_) return EmitPoints();
  const Emitter::Pins pins = e_.pins();
  Hoist(level);
  const Axis& axis = stage_.axes[level];
  Breakpoints breakpoints(axis);
  breakpoints.Collect(stage_);
  const std::vector<int64_t> cuts = breakpoints.points();
  for (size_t piece = 0; piece + 1 < cuts.size(); ++piece) EmitPiece(level, cuts[piece], cuts[piece + 1]);
  e_.SetPins(pins);
}

bool StageEmitter::InTail() const {
  if (stage_.tail_lanes == 0) return false;
  return e_.Rewritten(DimExpr(stage_.tail_block)).Bounds().lower >= stage_.tail_block->upper;
}

void StageEmitter::EmitPiece(int level, int64_t begin, int64_t end) {
  const Axis& axis = stage_.axes[level];
  if (level == stage_.lane_axis) {
    EmitVectors(axis, begin, InTail() ? stage_.tail_lanes : end, [&] { EmitAxis(level + 1); });
    e_.SetLanes({});
  } else if (level == stage_.tile_axis) {
    EmitTiles(level, begin, end);
  } else {
    e_.Loop(end - begin, {}, [&](llvm::Value* i, const Values&) {
      BindTo(axis, i, end - begin, DimExpr(begin), DimExpr(1));
      EmitAxis(level + 1);
      return Values();
    });
  }
}

void StageEmitter::EmitTiles(int level, int64_t begin, int64_t end) {
  const int64_t tile = stage_.tile, whole = (end - begin) / tile;
  for (int64_t first = 0; first < whole;) {
    const TapsOfPoints taps = TapsAt(level, begin + first * tile, stage_.tile);
    int64_t last = first + 1;
    while (last < whole && (taps.empty() || TapsAt(level, begin + last * tile, stage_.tile) == taps)) ++last;
    EmitTileRun(level, begin + first * tile, last - first, stage_.tile, taps);
    first = last;
  }
  const int rest = static_cast<int>(end - begin - whole * tile);
  if (rest > 0) EmitTileRun(level, end - rest, 1, rest, TapsAt(level, end - rest, rest));
}

StageEmitter::TapsOfPoints StageEmitter::TapsAt(int level, int64_t first, int points) const {
  TapsOfPoints taps;
  const SymbolRef& variable = stage_.axes[level].variable;
  for (size_t r = 0; r < stage_.ranges.size(); ++r) {
    const ReduceRange& range = stage_.ranges[r];
    if (!range.begin.Mentions(variable) && !range.end.Mentions(variable)) continue;
    for (int point = 0; point < points; ++point) {
      const std::map<SymbolRef, DimExpr> at = {{variable, DimExpr(first + point)}};
      taps[r].push_back({range.begin.Substitute(at).Constant(), range.end.Substitute(at).Constant()});
    }
  }
  return taps;
}

void StageEmitter::EmitTileRun(int level, int64_t begin, int64_t count, int points, const TapsOfPoints& taps) {
  const Axis& axis = stage_.axes[level];
  tile_variable_ = axis.variable;
  points_ = points;
  taps_ = taps;
  e_.Loop(count, {}, [&](llvm::Value* i, const Values&) {
    const SymbolRef symbol = MakeSymbol(axis.variable->name, 0, count - 1);
    e_.Bind(symbol, i);
    tile_base_ = DimExpr(begin) + DimExpr(points) * DimExpr(symbol);
    EmitAxis(level + 1);
    return Values();
  });
  points_ = 1;
  taps_.clear();
  tile_variable_ = nullptr;
}

void StageEmitter::EmitVectors(const Axis& axis, int64_t begin, int64_t end, const std::function<void()>& body) {
  const int lanes = stage_.lanes;
  const int64_t whole = (end - begin) / lanes, rest = (end - begin) % lanes;
  const SymbolRef lane = MakeSymbol("lane", 0, lanes - 1);
  e_.Loop(whole, {}, [&](llvm::Value* i, const Values&) {
    e_.SetLanes({lane, lanes, lanes});
    const SymbolRef symbol = MakeSymbol("vector", 0, whole - 1);
    e_.Bind(symbol, i);
    e_.Substitute(axis.variable, DimExpr(begin) + DimExpr(lanes) * DimExpr(symbol) + DimExpr(lane));
    body();
    return Values();
  });
  if (rest == 0) return;
  const SymbolRef tail = MakeSymbol("lane", 0, rest - 1);
  e_.SetLanes({tail, lanes, static_cast<int>(rest)});
  e_.Substitute(axis.variable, DimExpr(begin + whole * lanes) + DimExpr(tail));
  body();
}

void StageEmitter::AtPoint(int point) {
  if (tile_variable_ != nullptr) e_.Substitute(tile_variable_, tile_base_ + DimExpr(point));
}

void StageEmitter::Hoist(int level) {
  std::set<SymbolRef> inner;
  for (int i = level; i < outputs_; ++i) inner.insert(stage_.axes[i].variable);
  for (const Axis& axis : stage_.reduce) inner.insert(axis.variable);
  if (tile_variable_ != nullptr) inner.insert(tile_variable_);
  if (stage_.combine != Combine::kTuple) {
    for (const ScalarRef& body : stage_.body) HoistFrom(body, inner);
  }
  for (const Store& store : stage_.stores) HoistFrom(store.value, inner);
}

void StageEmitter::HoistFrom(const ScalarRef& scalar, const std::set<SymbolRef>& inner) {
  if (scalar->kind == Scalar::Kind::kSelect || e_.pins().values.contains(scalar.get())) return;
  if (!Varies(*scalar, inner)) {
    if (IsCostly(*scalar)) e_.Pin(scalar, EvaluateFresh(scalar));
    return;
  }
  for (const LoadIndex& index : scalar->indices) {
    if (const ScalarRef* computed = std::get_if<ScalarRef>(&index)) HoistFrom(*computed, inner);
  }
  for (const ScalarRef& operand : scalar->operands) HoistFrom(operand, inner);
  const bool divides = scalar->kind == Scalar::Kind::kBinary && scalar->binary == BinaryOp::kDiv &&
                       scalar->dtype == DType::kF32;
  if (!divides || e_.pins().reciprocals.contains(scalar->operands[1].get())) return;
  const auto divisor = e_.pins().values.find(scalar->operands[1].get());
  if (divisor == e_.pins().values.end()) return;
  llvm::Value* one = llvm::ConstantFP::get(divisor->second->getType(), 1);
  e_.PinReciprocal(scalar->operands[1], e_.ir().CreateFDiv(one, divisor->second));
}

bool StageEmitter::Varies(const Scalar& scalar, const std::set<SymbolRef>& inner) {
  if (scalar.kind == Scalar::Kind::kParameter) return true;
  const auto mentions = [&](const DimExpr& expr) {
    const std::vector<SymbolRef> symbols = expr.Symbols();
    return std::any_of(symbols.begin(), symbols.end(), [&](const SymbolRef& s) { return inner.contains(s); });
  };
  if (scalar.kind == Scalar::Kind::kIndex && mentions(scalar.index)) return true;
  for (const LoadIndex& index : scalar.indices) {
    const DimExpr* expr = std::get_if<DimExpr>(&index);
    if (expr != nullptr ? mentions(*expr) : Varies(*std::get<ScalarRef>(index), inner)) return true;
  }
  return std::any_of(scalar.operands.begin(), scalar.operands.end(),
                     [&](const ScalarRef& operand) { return Varies(*operand, inner); });
}

void StageEmitter::EmitPoints() {
  if (stage_.body.empty()) return EmitMap();
  const Emitter::Pins pins = e_.pins();
  Hoist(outputs_);
  if (ReducesInLanes()) {
    EmitStores(ReduceInLanes());
  } else {
    EmitReduction();
  }
  e_.SetPins(pins);
}

void StageEmitter::EmitMap() {
  const Emitter::Pins pins = e_.pins();
  const auto blocks = TransposedLoads();
  for (int point = 0; point < points_; ++point) {
    AtPoint(point);
    for (const auto& [load, vectors] : blocks) e_.Pin(load, vectors[point]);
    EmitStores({});
  }
  e_.SetPins(pins);
}

std::vector<std::pair<ScalarRef, Emitter::Values>> StageEmitter::TransposedLoads() {
  std::vector<std::pair<ScalarRef, Values>> blocks;
  if (tile_variable_ == nullptr || points_ < 2 || e_.lanes().lanes == 1) return blocks;
  const SymbolRef point = MakeSymbol("point", 0, points_ - 1);
  e_.Substitute(tile_variable_, tile_base_ + DimExpr(point));
  const std::function<void(const ScalarRef&)> visit = [&](const ScalarRef& scalar) {
    if (scalar->kind == Scalar::Kind::kSelect || e_.pins().values.contains(scalar.get())) return;
    if (scalar->kind == Scalar::Kind::kLoad) {
      Values vectors = e_.LoadBlock(*scalar, point, points_);
      if (!vectors.empty()) blocks.emplace_back(scalar, std::move(vectors));
    }
    for (const ScalarRef& operand : scalar->operands) visit(operand);
  };
  for (const Store& store : stage_.stores) visit(store.value);
  return blocks;
}

void StageEmitter::EmitStores(Values reduced) {
  e_.SetParameters(std::move(reduced));
  for (const Store& store : stage_.stores) e_.StoreTo(store, EvaluateFresh(store.value));
}

llvm::Value* StageEmitter::EvaluateFresh(const ScalarRef& scalar) {
  e_.Forget();
  return e_.Evaluate(scalar);
}

}  // namespace hone
