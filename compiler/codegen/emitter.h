#pragma once

#include <llvm/IR/Function.h>
#include <llvm/IR/IRBuilder.h>

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "compiler/codegen/vector_math.h"
#include "compiler/schedule/loop_nest.h"
#include "compiler/target/target.h"

namespace hone {

// One loop's axis that runs in vectors: `lane` stands for the lane number in index expressions. Lanes from `active` on
// are neither loaded nor stored.
struct VectorLanes {
  SymbolRef lane;
  int lanes = 1;
  int active = 1;
};

// Writes one LLVM function: structured loops, index expressions, scalar expressions in one or many lanes, accesses of
// the nest's tensors. Values are scalars while they are the same in all lanes, else vectors.
class Emitter {
 public:
  using Values = std::vector<llvm::Value*>;

  // `function` has no body yet; its first two arguments are the buffers and the scratch.
  Emitter(const LoopNest& nest, const Target& target, llvm::Function* function);

  llvm::IRBuilder<>& ir() { return ir_; }
  VectorMath& math() { return math_; }
  const LoopNest& nest() const { return nest_; }
  void SetChunkBase(llvm::Value* base) { chunk_base_ = base; }   // of kChunk tensors
  void Finish();                                                  // returns void

  llvm::Value* I64(int64_t value) { return ir_.getInt64(static_cast<uint64_t>(value)); }

  // for (i = begin; i < end; i += step); at least one iteration if `end` is no constant is the caller's promise.
  Values Loop(llvm::Value* begin, llvm::Value* end, int64_t step, const Values& initial,
              const std::function<Values(llvm::Value* i, const Values& carried)>& body);
  // The same for a count known now: nothing for 0, no loop for 1.
  Values Loop(int64_t count, const Values& initial,
              const std::function<Values(llvm::Value* i, const Values& carried)>& body);

  // The same for a count that may be nothing.
  Values LoopIfAny(llvm::Value* begin, llvm::Value* end, const Values& initial,
                   const std::function<Values(llvm::Value* i, const Values& carried)>& body);

  void If(llvm::Value* condition, const std::function<void()>& body);

  void Bind(const SymbolRef& symbol, llvm::Value* value) { values_[symbol] = value; }
  void Substitute(const SymbolRef& symbol, DimExpr expr) { substitution_.insert_or_assign(symbol, std::move(expr)); }
  void SetLanes(const VectorLanes& lanes) { lanes_ = lanes; }
  const VectorLanes& lanes() const { return lanes_; }
  void SetParameters(Values parameters) { parameters_ = std::move(parameters); }
  void Forget() { known_.clear(); }   // values of another point or block

  // Values that expressions (by node) have until they are taken back, and reciprocals that divisions multiply with.
  struct Pins {
    std::map<const Scalar*, llvm::Value*> values, reciprocals;
  };
  const Pins& pins() const { return pins_; }
  void SetPins(Pins pins) { pins_ = std::move(pins); }
  void Pin(const ScalarRef& scalar, llvm::Value* value) { pins_.values[scalar.get()] = value; }
  void PinReciprocal(const ScalarRef& scalar, llvm::Value* value) { pins_.reciprocals[scalar.get()] = value; }

  DimExpr Rewritten(const DimExpr& expr) const;      // with all substitutions
  llvm::Value* Index(const DimExpr& expr);           // i64; no lanes in it
  // The innermost digit, of `extent` values, of a flattened index; what remains is left in it.
  llvm::Value* SplitDigit(llvm::Value** index, int64_t extent);
  llvm::Value* Evaluate(const ScalarRef& scalar);
  llvm::Value* Widen(llvm::Value* value);            // to all lanes
  void StoreTo(const Store& store, llvm::Value* value);
  // What `load` is in all lanes at points 0..points-1 of `point`, where it is strided along the lanes and contiguous along
  // the point: a block transposed in registers. Empty: it is not.
  Values LoadBlock(const Scalar& load, const SymbolRef& point, int points);

  llvm::Value* Base(ProgramTensorId tensor);         // address of element 0
  llvm::Value* Address(ProgramTensorId tensor, llvm::Value* element);
  llvm::Type* TypeOf(DType dtype);                   // of a value; bool is i1
  llvm::Type* VectorOf(llvm::Type* element, int lanes);
  llvm::Constant* Mask(int active);                  // of the first `active` lanes
  llvm::Value* LoadVector(llvm::Value* address, DType dtype);    // of the active lanes
  void StoreVector(llvm::Value* value, llvm::Value* address, DType dtype);
  llvm::Value* Binary(BinaryOp op, DType dtype, llvm::Value* a, llvm::Value* b);

 private:
  llvm::Value* EvaluateNode(const ScalarRef& scalar);
  llvm::Value* EvaluateLoad(const Scalar& load, const ScalarRef& scalar);
  llvm::Value* EvaluateSelect(const ScalarRef& scalar);
  llvm::Value* EvaluateUnary(const Scalar& scalar);
  llvm::Value* EvaluateCast(const Scalar& scalar);
  llvm::Value* EvaluateIndexValue(const ScalarRef& scalar);
  struct Element {
    ProgramTensorId tensor;
    DimExpr offset;
  };
  llvm::Value* PerLane(const ScalarRef& scalar);
  // The same where every lane is an element at a distance known now: a few vectors loaded and permuted. Null: it is not.
  llvm::Value* PermutedLanes(const ScalarRef& scalar);
  std::optional<Element> ElementOf(const ScalarRef& scalar, int lane);   // that a lane is, all selects being decided
  // The vector from `element`, which lies at distance `begin`; only what `distances` names is loaded.
  llvm::Value* LoadElements(ProgramTensorId tensor, llvm::Value* element, const std::set<int64_t>& distances,
                            int64_t begin);
  llvm::Value* IntegerBinary(BinaryOp op, DType dtype, llvm::Value* a, llvm::Value* b);
  llvm::Value* FloatBinary(BinaryOp op, DType dtype, llvm::Value* a, llvm::Value* b);
  llvm::Value* IndexAtom(const DimExpr::Atom& atom);
  bool DependsOnLane(const ScalarRef& scalar) const;
  std::optional<bool> Decide(const ScalarRef& condition) const;   // by the bounds of its indices
  DimExpr OffsetOf(ProgramTensorId tensor, const std::vector<LoadIndex>& indices);
  llvm::Type* MemoryType(DType dtype);

  const LoopNest& nest_;
  llvm::IRBuilder<> ir_;
  VectorMath math_;
  llvm::Function* function_;
  llvm::BasicBlock* entry_;
  llvm::Value* chunk_base_ = nullptr;
  std::vector<llvm::Value*> bases_;
  std::map<SymbolRef, llvm::Value*> values_;
  std::map<SymbolRef, DimExpr> substitution_;
  VectorLanes lanes_;
  std::optional<int> only_lane_;
  Values parameters_;
  std::map<const Scalar*, llvm::Value*> known_;
  Pins pins_;
};

}  // namespace hone
