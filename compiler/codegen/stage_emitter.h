#pragma once

#include <functional>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "compiler/codegen/emitter.h"
#include "compiler/schedule/fused_stages.h"

namespace hone {

// Code for the loops of one stage: where the values of all outer axes are bound.
class StageEmitter {
 public:
  StageEmitter(const StageLoops& stage, Emitter* emitter)
      : stage_(stage), e_(*emitter), outputs_(static_cast<int>(stage.axes.size())) {}

  void Run();

 private:
  struct Taps {
    int64_t begin = 0, end = 0;
    bool operator==(const Taps&) const = default;
  };
  using Values = Emitter::Values;
  using TapsOfPoints = std::map<size_t, std::vector<Taps>>;   // by reduction axis and point of the tile

  bool ReducesInLanes() const { return stage_.lane_axis >= outputs_; }

  // The axis stands at begin + scale * i, i in [0, count).
  void BindTo(const Axis& axis, llvm::Value* i, int64_t count, const DimExpr& begin, const DimExpr& scale);

  // Loops over the axes, outermost first (stage_emitter.cc).
  void EmitAxis(int level);
  // Loops over blocks are cut where the last one is not full.
  bool InTail() const;
  void EmitPiece(int level, int64_t begin, int64_t end);
  // Tiles of which every point has the same taps become one loop: those at the borders stand alone.
  void EmitTiles(int level, int64_t begin, int64_t end);
  // The taps of each point of a tile, of those reduction axes whose range depends on the tile's axis.
  TapsOfPoints TapsAt(int level, int64_t first, int points) const;
  void EmitTileRun(int level, int64_t begin, int64_t count, int points, const TapsOfPoints& taps);
  // Calls `body` with the lanes set for [begin, end) of an axis: whole vectors, then what remains, masked.
  void EmitVectors(const Axis& axis, int64_t begin, int64_t end, const std::function<void()>& body);
  void AtPoint(int point);

  // Pins what the loops from `level` on do not change.
  void Hoist(int level);
  // Sides of selects stay where they are: they may load outside of tensors elsewhere.
  void HoistFrom(const ScalarRef& scalar, const std::set<SymbolRef>& inner);
  // Constants and indices LLVM moves itself.
  static bool IsCostly(const Scalar& scalar) { return scalar.kind == Scalar::Kind::kLoad || !scalar.operands.empty(); }
  static bool Varies(const Scalar& scalar, const std::set<SymbolRef>& inner);

  void EmitPoints();
  void EmitMap();
  // Loads of the tile that are strided along the lanes and contiguous along the tile, with their vectors by point.
  std::vector<std::pair<ScalarRef, Values>> TransposedLoads();
  void EmitStores(Values reduced);
  // Nothing known from another point or iteration holds here.
  llvm::Value* EvaluateFresh(const ScalarRef& scalar);

  // Reductions (stage_reduction.cc).
  void EmitReduction();
  llvm::Constant* IdentityOf(DType dtype);
  Values Identity();
  Values Combined(const Values& accumulator, int active);
  llvm::Value* Combine2(llvm::Value* a, llvm::Value* b);
  // Reduction loops from `level` on, all points of the tile together.
  Values Reduce(size_t level, const Values& accumulators);
  static bool IsWhole(const ReduceRange& range, int64_t extent);
  // Whether the tap at hand counts at a point of the tile.
  bool Counts(int point) const;
  Values CombinePoints(const Values& accumulators);
  Values ReducePartially(const Axis& axis, const Values& accumulators);
  // The lane axis is a reduction: `tile` vectors of partial results, joined at the end.
  Values ReduceInLanes();
  Values ReduceVectors(size_t level, const Values& accumulators, const SymbolRef& lane);

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

}  // namespace hone
