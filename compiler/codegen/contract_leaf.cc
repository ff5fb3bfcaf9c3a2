#include "compiler/codegen/contract_leaf.h"

#include <llvm/IR/InlineAsm.h>
#include <llvm/IR/Module.h>

#include "compiler/codegen/kernel_function.h"
#include "compiler/schedule/fused_stages.h"

namespace hone {
namespace {

using Values = Emitter::Values;

constexpr int64_t kFloatBytes = 4;

class LeafEmitter {
 public:
  LeafEmitter(const ContractKernel& kernel, const ContractLeaf& leaf, llvm::Function* function,
              Emitter* emitter)
      : kernel_(kernel),
        leaf_(leaf),
        rows_(kernel.patterns[leaf.pattern].rows),
        taps_(kernel.patterns[leaf.pattern].taps),
        e_(*emitter) {
    BindArguments(function);
  }

  void Run() {
    FindOffsets();
    Values state = InitialAccumulators();
    int64_t skipped = 0;
    for (size_t level = 0; level < taps_.size(); ++level) skipped += RangeOf(level).begin * k_strides_[level];
    llvm::Value* first = e_.ir().CreateAdd(e_.Index(a_base_), e_.I64(skipped));
    llvm::Value* a = e_.ir().CreateInBoundsGEP(e_.ir().getFloatTy(), e_.Base(kernel_.a), first);
    llvm::Value* b = e_.ir().CreateInBoundsGEP(e_.ir().getFloatTy(), e_.Base(kernel_.b), e_.Index(BOffset()));
    a = Step(a, leaf_.k_begin * k_strides_[0]);
    b = Step(b, leaf_.k_begin * StepsBelow(0) * panel_width());
    if (kernel_.prefetch.touches > 0) state.push_back(FirstPrefetch(b));
    state.push_back(b);
    state = Reduce(0, a, state);
    state.resize(rows_.size() * static_cast<size_t>(leaf_.vectors));
    EmitStores(state);
  }

 private:
  int panel_width() const { return kernel_.panel_vectors * kernel_.lanes; }
  int64_t StepsBelow(size_t level) const {
    return Points({kernel_.k.begin() + static_cast<ptrdiff_t>(level) + 1, kernel_.k.end()});
  }
  // The iterations of a loop that this tile makes, of the outermost one in this pass.
  LoopRange RangeOf(size_t level) const {
    const LoopRange taps = taps_.empty() ? LoopRange{0, Extent(kernel_.k[level])} : taps_[level];
    if (level > 0) return taps;
    return {std::max<int64_t>(taps.begin - leaf_.k_begin, 0),
            std::min(taps.end - leaf_.k_begin, leaf_.k_count)};
  }
  int64_t Skipped(size_t level) const {
    return (level == 0 ? leaf_.k_count : Extent(kernel_.k[level])) - RangeOf(level).end;
  }

  void BindArguments(llvm::Function* function) {
    unsigned argument = 2;
    for (const Axis& axis : kernel_.batch) BindAxis(axis, function->getArg(argument++));
    for (const Axis& axis : kernel_.m) {
      BindAxis(axis, function->getArg(argument++));
      first_row_.push_back(e_.Rewritten(DimExpr(axis.variable)));
    }
    const int64_t panels = (Extent(kernel_.n) + panel_width() - 1) / panel_width();
    panel_ = MakeSymbol("panel", 0, panels - 1);
    e_.Bind(panel_, function->getArg(argument++));
    turn_ = function->getArg(argument++);
    for (const SymbolRef& variable : kernel_.around) e_.Bind(variable, function->getArg(argument++));
  }

  void BindAxis(const Axis& axis, llvm::Value* value) {
    const SymbolRef symbol = MakeSymbol(axis.variable->name, 0, Extent(axis) - 1);
    e_.Bind(symbol, value);
    e_.Substitute(axis.variable, DimExpr(symbol));
  }

  // Operand a: where row 0 starts, how rows differ from it, how each reduction loop moves.
  void FindOffsets() {
    std::map<SymbolRef, DimExpr> k(kernel_.k_axes.begin(), kernel_.k_axes.end());
    std::vector<DimExpr> indices;
    for (const LoadIndex& index : kernel_.a_indices) indices.push_back(std::get<DimExpr>(index).Substitute(k));
    const DimExpr offset = e_.nest().tensors[kernel_.a].Offset(std::move(indices));
    std::map<SymbolRef, DimExpr> start;
    for (const Axis& axis : kernel_.k) {
      k_strides_.push_back(LaneStride(offset, axis.variable).value_or(0));
      start.emplace(axis.variable, DimExpr(0));
    }
    a_base_ = offset.Substitute(start);
    for (const std::vector<int>& delta : rows_) {
      int64_t difference = 0;
      for (size_t axis = 0; axis < delta.size(); ++axis) {
        if (delta[axis] == 0) continue;
        difference += delta[axis] * LaneStride(a_base_, kernel_.m[axis].variable).value_or(0);
      }
      row_offsets_.push_back(difference);
    }
  }

  // Where the panel begins: the first element of operand b that it needs.
  DimExpr BOffset() {
    std::map<SymbolRef, DimExpr> at;
    for (const auto& [axis, expr] : kernel_.k_axes) at.emplace(axis, DimExpr(0));
    for (const Axis& axis : kernel_.k) at.emplace(axis.variable, DimExpr(0));
    at.emplace(kernel_.n.variable, DimExpr(panel_width()) * DimExpr(panel_));
    for (const Axis& axis : kernel_.m) at.emplace(axis.variable, DimExpr(0));
    std::vector<DimExpr> indices;
    for (const LoadIndex& index : kernel_.b_indices) indices.push_back(std::get<DimExpr>(index).Substitute(at));
    return e_.nest().tensors[kernel_.b].Offset(std::move(indices));
  }

  llvm::Value* Step(llvm::Value* pointer, int64_t elements) {
    if (elements == 0) return pointer;
    return e_.ir().CreateConstInBoundsGEP1_64(e_.ir().getInt8Ty(), pointer,
                                              static_cast<uint64_t>(elements * kFloatBytes));
  }

  // Hides a pointer's origin: loads through it are not merged with others.
  llvm::Value* Fence(llvm::Value* pointer) {
    llvm::FunctionType* type = llvm::FunctionType::get(e_.ir().getPtrTy(), {e_.ir().getPtrTy()}, false);
    return e_.ir().CreateCall(llvm::InlineAsm::get(type, "", "=r,0", false), {pointer});
  }

  // Sets the lanes and the axes for row r and vector j.
  void At(size_t row, int vector) {
    const bool last = vector == leaf_.vectors - 1;
    const int active = last ? leaf_.active : kernel_.lanes;
    const SymbolRef lane = MakeSymbol("lane", 0, active - 1);
    e_.SetLanes({lane, kernel_.lanes, active});
    e_.Substitute(kernel_.n.variable, DimExpr(panel_width()) * DimExpr(panel_) +
                                          DimExpr(vector * kernel_.lanes) + DimExpr(lane));
    for (size_t axis = 0; axis < kernel_.m.size(); ++axis) {
      e_.Substitute(kernel_.m[axis].variable, first_row_[axis] + DimExpr(rows_[row][axis]));
    }
    e_.Forget();
  }

  Values InitialAccumulators() {
    Values accumulators;
    const Store& partial = kernel_.stores.front();
    for (size_t row = 0; row < rows_.size(); ++row) {
      for (int vector = 0; vector < leaf_.vectors; ++vector) {
        At(row, vector);
        llvm::Value* zero = llvm::Constant::getNullValue(e_.VectorOf(e_.ir().getFloatTy(), kernel_.lanes));
        accumulators.push_back(
            leaf_.first_pass ? zero : e_.Widen(e_.Evaluate(Load(partial.tensor, DType::kF32, partial.indices))));
      }
    }
    ResetRow();
    return accumulators;
  }

  void ResetRow() {
    e_.SetLanes({});
    for (size_t axis = 0; axis < kernel_.m.size(); ++axis) {
      e_.Substitute(kernel_.m[axis].variable, first_row_[axis]);
    }
  }

  // state: accumulators (rows x vectors), what to ask for next (if anything is), the pointer into the panel.
  Values Reduce(size_t level, llvm::Value* a, const Values& state) {
    if (level + 1 == kernel_.k.size()) return ReduceInnermost(level, a, state);
    const bool tail = level == 0 && kernel_.k_tail > 0 && leaf_.last_pass;
    const auto [begin, end] = RangeOf(level);
    const int64_t count = end - begin - (tail ? 1 : 0), iteration = StepsBelow(level) * panel_width();
    Values carried = state;
    carried.back() = Step(carried.back(), begin * iteration);
    carried.push_back(a);
    const auto once = [&](const Values& now) {
      Values next = Reduce(level + 1, now.back(), {now.begin(), now.end() - 1});
      if (kernel_.prefetch_rows && level + 2 == kernel_.k.size()) PrefetchNextRows(now.back());
      next.push_back(Step(now.back(), k_strides_[level]));
      return next;
    };
    if (count > 0) carried = e_.Loop(count, carried, [&](llvm::Value*, const Values& now) { return once(now); });
    if (tail) {
      in_tail_ = true;
      carried = once(carried);
    }
    carried.pop_back();
    carried.back() = Step(carried.back(), Skipped(level) * iteration);
    return carried;
  }

  Values ReduceInnermost(size_t level, llvm::Value* a, const Values& state) {
    const auto [begin, end] = RangeOf(level);
    const int64_t whole = end - begin, extent = in_tail_ ? kernel_.k_tail : whole;
    const int64_t unroll = std::min<int64_t>(kernel_.unroll, extent), rounds = extent / unroll;
    Values carried = state;
    carried.back() = Step(carried.back(), begin * panel_width());
    carried.push_back(a);
    carried = e_.Loop(rounds, carried, [&](llvm::Value*, const Values& now) { return Steps(unroll, level, now); });
    carried = Steps(extent - rounds * unroll, level, carried);
    carried.pop_back();
    // The panel has room for whole blocks.
    carried.back() = Step(carried.back(), (whole - extent + Skipped(level)) * panel_width());
    return carried;
  }

  // `count` steps straight; state: as above, then operand a's pointer.
  Values Steps(int64_t count, size_t level, Values state) {
    if (count == 0) return state;
    llvm::Value* a = state.back();
    state.pop_back();
    llvm::Value* b = state.back();
    state.pop_back();
    for (int64_t step = 0; step < count; ++step) {
      llvm::Value* pointer = step > 0 && kernel_.fence ? Fence(a) : a;
      MultiplyAdd(pointer, step * k_strides_[level], b, step * panel_width(), &state);
    }
    // Last: between loads it would keep LLVM's scheduler from ordering them for the registers there are.
    if (kernel_.prefetch.touches > 0) state.back() = Prefetch(state.back());
    state.push_back(Step(b, count * panel_width()));
    state.push_back(Step(a, count * k_strides_[level]));
    return state;
  }

  llvm::Value* Broadcast(llvm::Value* a, size_t row, int64_t offset) {
    llvm::Value* value = e_.ir().CreateAlignedLoad(e_.ir().getFloatTy(), Step(a, row_offsets_[row] + offset),
                                                   llvm::Align(kFloatBytes));
    return e_.ir().CreateVectorSplat(static_cast<unsigned>(kernel_.lanes), value);
  }

  // Where this use of the panel at `b` begins to ask.
  llvm::Value* FirstPrefetch(llvm::Value* b) {
    const ContractKernel::Prefetch& prefetch = kernel_.prefetch;
    llvm::Value* use = turn_;
    if (prefetch.from >= 0) {
      DimExpr point(0);
      for (const Axis& axis : kernel_.batch) point = point * axis.extent + DimExpr(axis.variable);
      use = e_.ir().CreateAdd(
          e_.Index(e_.Rewritten(point * DimExpr(static_cast<int64_t>(kernel_.tiles.size())))), turn_);
      std::vector<DimExpr> indices = prefetch.indices;
      for (DimExpr& index : indices)
        index = index.Substitute({{kernel_.n.variable, DimExpr(panel_width()) * DimExpr(panel_)}});
      b = e_.ir().CreateGEP(e_.ir().getFloatTy(), e_.Base(prefetch.from),
                            e_.Index(e_.nest().tensors[prefetch.from].Offset(std::move(indices))));
    }
    llvm::Value* bytes =
        e_.ir().CreateAdd(e_.ir().CreateMul(use, e_.I64(prefetch.slice)), e_.I64(prefetch.distance));
    return e_.ir().CreateGEP(e_.ir().getInt8Ty(), b, bytes);
  }

  llvm::Value* Prefetch(llvm::Value* next) {
    const ContractKernel::Prefetch& p = kernel_.prefetch;
    for (int64_t touch = 0; touch < p.touches; ++touch) PrefetchAt(next, touch * p.stride, kSecondLevel);
    return e_.ir().CreateConstGEP1_64(e_.ir().getInt8Ty(), next, static_cast<uint64_t>(p.touches * p.stride));
  }

  // The block of channels at hand, of the rows of the tile that comes next. Once: panels inside find it there.
  void PrefetchNextRows(llvm::Value* a) {
    const int64_t row = LaneStride(a_base_, kernel_.m.back().variable).value_or(0);
    const auto prefetch = [&] {
      for (const int64_t offset : row_offsets_) PrefetchAt(a, (offset + static_cast<int64_t>(rows_.size()) * row) * kFloatBytes, kAllLevels);
    };
    if (kernel_.panels_outer) return prefetch();
    e_.If(e_.ir().CreateICmpEQ(e_.Index(DimExpr(panel_)), e_.I64(0)), prefetch);
  }

  // Levels of LLVM's prefetch intrinsic.
  static constexpr uint32_t kSecondLevel = 2, kAllLevels = 3;
  void PrefetchAt(llvm::Value* base, int64_t bytes, uint32_t level) {
    llvm::Value* address = e_.ir().CreateConstGEP1_64(e_.ir().getInt8Ty(), base, static_cast<uint64_t>(bytes));
    constexpr uint32_t kRead = 0, kData = 1;
    e_.ir().CreateIntrinsic(llvm::Intrinsic::prefetch, {e_.ir().getPtrTy()},
                            {address, e_.ir().getInt32(kRead), e_.ir().getInt32(level), e_.ir().getInt32(kData)});
  }

  llvm::Value* Vector(llvm::Value* b, int vector, int64_t offset) {
    return e_.ir().CreateAlignedLoad(e_.VectorOf(e_.ir().getFloatTy(), kernel_.lanes),
                                     Step(b, offset + vector * kernel_.lanes),
                                     llvm::Align(static_cast<uint64_t>(kernel_.lanes * kFloatBytes)));
  }

  void MultiplyAdd(llvm::Value* a, int64_t a_offset, llvm::Value* b, int64_t b_offset, Values* accumulators) {
    const int vectors = leaf_.vectors;
    const auto accumulate = [&](size_t row, int vector, llvm::Value* x, llvm::Value* y) {
      llvm::Value*& sum = (*accumulators)[row * static_cast<size_t>(vectors) + static_cast<size_t>(vector)];
      sum = e_.math().MultiplyAdd(x, y, sum);
    };
    Values held;
    switch (kernel_.hold) {
      case HeldSide::kB:
        for (int vector = 0; vector < vectors; ++vector) held.push_back(Vector(b, vector, b_offset));
        for (size_t row = 0; row < rows_.size(); ++row) {
          llvm::Value* x = Broadcast(a, row, a_offset);
          for (int vector = 0; vector < vectors; ++vector) accumulate(row, vector, x, held[vector]);
        }
        break;
      case HeldSide::kA:
        for (size_t row = 0; row < rows_.size(); ++row) held.push_back(Broadcast(a, row, a_offset));
        for (int vector = 0; vector < vectors; ++vector) {
          llvm::Value* y = Vector(b, vector, b_offset);
          for (size_t row = 0; row < rows_.size(); ++row) accumulate(row, vector, held[row], y);
        }
        break;
      case HeldSide::kNone:
        for (int vector = 0; vector < vectors; ++vector) {
          llvm::Value* y = Vector(b, vector, b_offset);
          llvm::Value* pointer = vector == 0 ? a : Fence(a);
          for (size_t row = 0; row < rows_.size(); ++row) {
            accumulate(row, vector, Broadcast(pointer, row, a_offset), y);
          }
        }
        break;
    }
  }

  void EmitStores(const Values& accumulators) {
    for (size_t row = 0; row < rows_.size(); ++row) {
      for (int vector = 0; vector < leaf_.vectors; ++vector) {
        At(row, vector);
        llvm::Value* sum = accumulators[row * static_cast<size_t>(leaf_.vectors) + static_cast<size_t>(vector)];
        e_.SetParameters({sum});
        if (!leaf_.last_pass) {
          e_.StoreTo(kernel_.stores.front(), sum);
          continue;
        }
        for (const Store& store : kernel_.stores) {
          llvm::Value* value = e_.Evaluate(store.value);
          e_.StoreTo(store, e_.Widen(value));
        }
      }
    }
    e_.SetLanes({});
  }

  const ContractKernel& kernel_;
  const ContractLeaf& leaf_;
  const std::vector<std::vector<int>>& rows_;
  const std::vector<LoopRange>& taps_;
  Emitter& e_;
  std::vector<DimExpr> first_row_;
  SymbolRef panel_;
  llvm::Value* turn_ = nullptr;
  DimExpr a_base_;
  std::vector<int64_t> row_offsets_, k_strides_;   // elements of operand a
  bool in_tail_ = false;                           // emitting the block that is not full
};

}  // namespace

llvm::Function* EmitContractLeaf(const ContractKernel& kernel, const LoopNest& nest, const Target& target,
                                 const ContractLeaf& leaf, const std::string& name, llvm::Module* module) {
  const size_t coordinates = kernel.batch.size() + kernel.m.size() + 2 + kernel.around.size();
  llvm::Function* function = AddKernelFunction(name, coordinates, target, module);
  function->addFnAttr(llvm::Attribute::NoInline);
  function->addFnAttr(kLeafAttribute);
  Emitter emitter(nest, target, function);
  emitter.SetChunkBase(function->getArg(1));
  LeafEmitter(kernel, leaf, function, &emitter).Run();
  emitter.Finish();
  return function;
}

}  // namespace hone
