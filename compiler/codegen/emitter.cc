#include "compiler/codegen/emitter.h"

#include <algorithm>

namespace hone {
namespace {

bool HasLoad(const ScalarRef& scalar) {
  if (scalar->kind == Scalar::Kind::kLoad) return true;
  return std::any_of(scalar->operands.begin(), scalar->operands.end(), HasLoad);
}

// A condition on values alone keeps no index in range: what it chooses from may be evaluated anywhere.
bool HasIndex(const ScalarRef& scalar) {
  if (scalar->kind == Scalar::Kind::kIndex) return true;
  return std::any_of(scalar->operands.begin(), scalar->operands.end(), HasIndex);
}

// An index as an expression, where it is one.
std::optional<DimExpr> AsIndex(const ScalarRef& scalar) {
  if (scalar->kind == Scalar::Kind::kIndex) return scalar->index;
  if (scalar->kind == Scalar::Kind::kInteger) return DimExpr(scalar->integer);
  return std::nullopt;
}

}  // namespace

Emitter::Emitter(const LoopNest& nest, const Target& target, llvm::Function* function)
    : nest_(nest), ir_(function->getContext()), math_(ir_, target.row->has_fma), function_(function) {
  entry_ = llvm::BasicBlock::Create(function->getContext(), "entry", function);
  llvm::BasicBlock* start = llvm::BasicBlock::Create(function->getContext(), "start", function);
  ir_.SetInsertPoint(entry_);
  ir_.CreateBr(start);
  ir_.SetInsertPoint(start);
  llvm::FastMathFlags contract;
  contract.setAllowContract(true);
  ir_.setFastMathFlags(contract);
  bases_.assign(nest.tensors.size(), nullptr);
}

void Emitter::Finish() { ir_.CreateRetVoid(); }

Emitter::Values Emitter::Loop(llvm::Value* begin, llvm::Value* end, int64_t step, const Values& initial,
                              const std::function<Values(llvm::Value*, const Values&)>& body) {
  llvm::BasicBlock* before = ir_.GetInsertBlock();
  llvm::BasicBlock* loop = llvm::BasicBlock::Create(ir_.getContext(), "loop", function_);
  ir_.CreateBr(loop);
  ir_.SetInsertPoint(loop);
  llvm::PHINode* i = ir_.CreatePHI(begin->getType(), 2);
  i->addIncoming(begin, before);
  std::vector<llvm::PHINode*> phis;
  Values carried;
  for (llvm::Value* value : initial) {
    phis.push_back(ir_.CreatePHI(value->getType(), 2));
    phis.back()->addIncoming(value, before);
    carried.push_back(phis.back());
  }
  const Values next = body(i, carried);
  llvm::Value* following = ir_.CreateNUWAdd(i, llvm::ConstantInt::get(i->getType(), static_cast<uint64_t>(step)));
  llvm::BasicBlock* latch = ir_.GetInsertBlock();
  llvm::BasicBlock* after = llvm::BasicBlock::Create(ir_.getContext(), "after", function_);
  llvm::BranchInst* branch = ir_.CreateCondBr(ir_.CreateICmpSLT(following, end), loop, after);
  llvm::LLVMContext& context = ir_.getContext();
  llvm::MDNode* unroll = llvm::MDNode::get(context, llvm::MDString::get(context, "llvm.loop.unroll.disable"));
  llvm::MDNode* id = llvm::MDNode::getDistinct(context, {nullptr, unroll});
  id->replaceOperandWith(0, id);
  branch->setMetadata(llvm::LLVMContext::MD_loop, id);
  i->addIncoming(following, latch);
  for (size_t v = 0; v < phis.size(); ++v) phis[v]->addIncoming(next[v], latch);
  ir_.SetInsertPoint(after);
  return next;
}

Emitter::Values Emitter::Loop(int64_t count, const Values& initial,
                              const std::function<Values(llvm::Value*, const Values&)>& body) {
  if (count <= 0) return initial;
  if (count == 1) return body(I64(0), initial);
  return Loop(I64(0), I64(count), 1, initial, body);
}

Emitter::Values Emitter::LoopIfAny(llvm::Value* begin, llvm::Value* end, const Values& initial,
                                   const std::function<Values(llvm::Value*, const Values&)>& body) {
  llvm::BasicBlock* before = ir_.GetInsertBlock();
  llvm::BasicBlock* enter = llvm::BasicBlock::Create(ir_.getContext(), "enter", function_);
  llvm::BasicBlock* join = llvm::BasicBlock::Create(ir_.getContext(), "join", function_);
  ir_.CreateCondBr(ir_.CreateICmpSLT(begin, end), enter, join);
  ir_.SetInsertPoint(enter);
  const Values last = Loop(begin, end, 1, initial, body);
  llvm::BasicBlock* done = ir_.GetInsertBlock();
  ir_.CreateBr(join);
  ir_.SetInsertPoint(join);
  Values joined;
  for (size_t v = 0; v < initial.size(); ++v) {
    llvm::PHINode* phi = ir_.CreatePHI(initial[v]->getType(), 2);
    phi->addIncoming(initial[v], before);
    phi->addIncoming(last[v], done);
    joined.push_back(phi);
  }
  return joined;
}

void Emitter::If(llvm::Value* condition, const std::function<void()>& body) {
  llvm::BasicBlock* inside = llvm::BasicBlock::Create(ir_.getContext(), "inside", function_);
  llvm::BasicBlock* after = llvm::BasicBlock::Create(ir_.getContext(), "after", function_);
  ir_.CreateCondBr(condition, inside, after);
  ir_.SetInsertPoint(inside);
  body();
  ir_.CreateBr(after);
  ir_.SetInsertPoint(after);
}

DimExpr Emitter::Rewritten(const DimExpr& expr) const {
  DimExpr result = substitution_.empty() ? expr : expr.Substitute(substitution_);
  if (only_lane_) result = result.Substitute({{lanes_.lane, DimExpr(*only_lane_)}});
  return result;
}

llvm::Value* Emitter::IndexAtom(const DimExpr::Atom& atom) {
  if (atom.kind == DimExpr::Atom::Kind::kSymbol) return values_.at(atom.symbol);
  llvm::Value* a = Index(atom.a);
  llvm::Value* b = Index(atom.b);
  switch (atom.kind) {
    case DimExpr::Atom::Kind::kMin: return ir_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, a, b);
    case DimExpr::Atom::Kind::kMax: return ir_.CreateBinaryIntrinsic(llvm::Intrinsic::smax, a, b);
    default: break;
  }
  const bool quotient = atom.kind == DimExpr::Atom::Kind::kFloorDiv;
  if (atom.a.Bounds().lower >= 0) return quotient ? ir_.CreateUDiv(a, b) : ir_.CreateURem(a, b);
  // The divisor is positive: a negative remainder means truncation went up.
  llvm::Value* remainder = ir_.CreateSRem(a, b);
  llvm::Value* negative = ir_.CreateICmpSLT(remainder, I64(0));
  if (!quotient) return ir_.CreateSelect(negative, ir_.CreateAdd(remainder, b), remainder);
  return ir_.CreateSub(ir_.CreateSDiv(a, b), ir_.CreateZExt(negative, ir_.getInt64Ty()));
}

llvm::Value* Emitter::Index(const DimExpr& expr) {
  const DimExpr rewritten = Rewritten(expr);
  llvm::Value* sum = nullptr;
  int64_t constant = 0;
  for (const DimExpr::Term& term : rewritten.terms()) {
    if (term.factors.empty()) {
      constant += term.coefficient;
      continue;
    }
    llvm::Value* product = nullptr;
    for (const DimExpr::AtomRef& atom : term.factors) {
      llvm::Value* factor = IndexAtom(*atom);
      product = product == nullptr ? factor : ir_.CreateMul(product, factor);
    }
    if (term.coefficient != 1) product = ir_.CreateMul(product, I64(term.coefficient));
    sum = sum == nullptr ? product : ir_.CreateAdd(sum, product);
  }
  if (sum == nullptr) return I64(constant);
  return constant == 0 ? sum : ir_.CreateAdd(sum, I64(constant));
}

llvm::Value* Emitter::SplitDigit(llvm::Value** index, int64_t extent) {
  llvm::Value* digit = ir_.CreateURem(*index, I64(extent));
  *index = ir_.CreateUDiv(*index, I64(extent));
  return digit;
}

llvm::Type* Emitter::TypeOf(DType dtype) {
  switch (dtype) {
    case DType::kF32: return ir_.getFloatTy();
    case DType::kF64: return ir_.getDoubleTy();
    case DType::kF16: return ir_.getHalfTy();
    case DType::kBF16: return ir_.getBFloatTy();
    case DType::kBool: return ir_.getInt1Ty();
    default: return ir_.getIntNTy(static_cast<unsigned>(8 * DTypeBytes(dtype)));
  }
}

llvm::Type* Emitter::MemoryType(DType dtype) { return dtype == DType::kBool ? ir_.getInt8Ty() : TypeOf(dtype); }

llvm::Type* Emitter::VectorOf(llvm::Type* element, int lanes) {
  return lanes == 1 ? element : llvm::FixedVectorType::get(element, static_cast<unsigned>(lanes));
}

llvm::Value* Emitter::Widen(llvm::Value* value) {
  if (lanes_.lanes == 1 || only_lane_ || value->getType()->isVectorTy()) return value;
  return ir_.CreateVectorSplat(static_cast<unsigned>(lanes_.lanes), value);
}

llvm::Value* Emitter::Base(ProgramTensorId tensor) {
  if (bases_[tensor] != nullptr) return bases_[tensor];
  const NestTensor& placed = nest_.tensors[tensor];
  llvm::IRBuilder<> entry(entry_->getTerminator());
  const auto at = [&](llvm::Value* base, int64_t bytes) {
    return bytes == 0 ? base : entry.CreateConstInBoundsGEP1_64(entry.getInt8Ty(), base, static_cast<uint64_t>(bytes));
  };
  switch (placed.place) {
    case NestTensor::Place::kArgument:
      bases_[tensor] = entry.CreateLoad(entry.getPtrTy(), at(function_->getArg(0), 8 * placed.argument));
      break;
    case NestTensor::Place::kScratch: bases_[tensor] = at(function_->getArg(1), placed.offset); break;
    case NestTensor::Place::kChunk:
      return ir_.CreateConstInBoundsGEP1_64(ir_.getInt8Ty(), chunk_base_, static_cast<uint64_t>(placed.offset));
    case NestTensor::Place::kNone: break;
  }
  return bases_[tensor];
}

llvm::Value* Emitter::Address(ProgramTensorId tensor, llvm::Value* element) {
  return ir_.CreateInBoundsGEP(MemoryType(nest_.tensors[tensor].dtype), Base(tensor), element);
}

DimExpr Emitter::OffsetOf(ProgramTensorId tensor, const std::vector<LoadIndex>& indices) {
  std::vector<DimExpr> exprs;
  for (size_t d = 0; d < indices.size(); ++d) {
    if (const DimExpr* expr = std::get_if<DimExpr>(&indices[d])) {
      exprs.push_back(Rewritten(*expr));
      continue;
    }
    // A computed index is clamped into the tensor and becomes a symbol of its own.
    const int64_t last = std::max<int64_t>(0, nest_.tensors[tensor].dims[d].Constant() - 1);
    llvm::Value* index = Evaluate(std::get<ScalarRef>(indices[d]));
    index = ir_.CreateSExtOrTrunc(index, ir_.getInt64Ty());
    index = ir_.CreateBinaryIntrinsic(llvm::Intrinsic::smax, index, I64(0));
    index = ir_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, index, I64(last));
    const SymbolRef symbol = MakeSymbol("index", 0, last);
    Bind(symbol, index);
    exprs.push_back(DimExpr(symbol));
  }
  return nest_.tensors[tensor].Offset(std::move(exprs));
}

bool Emitter::DependsOnLane(const ScalarRef& scalar) const {
  if (lanes_.lanes == 1 || only_lane_) return false;
  if (scalar->kind == Scalar::Kind::kIndex) return Rewritten(scalar->index).Mentions(lanes_.lane);
  if (scalar->kind == Scalar::Kind::kParameter) return parameters_[scalar->parameter]->getType()->isVectorTy();
  for (const LoadIndex& index : scalar->indices) {
    if (const DimExpr* expr = std::get_if<DimExpr>(&index)) {
      if (Rewritten(*expr).Mentions(lanes_.lane)) return true;
    } else if (DependsOnLane(std::get<ScalarRef>(index))) {
      return true;
    }
  }
  return std::any_of(scalar->operands.begin(), scalar->operands.end(),
                     [&](const ScalarRef& operand) { return DependsOnLane(operand); });
}

llvm::Value* Emitter::Evaluate(const ScalarRef& scalar) {
  const auto pinned = pins_.values.find(scalar.get());
  if (pinned != pins_.values.end() && !(only_lane_ && pinned->second->getType()->isVectorTy())) return pinned->second;
  const auto found = known_.find(scalar.get());
  if (found != known_.end()) return found->second;
  llvm::Value* value = EvaluateNode(scalar);
  known_[scalar.get()] = value;
  return value;
}

llvm::Value* Emitter::EvaluateNode(const ScalarRef& scalar) {
  switch (scalar->kind) {
    case Scalar::Kind::kReal: return llvm::ConstantFP::get(TypeOf(scalar->dtype), scalar->real);
    case Scalar::Kind::kInteger:
      return llvm::ConstantInt::get(TypeOf(scalar->dtype), static_cast<uint64_t>(scalar->integer));
    case Scalar::Kind::kIndex: return EvaluateIndexValue(scalar);
    case Scalar::Kind::kLoad: return EvaluateLoad(*scalar, scalar);
    case Scalar::Kind::kUnary: return EvaluateUnary(*scalar);
    case Scalar::Kind::kBinary:
      if (const std::optional<bool> decided = Decide(scalar)) return ir_.getInt1(*decided);
      if (const auto found = pins_.reciprocals.find(scalar->operands[1].get());
          found != pins_.reciprocals.end() && scalar->binary == BinaryOp::kDiv && !only_lane_) {
        return Binary(BinaryOp::kMul, scalar->dtype, Evaluate(scalar->operands[0]), found->second);
      }
      return Binary(scalar->binary, scalar->operands[0]->dtype, Evaluate(scalar->operands[0]),
                    Evaluate(scalar->operands[1]));
    case Scalar::Kind::kSelect: return EvaluateSelect(scalar);
    case Scalar::Kind::kCast: return EvaluateCast(*scalar);
    case Scalar::Kind::kParameter: return parameters_[scalar->parameter];
  }
  return nullptr;
}

llvm::Value* Emitter::EvaluateIndexValue(const ScalarRef& scalar) {
  const DimExpr expr = Rewritten(scalar->index);
  if (lanes_.lanes == 1 || only_lane_ || !expr.Mentions(lanes_.lane)) return Index(expr);
  const std::optional<int64_t> stride = LaneStride(expr, lanes_.lane);
  if (!stride) return PerLane(scalar);
  DimExpr rest;
  expr.AffineCoefficient(lanes_.lane, &rest);
  std::vector<llvm::Constant*> steps;
  for (int lane = 0; lane < lanes_.lanes; ++lane) {
    steps.push_back(llvm::ConstantInt::get(ir_.getInt64Ty(), static_cast<uint64_t>(lane * *stride)));
  }
  return ir_.CreateAdd(Widen(Index(rest)), llvm::ConstantVector::get(steps));
}

llvm::Value* Emitter::EvaluateLoad(const Scalar& load, const ScalarRef& scalar) {
  const bool vector = lanes_.lanes > 1 && !only_lane_;
  for (const LoadIndex& index : load.indices) {
    const ScalarRef* computed = std::get_if<ScalarRef>(&index);
    if (vector && computed != nullptr && DependsOnLane(*computed)) return PerLane(scalar);
  }
  const DimExpr offset = OffsetOf(load.tensor, load.indices);
  const std::optional<int64_t> stride = vector ? LaneStride(offset, lanes_.lane) : 0;
  if (!stride) return PerLane(scalar);
  DimExpr rest = offset;
  if (*stride != 0) offset.AffineCoefficient(lanes_.lane, &rest);
  llvm::Value* element = Index(rest);
  if (*stride == 1) return LoadVector(Address(load.tensor, element), load.dtype);
  const auto scalar_load = [&](llvm::Value* at) -> llvm::Value* {
    llvm::Value* value = ir_.CreateLoad(MemoryType(load.dtype), Address(load.tensor, at));
    return load.dtype == DType::kBool ? ir_.CreateICmpNE(value, ir_.getInt8(0)) : value;
  };
  if (*stride == 0) return scalar_load(element);
  llvm::Value* lanes = llvm::PoisonValue::get(VectorOf(TypeOf(load.dtype), lanes_.lanes));
  for (int lane = 0; lane < lanes_.active; ++lane) {
    llvm::Value* value = scalar_load(ir_.CreateAdd(element, I64(lane * *stride)));
    lanes = ir_.CreateInsertElement(lanes, value, static_cast<uint64_t>(lane));
  }
  return lanes;
}

std::optional<bool> Emitter::Decide(const ScalarRef& condition) const {
  if (condition->kind != Scalar::Kind::kBinary) return std::nullopt;
  const BinaryOp op = condition->binary;
  const ScalarRef& a = condition->operands[0];
  const ScalarRef& b = condition->operands[1];
  if (condition->dtype == DType::kBool && (op == BinaryOp::kAnd || op == BinaryOp::kOr)) {
    const std::optional<bool> left = Decide(a), right = Decide(b);
    const bool decisive = op == BinaryOp::kOr;
    if (left == decisive || right == decisive) return decisive;
    if (left && right) return !decisive;
    return std::nullopt;
  }
  if (op != BinaryOp::kLess && op != BinaryOp::kLessEqual) return std::nullopt;
  const std::optional<DimExpr> left = AsIndex(a), right = AsIndex(b);
  if (!left || !right) return std::nullopt;
  const Interval difference = (Rewritten(*right) - Rewritten(*left)).Bounds();
  const int64_t wanted = op == BinaryOp::kLess ? 1 : 0;
  if (difference.lower != Interval().lower && difference.lower >= wanted) return true;
  if (difference.upper != Interval().upper && difference.upper < wanted) return false;
  return std::nullopt;
}

// Only the side that a condition on indices chooses may be evaluated: its loads may lie outside elsewhere.
llvm::Value* Emitter::EvaluateSelect(const ScalarRef& scalar) {
  const ScalarRef& condition = scalar->operands[0];
  if (const std::optional<bool> decided = Decide(condition)) return Evaluate(scalar->operands[*decided ? 1 : 2]);
  const bool loads = HasLoad(scalar->operands[1]) || HasLoad(scalar->operands[2]), by_lane = DependsOnLane(condition);
  if (!loads || (by_lane && !HasIndex(condition))) {
    llvm::Value* chosen = Evaluate(condition);
    llvm::Value* a = Evaluate(scalar->operands[1]);
    llvm::Value* b = Evaluate(scalar->operands[2]);
    if (chosen->getType()->isVectorTy() || a->getType()->isVectorTy() || b->getType()->isVectorTy()) {
      return ir_.CreateSelect(Widen(chosen), Widen(a), Widen(b));
    }
    return ir_.CreateSelect(chosen, a, b);
  }
  if (by_lane) return PerLane(scalar);
  llvm::Value* chosen = Evaluate(condition);
  const std::map<const Scalar*, llvm::Value*> known = known_;
  llvm::BasicBlock* blocks[2];
  for (llvm::BasicBlock*& block : blocks) block = llvm::BasicBlock::Create(ir_.getContext(), "side", function_);
  llvm::BasicBlock* join = llvm::BasicBlock::Create(ir_.getContext(), "join", function_);
  ir_.CreateCondBr(chosen, blocks[0], blocks[1]);
  const bool wide = DependsOnLane(scalar->operands[1]) || DependsOnLane(scalar->operands[2]);
  llvm::Value* sides[2];
  for (int side = 0; side < 2; ++side) {
    ir_.SetInsertPoint(blocks[side]);
    known_ = known;
    sides[side] = Evaluate(scalar->operands[1 + side]);
    if (wide) sides[side] = Widen(sides[side]);
    blocks[side] = ir_.GetInsertBlock();
    ir_.CreateBr(join);
  }
  ir_.SetInsertPoint(join);
  known_ = known;
  llvm::PHINode* phi = ir_.CreatePHI(sides[0]->getType(), 2);
  for (int side = 0; side < 2; ++side) phi->addIncoming(sides[side], blocks[side]);
  return phi;
}

void Emitter::StoreTo(const Store& store, llvm::Value* value) {
  known_.clear();
  const NestTensor& tensor = nest_.tensors[store.tensor];
  const DimExpr offset = OffsetOf(store.tensor, store.indices);
  const bool vector = lanes_.lanes > 1 && !only_lane_ && value->getType()->isVectorTy();
  const auto scalar_store = [&](llvm::Value* element, llvm::Value* address) {
    if (tensor.dtype == DType::kBool) element = ir_.CreateZExt(element, ir_.getInt8Ty());
    ir_.CreateStore(element, address);
  };
  if (!vector && !(lanes_.lanes > 1 && offset.Mentions(lanes_.lane))) {
    return scalar_store(value, Address(store.tensor, Index(offset)));
  }
  value = Widen(value);
  DimExpr rest;
  const std::optional<int64_t> stride = LaneStride(offset, lanes_.lane);
  if (stride) offset.AffineCoefficient(lanes_.lane, &rest);
  if (stride == 1) return StoreVector(value, Address(store.tensor, Index(rest)), tensor.dtype);
  for (int lane = 0; lane < lanes_.active; ++lane) {
    const DimExpr at = offset.Substitute({{lanes_.lane, DimExpr(lane)}});
    scalar_store(ir_.CreateExtractElement(value, static_cast<uint64_t>(lane)), Address(store.tensor, Index(at)));
  }
}

}  // namespace hone
