#include "compiler/codegen/stage_kernel.h"

#include <algorithm>
#include <set>

#include "compiler/schedule/fused_stages.h"

namespace hone {
namespace {

using Values = Emitter::Values;

constexpr size_t kMostCuts = 16;      // of one axis
constexpr int64_t kUnrolledTaps = 8;  // of the innermost reduction axis

bool Mentions(const DimExpr& expr, const SymbolRef& symbol) {
  const std::vector<SymbolRef> symbols = expr.Symbols();
  return std::find(symbols.begin(), symbols.end(), symbol) != symbols.end();
}

// Where conditions on an axis change their value: cuts into pieces in which each is constant (padding's inside and
// outside, for example).
class Breakpoints {
 public:
  explicit Breakpoints(const Axis& axis) : axis_(axis), points_{0, Extent(axis)} {}

  void Collect(const StageLoops& stage) {
    for (const ScalarRef& body : stage.body) Collect(body);
    for (const Store& store : stage.stores) Collect(store.value);
    if (stage.tail_lanes > 0 && stage.tail_block == axis_.variable) points_.insert(Extent(axis_) - 1);
    for (int64_t block = 1; stage.each_block == axis_.variable && block < Extent(axis_); ++block) points_.insert(block);
  }
  void Collect(const ScalarRef& scalar) {
    if (scalar->kind == Scalar::Kind::kBinary) Compare(*scalar);
    for (const ScalarRef& operand : scalar->operands) Collect(operand);
  }
  std::vector<int64_t> points() const { return {points_.begin(), points_.end()}; }

 private:
  void Compare(const Scalar& scalar) {
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
      const int64_t point = *coefficient > 0 ? CeilDiv(wanted - other, step) : -CeilDiv(wanted - other, step) + 1;
      if (point > 0 && point < Extent(axis_) && points_.size() < kMostCuts) points_.insert(point);
    }
  }

  static int64_t CeilDiv(int64_t a, int64_t b) { return a / b + (a % b > 0 ? 1 : 0); }

  const Axis& axis_;
  std::set<int64_t> points_;
};

class StageEmitter {
 public:
  StageEmitter(const StageLoops& stage, Emitter* emitter)
      : stage_(stage), e_(*emitter), outputs_(static_cast<int>(stage.axes.size())) {}

  void Run() {
    e_.SetLanes({});
    EmitAxis(0);
    e_.SetLanes({});
  }

 private:
  struct Taps {
    int64_t begin = 0, end = 0;
    bool operator==(const Taps&) const = default;
  };
  using TapsOfPoints = std::map<size_t, std::vector<Taps>>;   // by reduction axis and point of the tile

  bool ReducesInLanes() const { return stage_.lane_axis >= outputs_; }

  // The axis stands at begin + scale * i, i in [0, count).
  void BindTo(const Axis& axis, llvm::Value* i, int64_t count, const DimExpr& begin, const DimExpr& scale) {
    if (count == 1) return e_.Substitute(axis.variable, begin);
    const SymbolRef symbol = MakeSymbol(axis.variable->name, 0, count - 1);
    e_.Bind(symbol, i);
    e_.Substitute(axis.variable, begin + scale * DimExpr(symbol));
  }

  void EmitAxis(int level) {
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

  // Loops over blocks are cut where the last one is not full.
  bool InTail() const {
    if (stage_.tail_lanes == 0) return false;
    return e_.Rewritten(DimExpr(stage_.tail_block)).Bounds().lower >= stage_.tail_block->upper;
  }

  void EmitPiece(int level, int64_t begin, int64_t end) {
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

  // Tiles of which every point has the same taps become one loop: those at the borders stand alone.
  void EmitTiles(int level, int64_t begin, int64_t end) {
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

  // The taps of each point of a tile, of those reduction axes whose range depends on the tile's axis.
  TapsOfPoints TapsAt(int level, int64_t first, int points) const {
    TapsOfPoints taps;
    const SymbolRef& variable = stage_.axes[level].variable;
    for (size_t r = 0; r < stage_.ranges.size(); ++r) {
      const ReduceRange& range = stage_.ranges[r];
      if (!Mentions(range.begin, variable) && !Mentions(range.end, variable)) continue;
      for (int point = 0; point < points; ++point) {
        const std::map<SymbolRef, DimExpr> at = {{variable, DimExpr(first + point)}};
        taps[r].push_back({range.begin.Substitute(at).Constant(), range.end.Substitute(at).Constant()});
      }
    }
    return taps;
  }

  void EmitTileRun(int level, int64_t begin, int64_t count, int points, const TapsOfPoints& taps) {
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

  // Calls `body` with the lanes set for [begin, end) of an axis: whole vectors, then what remains, masked.
  void EmitVectors(const Axis& axis, int64_t begin, int64_t end, const std::function<void()>& body) {
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

  void AtPoint(int point) {
    if (tile_variable_ != nullptr) e_.Substitute(tile_variable_, tile_base_ + DimExpr(point));
  }

  // Pins what the loops from `level` on do not change.
  void Hoist(int level) {
    std::set<SymbolRef> inner;
    for (int i = level; i < outputs_; ++i) inner.insert(stage_.axes[i].variable);
    for (const Axis& axis : stage_.reduce) inner.insert(axis.variable);
    if (tile_variable_ != nullptr) inner.insert(tile_variable_);
    if (stage_.combine != Combine::kTuple) {
      for (const ScalarRef& body : stage_.body) HoistFrom(body, inner);
    }
    for (const Store& store : stage_.stores) HoistFrom(store.value, inner);
  }

  // Sides of selects stay where they are: they may load outside of tensors elsewhere.
  void HoistFrom(const ScalarRef& scalar, const std::set<SymbolRef>& inner) {
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

  // Constants and indices LLVM moves itself.
  static bool IsCostly(const Scalar& scalar) { return scalar.kind == Scalar::Kind::kLoad || !scalar.operands.empty(); }

  static bool Varies(const Scalar& scalar, const std::set<SymbolRef>& inner) {
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

  void EmitPoints() {
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

  void EmitMap() {
    const Emitter::Pins pins = e_.pins();
    const auto blocks = TransposedLoads();
    for (int point = 0; point < points_; ++point) {
      AtPoint(point);
      for (const auto& [load, vectors] : blocks) e_.Pin(load, vectors[point]);
      EmitStores({});
    }
    e_.SetPins(pins);
  }

  // Loads of the tile that are strided along the lanes and contiguous along the tile, with their vectors by point.
  std::vector<std::pair<ScalarRef, Values>> TransposedLoads() {
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

  void EmitReduction() {
    // Partial results of one point run along the innermost reduction axis.
    partial_ = stage_.tile_axis < 0 && stage_.combine != Combine::kTuple ? stage_.tile : 1;
    Values accumulators;
    for (int point = 0; point < points_ * partial_; ++point) {
      const Values identity = Identity();
      accumulators.insert(accumulators.end(), identity.begin(), identity.end());
    }
    accumulators = Reduce(0, accumulators);
    for (; partial_ > 1; --partial_) {
      accumulators[0] = Combine2(accumulators[0], accumulators[static_cast<size_t>(partial_ - 1)]);
    }
    const size_t components = stage_.body.size();
    for (int point = 0; point < points_; ++point) {
      AtPoint(point);
      EmitStores(Values(accumulators.begin() + static_cast<ptrdiff_t>(point * components),
                        accumulators.begin() + static_cast<ptrdiff_t>((point + 1) * components)));
    }
  }

  void EmitStores(Values reduced) {
    e_.SetParameters(std::move(reduced));
    for (const Store& store : stage_.stores) e_.StoreTo(store, EvaluateFresh(store.value));
  }

  // Nothing known from another point or iteration holds here.
  llvm::Value* EvaluateFresh(const ScalarRef& scalar) {
    e_.Forget();
    return e_.Evaluate(scalar);
  }

  llvm::Constant* IdentityOf(DType dtype) {
    llvm::Type* type = e_.TypeOf(dtype);
    const bool real = IsFloat(dtype), low = stage_.combine == Combine::kMax;
    const unsigned bits = type->getScalarSizeInBits();
    const bool is_signed = dtype == DType::kI8 || dtype == DType::kI16 || dtype == DType::kI32 || dtype == DType::kI64;
    switch (stage_.combine) {
      case Combine::kProd: return real ? llvm::ConstantFP::get(type, 1) : llvm::ConstantInt::get(type, 1);
      case Combine::kMax:
      case Combine::kMin: {
        if (real) return llvm::ConstantFP::getInfinity(type, low);
        const llvm::APInt least = is_signed ? llvm::APInt::getSignedMinValue(bits) : llvm::APInt::getMinValue(bits);
        const llvm::APInt most = is_signed ? llvm::APInt::getSignedMaxValue(bits) : llvm::APInt::getMaxValue(bits);
        return llvm::ConstantInt::get(type, low ? least : most);
      }
      default: return llvm::Constant::getNullValue(type);
    }
  }

  Values Identity() {
    Values identity;
    for (size_t c = 0; c < stage_.body.size(); ++c) {
      llvm::Value* value = stage_.combine == Combine::kTuple ? EvaluateFresh(stage_.tuple->identity[c])
                                                             : IdentityOf(stage_.body[c]->dtype);
      identity.push_back(e_.Widen(value));
    }
    return identity;
  }

  Values Combined(const Values& accumulator, int active) {
    const ScalarRef& body = stage_.body[0];
    if (stage_.combine == Combine::kTuple) {
      Values both = accumulator;
      for (const ScalarRef& component : stage_.body) both.push_back(e_.Widen(EvaluateFresh(component)));
      e_.SetParameters(both);
      Values next;
      for (const ScalarRef& component : stage_.tuple->combine) next.push_back(e_.Widen(EvaluateFresh(component)));
      return next;
    }
    const bool product = stage_.combine == Combine::kSum && body->dtype == DType::kF32 &&
                         body->kind == Scalar::Kind::kBinary && body->binary == BinaryOp::kMul &&
                         (active == e_.lanes().lanes || !ReducesInLanes());
    e_.Forget();
    if (product) {
      llvm::Value* a = e_.Widen(e_.Evaluate(body->operands[0]));
      llvm::Value* b = e_.Widen(e_.Evaluate(body->operands[1]));
      return {e_.math().MultiplyAdd(a, b, accumulator[0])};
    }
    llvm::Value* value = e_.Widen(e_.Evaluate(body));
    if (active < e_.lanes().lanes && ReducesInLanes()) value = KeepActive(value, active);
    return {Combine2(accumulator[0], value)};
  }

  llvm::Value* KeepActive(llvm::Value* value, int active) {
    std::vector<llvm::Constant*> mask;
    for (int lane = 0; lane < stage_.lanes; ++lane) mask.push_back(e_.ir().getInt1(lane < active));
    return e_.ir().CreateSelect(llvm::ConstantVector::get(mask), value, e_.Widen(IdentityOf(stage_.body[0]->dtype)));
  }

  llvm::Value* Combine2(llvm::Value* a, llvm::Value* b) {
    const DType dtype = stage_.body[0]->dtype;
    switch (stage_.combine) {
      case Combine::kProd: return e_.Binary(BinaryOp::kMul, dtype, a, b);
      case Combine::kMax: return e_.Binary(BinaryOp::kMax, dtype, a, b);
      case Combine::kMin: return e_.Binary(BinaryOp::kMin, dtype, a, b);
      default: return e_.Binary(BinaryOp::kAdd, dtype, a, b);
    }
  }

  // Reduction loops from `level` on, all points of the tile together.
  Values Reduce(size_t level, const Values& accumulators) {
    if (level == stage_.reduce.size()) return CombinePoints(accumulators);
    const Axis& axis = stage_.reduce[level];
    const int64_t extent = Extent(axis);
    const bool innermost = level + 1 == stage_.reduce.size();
    if (innermost && partial_ > 1) return ReducePartially(axis, accumulators);
    const bool ranged = level < stage_.ranges.size() && !taps_.contains(level) && !IsWhole(stage_.ranges[level], extent);
    if (taps_.contains(level) || (!ranged && innermost && extent <= kUnrolledTaps)) {
      Values sums = accumulators;
      for (int64_t tap = 0; tap < extent; ++tap) {
        tap_[level] = tap;
        e_.Substitute(axis.variable, DimExpr(tap));
        sums = Reduce(level + 1, sums);
      }
      tap_.erase(level);
      return sums;
    }
    const auto body = [&](llvm::Value* i, const Values& carried) {
      BindTo(axis, i, extent, DimExpr(0), DimExpr(1));
      return Reduce(level + 1, carried);
    };
    if (!ranged) return e_.Loop(extent, accumulators, body);
    return e_.LoopIfAny(e_.Index(stage_.ranges[level].begin), e_.Index(stage_.ranges[level].end), accumulators, body);
  }

  static bool IsWhole(const ReduceRange& range, int64_t extent) {
    return range.begin == DimExpr(0) && range.end == DimExpr(extent);
  }

  // Whether the tap at hand counts at a point of the tile.
  bool Counts(int point) const {
    return std::all_of(tap_.begin(), tap_.end(), [&](const auto& tap) {
      const auto taps = taps_.find(tap.first);
      if (taps == taps_.end()) return true;
      return tap.second >= taps->second[point].begin && tap.second < taps->second[point].end;
    });
  }

  Values CombinePoints(const Values& accumulators) {
    Values next;
    const size_t components = stage_.body.size();
    for (int point = 0; point < points_; ++point) {
      AtPoint(point);
      const auto first = accumulators.begin() + static_cast<ptrdiff_t>(point * components);
      const Values before(first, first + static_cast<ptrdiff_t>(components));
      const Values combined = Counts(point) ? Combined(before, e_.lanes().active) : before;
      next.insert(next.end(), combined.begin(), combined.end());
    }
    return next;
  }

  Values ReducePartially(const Axis& axis, const Values& accumulators) {
    const int64_t blocks = Extent(axis) / partial_;
    Values sums = e_.Loop(blocks, accumulators, [&](llvm::Value* i, const Values& carried) {
      Values next;
      for (int t = 0; t < partial_; ++t) {
        BindTo(axis, i, blocks, DimExpr(t), DimExpr(partial_));
        next.push_back(Combined({carried[t]}, e_.lanes().active)[0]);
      }
      return next;
    });
    for (int64_t done = blocks * partial_; done < Extent(axis); ++done) {
      e_.Substitute(axis.variable, DimExpr(done));
      llvm::Value*& sum = sums[static_cast<size_t>(done % partial_)];
      sum = Combined({sum}, e_.lanes().active)[0];
    }
    return sums;
  }

  // The lane axis is a reduction: `tile` vectors of partial results, joined at the end.
  Values ReduceInLanes() {
    const VectorLanes none = e_.lanes();
    const SymbolRef lane = MakeSymbol("lane", 0, stage_.lanes - 1);
    e_.SetLanes({lane, stage_.lanes, stage_.lanes});
    Values accumulators;
    for (int t = 0; t < stage_.tile; ++t) accumulators.push_back(Identity()[0]);
    accumulators = ReduceVectors(0, accumulators, lane);
    llvm::Value* joined = accumulators[0];
    for (int t = 1; t < stage_.tile; ++t) joined = Combine2(joined, accumulators[t]);
    // Halves onto halves.
    for (int width = stage_.lanes / 2; width >= 1; width /= 2) {
      std::vector<int> upper, lower;
      for (int i = 0; i < width; ++i) {
        lower.push_back(i);
        upper.push_back(i + width);
      }
      joined = Combine2(e_.ir().CreateShuffleVector(joined, lower), e_.ir().CreateShuffleVector(joined, upper));
    }
    e_.SetLanes(none);
    return {e_.ir().CreateExtractElement(joined, uint64_t{0})};
  }

  Values ReduceVectors(size_t level, const Values& accumulators, const SymbolRef& lane) {
    if (level == stage_.reduce.size()) return Combined(accumulators, e_.lanes().active);
    const Axis& axis = stage_.reduce[level];
    if (static_cast<int>(level) + outputs_ != stage_.lane_axis) {
      return e_.Loop(Extent(axis), accumulators, [&](llvm::Value* i, const Values& carried) {
        BindTo(axis, i, Extent(axis), DimExpr(0), DimExpr(1));
        return ReduceVectors(level + 1, carried, lane);
      });
    }
    const int64_t extent = Extent(axis), step = int64_t{stage_.lanes} * stage_.tile;
    const auto vector = [&](const DimExpr& base, llvm::Value* accumulator) {
      e_.Substitute(axis.variable, base + DimExpr(lane));
      return ReduceVectors(level + 1, {accumulator}, lane)[0];
    };
    const int64_t blocks = extent / step;
    Values sums = e_.Loop(blocks, accumulators, [&](llvm::Value* i, const Values& carried) {
      const SymbolRef block = MakeSymbol("block", 0, blocks - 1);
      e_.Bind(block, i);
      Values next;
      for (int t = 0; t < stage_.tile; ++t) {
        next.push_back(vector(DimExpr(step) * DimExpr(block) + DimExpr(t * stage_.lanes), carried[t]));
      }
      return next;
    });
    int64_t done = blocks * step;
    for (int t = 0; done + stage_.lanes <= extent; done += stage_.lanes, ++t) {
      sums[t % stage_.tile] = vector(DimExpr(done), sums[t % stage_.tile]);
    }
    if (done < extent) {
      e_.SetLanes({lane, stage_.lanes, static_cast<int>(extent - done)});
      sums[0] = vector(DimExpr(done), sums[0]);
      e_.SetLanes({lane, stage_.lanes, stage_.lanes});
    }
    return sums;
  }

  const StageLoops& stage_;
  Emitter& e_;
  const int outputs_;
  SymbolRef tile_variable_;
  DimExpr tile_base_;
  int points_ = 1;
  int partial_ = 1;
  TapsOfPoints taps_;               // of the tiles at hand
  std::map<size_t, int64_t> tap_;   // by reduction axis: the tap at hand, where code is made for each
};

}  // namespace

int64_t UnitsOf(const StageKernel& kernel) { return Points(kernel.outer); }

namespace {

// Code for every piece of the outer axes from `level` on in which all conditions on them are known; `point` are their
// values.
void EmitPieces(const StageKernel& kernel, size_t level, const std::vector<llvm::Value*>& point, Emitter* emitter) {
  if (level == kernel.outer.size()) {
    for (const StageLoops& stage : kernel.stages) StageEmitter(stage, emitter).Run();
    return;
  }
  const Axis& axis = kernel.outer[level];
  Breakpoints breakpoints(axis);
  for (const StageLoops& stage : kernel.stages) breakpoints.Collect(stage);
  const std::vector<int64_t> cuts = breakpoints.points();
  llvm::IRBuilder<>& ir = emitter->ir();
  for (size_t piece = 0; piece + 1 < cuts.size(); ++piece) {
    const SymbolRef symbol = MakeSymbol(axis.variable->name, cuts[piece], cuts[piece + 1] - 1);
    emitter->Bind(symbol, point[level]);
    emitter->Substitute(axis.variable, symbol->lower == symbol->upper ? DimExpr(symbol->lower) : DimExpr(symbol));
    if (cuts.size() == 2) return EmitPieces(kernel, level + 1, point, emitter);
    llvm::Value* inside = ir.CreateAnd(ir.CreateICmpSGE(point[level], emitter->I64(cuts[piece])),
                                       ir.CreateICmpSLT(point[level], emitter->I64(cuts[piece + 1])));
    emitter->If(inside, [&] { EmitPieces(kernel, level + 1, point, emitter); });
  }
}

}  // namespace

void EmitStageKernel(const StageKernel& kernel, llvm::Value* begin, llvm::Value* end, Emitter* emitter) {
  if (kernel.outer.empty()) return EmitPieces(kernel, 0, {}, emitter);
  emitter->Loop(begin, end, 1, {}, [&](llvm::Value* unit, const Values&) {
    std::vector<llvm::Value*> point(kernel.outer.size());
    llvm::Value* rest = unit;
    for (size_t level = kernel.outer.size(); level-- > 0;) {
      llvm::Value* extent = emitter->I64(Extent(kernel.outer[level]));
      point[level] = level == 0 ? rest : emitter->ir().CreateURem(rest, extent);
      rest = emitter->ir().CreateUDiv(rest, extent);
    }
    EmitPieces(kernel, 0, point, emitter);
    return Values();
  });
}

}  // namespace hone
