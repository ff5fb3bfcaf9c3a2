#include "compiler/codegen/stage_kernel.h"

#include <algorithm>
#include <set>

#include "compiler/schedule/fused_stages.h"

namespace hone {
namespace {

using Values = Emitter::Values;

// Where conditions on an axis change their value: cuts into pieces in which each is constant (padding's inside and
// outside, for example).
class Breakpoints {
 public:
  explicit Breakpoints(const Axis& axis) : axis_(axis), points_{0, Extent(axis)} {}

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
    // Holds where coefficient * x + rest >= wanted.
    DimExpr rest;
    const std::optional<int64_t> coefficient = (sides[1] - sides[0]).AffineCoefficient(axis_.variable, &rest);
    if (!coefficient || !rest.IsConstant()) return;
    const int64_t wanted = scalar.binary == BinaryOp::kLess ? 1 : 0;
    const int64_t point = *coefficient == 1    ? wanted - rest.Constant()
                          : *coefficient == -1 ? rest.Constant() - wanted + 1
                                               : 0;
    if (point > 0 && point < Extent(axis_)) points_.insert(point);
  }

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
  bool ReducesInLanes() const { return stage_.lane_axis >= outputs_; }

  void BindTo(const Axis& axis, llvm::Value* value, const DimExpr& scale, int64_t extent) {
    const SymbolRef symbol = MakeSymbol(axis.variable->name, 0, extent - 1);
    e_.Bind(symbol, value);
    e_.Substitute(axis.variable, scale * DimExpr(symbol));
  }

  void EmitAxis(int level) {
    if (level == outputs_) return EmitPoints();
    const Axis& axis = stage_.axes[level];
    if (level == stage_.lane_axis) return EmitLanes(level);
    if (level == stage_.tile_axis && stage_.tile > 1) return EmitTiles(level);
    e_.Loop(Extent(axis), {}, [&](llvm::Value* i, const Values&) {
      BindTo(axis, i, DimExpr(1), Extent(axis));
      EmitAxis(level + 1);
      return Values();
    });
  }

  void EmitTiles(int level) {
    const Axis& axis = stage_.axes[level];
    const int64_t extent = Extent(axis), whole = extent / stage_.tile;
    tile_variable_ = axis.variable;
    points_ = stage_.tile;
    e_.Loop(whole, {}, [&](llvm::Value* i, const Values&) {
      const SymbolRef symbol = MakeSymbol(axis.variable->name, 0, whole - 1);
      e_.Bind(symbol, i);
      tile_base_ = DimExpr(stage_.tile) * DimExpr(symbol);
      EmitAxis(level + 1);
      return Values();
    });
    points_ = static_cast<int>(extent - whole * stage_.tile);
    tile_base_ = DimExpr(whole * stage_.tile);
    if (points_ > 0) EmitAxis(level + 1);
    points_ = 1;
    tile_variable_ = nullptr;
  }

  void EmitLanes(int level) {
    const Axis& axis = stage_.axes[level];
    Breakpoints breakpoints(axis);
    for (const ScalarRef& body : stage_.body) breakpoints.Collect(body);
    for (const Store& store : stage_.stores) breakpoints.Collect(store.value);
    const std::vector<int64_t> cuts = breakpoints.points();
    for (size_t piece = 0; piece + 1 < cuts.size(); ++piece) {
      EmitVectors(axis, cuts[piece], cuts[piece + 1], [&] { EmitAxis(level + 1); });
    }
    e_.SetLanes({});
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

  void EmitPoints() {
    if (stage_.body.empty()) {
      for (int point = 0; point < points_; ++point) {
        AtPoint(point);
        EmitStores({});
      }
      return;
    }
    if (ReducesInLanes()) return EmitStores(ReduceInLanes());
    Values accumulators;
    for (int point = 0; point < points_; ++point) {
      const Values identity = Identity();
      accumulators.insert(accumulators.end(), identity.begin(), identity.end());
    }
    accumulators = Reduce(0, accumulators);
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
                         active == e_.lanes().lanes;
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
    if (level == stage_.reduce.size()) {
      Values next;
      const size_t components = stage_.body.size();
      for (int point = 0; point < points_; ++point) {
        AtPoint(point);
        const auto first = accumulators.begin() + static_cast<ptrdiff_t>(point * components);
        const Values combined = Combined(Values(first, first + static_cast<ptrdiff_t>(components)), e_.lanes().active);
        next.insert(next.end(), combined.begin(), combined.end());
      }
      return next;
    }
    const Axis& axis = stage_.reduce[level];
    return e_.Loop(Extent(axis), accumulators, [&](llvm::Value* i, const Values& carried) {
      BindTo(axis, i, DimExpr(1), Extent(axis));
      return Reduce(level + 1, carried);
    });
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
        BindTo(axis, i, DimExpr(1), Extent(axis));
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
};

}  // namespace

int64_t UnitsOf(const StageKernel& kernel) { return Points(kernel.outer); }

void EmitStageKernel(const StageKernel& kernel, llvm::Value* begin, llvm::Value* end, Emitter* emitter) {
  const auto stages = [&] {
    for (const StageLoops& stage : kernel.stages) StageEmitter(stage, emitter).Run();
  };
  if (kernel.outer.empty()) return stages();
  emitter->Loop(begin, end, 1, {}, [&](llvm::Value* unit, const Values&) {
    llvm::Value* rest = unit;
    for (size_t level = kernel.outer.size(); level-- > 0;) {
      const Axis& axis = kernel.outer[level];
      const SymbolRef symbol = MakeSymbol(axis.variable->name, 0, Extent(axis) - 1);
      llvm::Value* extent = emitter->I64(Extent(axis));
      emitter->Bind(symbol, level == 0 ? rest : emitter->ir().CreateURem(rest, extent));
      rest = emitter->ir().CreateUDiv(rest, extent);
      emitter->Substitute(axis.variable, DimExpr(symbol));
    }
    stages();
    return Values();
  });
}

}  // namespace hone
