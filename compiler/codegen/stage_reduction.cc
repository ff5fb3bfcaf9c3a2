#include <algorithm>

#include "compiler/codegen/stage_emitter.h"

namespace hone {
namespace {

constexpr int64_t kUnrolledTaps = 8;  // of the innermost reduction axis

}  // namespace

void StageEmitter::EmitReduction() {
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

llvm::Constant* StageEmitter::IdentityOf(DType dtype) {
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

Emitter::Values StageEmitter::Identity() {
  Values identity;
  for (size_t c = 0; c < stage_.body.size(); ++c) {
    llvm::Value* value = stage_.combine == Combine::kTuple ? EvaluateFresh(stage_.tuple->identity[c])
                                                           : IdentityOf(stage_.body[c]->dtype);
    identity.push_back(e_.Widen(value));
  }
  return identity;
}

Emitter::Values StageEmitter::Combined(const Values& accumulator, int active) {
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
  if (active < e_.lanes().lanes && ReducesInLanes()) {
    value = e_.ir().CreateSelect(e_.Mask(active), value, e_.Widen(IdentityOf(body->dtype)));
  }
  return {Combine2(accumulator[0], value)};
}

llvm::Value* StageEmitter::Combine2(llvm::Value* a, llvm::Value* b) {
  const DType dtype = stage_.body[0]->dtype;
  switch (stage_.combine) {
    case Combine::kProd: return e_.Binary(BinaryOp::kMul, dtype, a, b);
    case Combine::kMax: return e_.Binary(BinaryOp::kMax, dtype, a, b);
    case Combine::kMin: return e_.Binary(BinaryOp::kMin, dtype, a, b);
    default: return e_.Binary(BinaryOp::kAdd, dtype, a, b);
  }
}

Emitter::Values StageEmitter::Reduce(size_t level, const Values& accumulators) {
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

bool StageEmitter::IsWhole(const ReduceRange& range, int64_t extent) {
  return range.begin == DimExpr(0) && range.end == DimExpr(extent);
}

bool StageEmitter::Counts(int point) const {
  return std::all_of(tap_.begin(), tap_.end(), [&](const auto& tap) {
    const auto taps = taps_.find(tap.first);
    if (taps == taps_.end()) return true;
    return tap.second >= taps->second[point].begin && tap.second < taps->second[point].end;
  });
}

Emitter::Values StageEmitter::CombinePoints(const Values& accumulators) {
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

Emitter::Values StageEmitter::ReducePartially(const Axis& axis, const Values& accumulators) {
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

Emitter::Values StageEmitter::ReduceInLanes() {
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

Emitter::Values StageEmitter::ReduceVectors(size_t level, const Values& accumulators, const SymbolRef& lane) {
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

}  // namespace hone
