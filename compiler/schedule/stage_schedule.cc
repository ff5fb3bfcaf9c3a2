#include "compiler/schedule/stage_schedule.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

namespace hone {
namespace {

constexpr int64_t kElementsTogether = 4096;   // of rows computed in turn: half a first-level cache
constexpr int kPartialResults = 4;        // hide the latency of a sum
constexpr int64_t kChunksPerThread = 4;   // evens out neighbours that take a core for a while
constexpr int64_t kLeastRows = 2;         // of a part: rows one by one begin their loops too often
constexpr int64_t kMostPermuted = 64;     // vectors that are each a permutation of their own: code is made for each

// Strides of every access of a stage along one axis cut into vectors.
struct AccessStrides {
  int contiguous = 0, strided = 0;
  bool stores_contiguous = true;
};

bool Mentions(const ScalarRef& scalar, const SymbolRef& symbol) {
  if (scalar->kind == Scalar::Kind::kIndex && scalar->index.Mentions(symbol)) return true;
  for (const LoadIndex& index : scalar->indices) {
    const ScalarRef* computed = std::get_if<ScalarRef>(&index);
    if (computed != nullptr ? Mentions(*computed, symbol) : std::get<DimExpr>(index).Mentions(symbol)) return true;
  }
  return std::any_of(scalar->operands.begin(), scalar->operands.end(),
                     [&](const ScalarRef& operand) { return Mentions(operand, symbol); });
}

// As far as it depends on `axis`: a computed index that does not counts as zero.
std::optional<DimExpr> OffsetOf(const NestTensor& tensor, const std::vector<LoadIndex>& indices, const SymbolRef& axis) {
  std::vector<DimExpr> exprs;
  for (const LoadIndex& index : indices) {
    const ScalarRef* computed = std::get_if<ScalarRef>(&index);
    if (computed != nullptr && Mentions(*computed, axis)) return std::nullopt;
    exprs.push_back(computed != nullptr ? DimExpr(0) : std::get<DimExpr>(index));
  }
  return tensor.Offset(std::move(exprs));
}

// The dimension of a constant that may be packed along the axis, in vectors of it; -1: there is none.
int PackableDim(const NestTensor& constant, const std::vector<LoadIndex>& indices, const SymbolRef& axis) {
  if (!constant.packable || !constant.layout.IsPlain()) return -1;
  int dim = -1, uses = 0;
  for (size_t d = 0; d < indices.size(); ++d) {
    const DimExpr* index = std::get_if<DimExpr>(&indices[d]);
    if (index == nullptr || !(*index == DimExpr(axis))) continue;
    dim = static_cast<int>(d);
    ++uses;
  }
  return uses == 1 && dim + 1 < constant.layout.rank() ? dim : -1;
}

class StrideCounter {
 public:
  StrideCounter(const std::vector<NestTensor>& tensors, const Axis& axis, int lanes)
      : tensors_(tensors), axis_(axis.variable), lane_(MakeSymbol("lane", 0, lanes - 1)) {
    const SymbolRef vector = MakeSymbol("vector", 0, std::max<int64_t>(0, Extent(axis) / lanes));
    split_.emplace(axis.variable, DimExpr(lanes) * DimExpr(vector) + DimExpr(lane_));
  }

  // With `packs`, of constants as they will lie: PackingsForLanes.
  AccessStrides Count(const StageLoops& stage, bool packs) {
    ForEachLoad(stage, [&](const Scalar& load) {
      const std::optional<int64_t> stride = StrideOf(load.tensor, load.indices);
      if (stride == 1 || (!stride && stage.body.empty() && Permutes(load)) ||
          (packs && PackableDim(tensors_[load.tensor], load.indices, axis_) >= 0)) {
        ++strides_.contiguous;
      } else if (stride != 0) {
        ++strides_.strided;
      }
    });
    for (const Store& store : stage.stores) {
      if (StrideOf(store.tensor, store.indices) == 1) {
        ++strides_.contiguous;
      } else {
        strides_.stores_contiguous = false;
        ++strides_.strided;
      }
    }
    return strides_;
  }

  std::optional<int64_t> StrideOf(ProgramTensorId tensor, const std::vector<LoadIndex>& indices) const {
    const std::optional<DimExpr> offset = OffsetOf(tensors_[tensor], indices, axis_);
    if (!offset) return std::nullopt;
    return LaneStride(offset->Substitute(split_), lane_);
  }

  // Whether the elements of every vector lie in a few vectors of the tensor, at distances known now: channels shuffled,
  // or cut where no block ends.
  bool Permutes(const Scalar& load) const {
    const std::optional<DimExpr> offset = OffsetOf(tensors_[load.tensor], load.indices, axis_);
    const int64_t lanes = lane_->upper + 1, extent = axis_->upper + 1;
    if (!offset || extent > kMostPermuted * lanes) return false;
    const DimExpr moving = *offset - offset->Substitute({{axis_, DimExpr(0)}});
    const bool alone =
        moving.Symbols() == std::vector<SymbolRef>{axis_};  // a number at each point, by far cheaper
    const auto at = [&](int64_t i) {
      const DimExpr point(i);
      if (!alone) return moving.Substitute({{axis_, point}});
      const absl::StatusOr<int64_t> value = moving.Evaluate({{axis_, i}});
      return value.ok() ? DimExpr(*value) : moving.Substitute({{axis_, point}});
    };
    for (int64_t begin = 0; begin < extent; begin += lanes) {
      std::set<int64_t> distances;
      const DimExpr first = at(begin);
      for (int64_t i = begin; i < std::min(begin + lanes, extent); ++i) {
        const std::optional<int64_t> distance = (at(i) - first).AsConstant();
        if (!distance) return false;
        distances.insert(*distance);
      }
      if (VectorsOver(distances, lanes) > kMostPermutedVectors) return false;
    }
    return true;
  }

 private:
  const std::vector<NestTensor>& tensors_;
  SymbolRef axis_, lane_;
  std::map<SymbolRef, DimExpr> split_;
  AccessStrides strides_;
};

// A tuple has no horizontal reduction, and an integer index in a body no vector form along its axis.
bool MayReduceInLanes(const StageLoops& stage) { return stage.combine != Combine::kTuple && stage.ranges.empty(); }

// Lanes of a vector share their taps.
bool TapsVaryAlong(const StageLoops& stage, const SymbolRef& variable) {
  return std::any_of(stage.ranges.begin(), stage.ranges.end(), [&](const ReduceRange& range) {
    return range.begin.Mentions(variable) || range.end.Mentions(variable);
  });
}

// Whether a vector width fits some axis; then the lanes are set.
bool ChooseLanes(const std::vector<NestTensor>& tensors, int lanes, StageLoops* stage) {
  int best = -1, best_strided = 0;
  const int outputs = static_cast<int>(stage->axes.size());
  for (int i = 0; i < outputs + static_cast<int>(stage->reduce.size()); ++i) {
    const bool reduces = i >= outputs;
    const Axis& axis = reduces ? stage->reduce[i - outputs] : stage->axes[i];
    if (Extent(axis) < std::max(2, lanes / 2) || (reduces && !MayReduceInLanes(*stage))) continue;
    if (TapsVaryAlong(*stage, axis.variable)) continue;
    AccessStrides strides = StrideCounter(tensors, axis, lanes).Count(*stage, !reduces);
    if (reduces) strides.strided -= static_cast<int>(stage->stores.size());   // stored once per row
    if (!reduces && !strides.stores_contiguous) continue;
    if (strides.contiguous == 0 || strides.strided > strides.contiguous) continue;
    if (best < 0 || strides.strided < best_strided) {
      best = i;
      best_strided = strides.strided;
    }
  }
  stage->lane_axis = best;
  stage->lanes = best < 0 ? 1 : lanes;
  return best >= 0;
}

// The block in which the first stored tensor keeps the axis of the lanes; 1 if it does not.
int64_t StoredBlock(const std::vector<NestTensor>& tensors, const StageLoops& stage) {
  const Store& store = stage.stores.front();
  const DimExpr lane(stage.axes[stage.lane_axis].variable);
  for (size_t d = 0; d < store.indices.size(); ++d) {
    if (std::get<DimExpr>(store.indices[d]) == lane) return tensors[store.tensor].layout.BlockOf(static_cast<int>(d));
  }
  return 1;
}

// Variables of the loops over blocks and over the vectors of one; null where there is none.
struct BlockLoops {
  SymbolRef blocks, vectors;
};

// Loops over the blocks go where the blocks lie, the lanes inside: rows of one block are neighbours.
BlockLoops SplitBlocks(const std::vector<NestTensor>& tensors, StageLoops* stage) {
  const int outputs = static_cast<int>(stage->axes.size());
  if (stage->lane_axis < 0 || stage->lane_axis >= outputs) return {};
  const Axis axis = stage->axes[stage->lane_axis];
  const int64_t block = StoredBlock(tensors, *stage), extent = Extent(axis);
  if (block <= 1 || extent <= stage->lanes || block % stage->lanes != 0) return {};
  const int tail = static_cast<int>(extent % block);
  if (tail != 0 && block != stage->lanes) return {};
  std::vector<Axis> parts;
  BlockLoops loops;
  DimExpr value(0);
  for (const auto& [count, step] : {std::pair((extent + block - 1) / block, block), std::pair(block / stage->lanes, int64_t{stage->lanes}),
                                    std::pair(int64_t{stage->lanes}, int64_t{1})}) {
    if (count == 1 && step > 1) continue;
    const SymbolRef part = MakeSymbol(axis.variable->name + std::to_string(step), 0, count - 1);
    if (step > 1) (step == block ? loops.blocks : loops.vectors) = part;
    parts.push_back({part, DimExpr(count)});
    value = value + DimExpr(step) * DimExpr(part);
  }
  const StrideCounter strides(tensors, axis, stage->lanes);
  ForEachLoad(*stage, [&](const Scalar& load) {
    const bool map = stage->body.empty() && block == stage->lanes;
    if (map && !strides.StrideOf(load.tensor, load.indices) && strides.Permutes(load)) stage->each_block = parts.front().variable;
  });
  SubstituteInto({{axis.variable, value}}, stage);
  stage->axes.erase(stage->axes.begin() + stage->lane_axis);
  stage->axes.insert(stage->axes.begin() + stage->lane_axis, parts.begin(), parts.end());
  stage->lane_axis += static_cast<int>(parts.size()) - 1;
  if (tail != 0) {
    stage->tail_block = parts.front().variable;
    stage->tail_lanes = tail;
  }
  return loops;
}

// Whether a window slides along the axis: an index moves with both it and a tap.
bool SlidesAlong(const StageLoops& stage, const Axis& axis) {
  bool slides = false;
  ForEachLoad(stage, [&](const Scalar& load) {
    for (const LoadIndex& index : load.indices) {
      const DimExpr* expr = std::get_if<DimExpr>(&index);
      slides = slides || (expr != nullptr && expr->Mentions(axis.variable) &&
                          std::any_of(stage.reduce.begin(), stage.reduce.end(),
                                      [&](const Axis& tap) { return expr->Mentions(tap.variable); }));
    }
  });
  return slides;
}

// Sorts the output axes by their stride in the first stored tensor, outermost first; the lane axis goes last.
void OrderAxes(const std::vector<NestTensor>& tensors, const SymbolRef& blocks, StageLoops* stage) {
  const int outputs = static_cast<int>(stage->axes.size());
  const Store& store = stage->stores.front();
  const std::optional<DimExpr> offset = OffsetOf(tensors[store.tensor], store.indices, nullptr);
  std::vector<std::pair<int64_t, int>> order;
  for (int i = 0; i < outputs; ++i) {
    // The step of the last coordinate: blocked dimensions count with their outer stride.
    std::map<SymbolRef, DimExpr> last;
    for (int j = 0; j < outputs; ++j) {
      last.emplace(stage->axes[j].variable, DimExpr(j == i ? Extent(stage->axes[j]) - 1 : 0));
    }
    const int64_t reach = offset ? offset->Substitute(last).AsConstant().value_or(0) : 0;
    const int64_t steps = std::max<int64_t>(1, Extent(stage->axes[i]) - 1);
    order.emplace_back(i == stage->lane_axis ? -1 : reach / steps, i);
  }
  std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  // A window finds what it shares with the row before in the nearest cache if blocks of channels are outside.
  const auto is_blocks = [&](const auto& entry) {
    return blocks != nullptr && stage->axes[entry.second].variable == blocks;
  };
  for (auto at = std::find_if(order.begin(), order.end(), is_blocks);
       at != order.begin() && at != order.end() && SlidesAlong(*stage, stage->axes[(at - 1)->second]); --at) {
    std::swap(*at, *(at - 1));
  }
  std::vector<Axis> axes;
  int lane_axis = stage->lane_axis;
  for (const auto& [stride, i] : order) {
    if (i == stage->lane_axis) lane_axis = static_cast<int>(axes.size());
    axes.push_back(stage->axes[i]);
  }
  stage->axes = std::move(axes);
  stage->lane_axis = lane_axis;
}

// A tile needs its taps known for every point: no range may depend on another axis beside the tile's.
bool TapsKnownAlong(const StageLoops& stage, const SymbolRef& variable) {
  return std::all_of(stage.ranges.begin(), stage.ranges.end(), [&](const ReduceRange& range) {
    const DimExpr both = range.begin + range.end;
    return !both.Mentions(variable) || both.Symbols().size() == 1;
  });
}

// The output axis, beside that of the lanes, along which every load that is strided in the lanes is contiguous; -1: none,
// or no load is strided.
int TransposedAxis(const std::vector<NestTensor>& tensors, const StageLoops& stage) {
  const int outputs = static_cast<int>(stage.axes.size());
  if (!stage.body.empty() || stage.lane_axis < 0 || stage.lane_axis >= outputs) return -1;
  const auto stride_along = [&](const Scalar& load, int axis) {
    return StrideCounter(tensors, stage.axes[axis], stage.lanes).StrideOf(load.tensor, load.indices);
  };
  for (int i = outputs - 1; i >= 0; --i) {
    if (i == stage.lane_axis || Extent(stage.axes[i]) < std::max(2, stage.lanes / 4)) continue;
    int strided = 0, contiguous = 0;
    ForEachLoad(stage, [&](const Scalar& load) {
      const std::optional<int64_t> lanes = stride_along(load, stage.lane_axis);
      if (lanes == 0 || lanes == 1) return;
      ++strided;
      contiguous += lanes && stride_along(load, i) == 1 ? 1 : 0;
    });
    if (strided > 0 && contiguous == strided) return i;
  }
  return -1;
}

void ChooseTile(const std::vector<NestTensor>& tensors, const Target& target, const StageChoice& choice,
                const BlockLoops& loops, StageLoops* stage) {
  const int outputs = static_cast<int>(stage->axes.size());
  const bool reduces = !stage->body.empty();
  const int partial = choice.partial > 0 ? choice.partial : kPartialResults;
  stage->tile = 1;
  if (stage->lane_axis >= outputs) {
    stage->tile_axis = stage->lane_axis;
    const int64_t vectors = Extent(stage->reduce[stage->lane_axis - outputs]) / stage->lanes;
    stage->tile = static_cast<int>(std::clamp<int64_t>(vectors, 1, partial));
    return;
  }
  if (const int transposed = TransposedAxis(tensors, *stage); transposed >= 0) {
    stage->tile_axis = transposed;
    stage->tile = stage->lanes;
    return;
  }
  for (int i = outputs - 1; i >= 0; --i) {
    const Axis& axis = stage->axes[i];
    if (i == stage->lane_axis || Extent(axis) == 1 || (reduces && axis.variable == loops.vectors)) continue;
    if (reduces && (axis.variable == loops.blocks || !TapsKnownAlong(*stage, axis.variable))) break;
    const int wanted = reduces ? choice.tile : std::max(1, choice.points);
    const int tile = wanted > 0 ? wanted : WindowTile(Extent(axis), target);
    if (tile == 1 && stage->ranges.empty()) break;
    stage->tile_axis = i;
    stage->tile = static_cast<int>(std::min<int64_t>(tile, Extent(axis)));
    return;
  }
  if (reduces && stage->combine != Combine::kTuple && stage->ranges.empty()) {
    stage->tile = static_cast<int>(std::min<int64_t>(partial, Extent(stage->reduce.back())));
  }
}

int Chunks(int64_t points, int threads) {
  if (threads <= 1) return 1;
  return static_cast<int>(std::min<int64_t>(points, kChunksPerThread * threads));
}

// Whether an axis runs over the blocks in which a dimension is stored.
bool IsLoopOverBlocks(const StageLoops& stage, const Axis& axis) {
  const std::vector<LoadIndex>& indices = stage.stores.front().indices;
  return std::any_of(indices.begin(), indices.end(), [&](const LoadIndex& index) {
    return std::get<DimExpr>(index).AffineCoefficient(axis.variable).value_or(0) > 1;
  });
}

// Of the load that reads most beyond a part of the rows.
StageKernel::Halo HaloOf(const StageLoops& stage, const Axis& part, const Axis& row) {
  std::map<SymbolRef, DimExpr> first, last;  // taps
  for (const Axis& tap : stage.reduce) {
    first.emplace(tap.variable, DimExpr(0));
    last.emplace(tap.variable, DimExpr(Extent(tap) - 1));
  }
  StageKernel::Halo halo;
  ForEachLoad(stage, [&](const Scalar& load) {
    for (size_t dim = 0; dim < load.indices.size(); ++dim) {
      const DimExpr* index = std::get_if<DimExpr>(&load.indices[dim]);
      if (index == nullptr || !index->Mentions(part.variable)) continue;
      const DimExpr reach = index->Substitute(last) - index->Substitute(first);
      const int64_t window = reach.AsConstant().value_or(0) + 1,
                    step = index->AffineCoefficient(row.variable).value_or(window);
      if (window - step > halo.rows) halo = {load.tensor, dim, window - step};
    }
  });
  return halo;
}

// Where channels lie in blocks, threads share out the rows behind them, as they do in convolutions: each then
// finds in its own cache what it computed before. Parts of equal height become the first axis, the blocks the
// second; too few rows stay inside.
StageKernel::Halo CutRows(int threads, StageLoops* stage) {
  const int outputs = static_cast<int>(stage->axes.size());
  int blocks = 0;
  while (blocks < outputs && Extent(stage->axes[blocks]) == 1) ++blocks;
  const int rows = blocks + 1;
  const auto inside = [&](int axis) {
    return axis >= outputs || axis == stage->lane_axis || axis == stage->tile_axis;
  };
  if (inside(blocks) || inside(rows) || !IsLoopOverBlocks(*stage, stage->axes[blocks])) return {};
  const Axis whole = stage->axes[rows];
  int64_t parts = threads;
  while (parts < Extent(whole) && Extent(whole) % parts != 0) ++parts;
  const int64_t height = Extent(whole) / parts;
  if (height < kLeastRows) return {};
  const Axis part{MakeSymbol(whole.variable->name + "_part", 0, parts - 1), DimExpr(parts)};
  const Axis row{MakeSymbol(whole.variable->name, 0, height - 1), DimExpr(height)};
  SubstituteInto({{whole.variable, DimExpr(height) * DimExpr(part.variable) + DimExpr(row.variable)}}, stage);
  stage->axes[rows] = row;
  stage->axes.insert(stage->axes.begin() + blocks, part);
  if (stage->lane_axis > rows) ++stage->lane_axis;
  if (stage->tile_axis > rows) ++stage->tile_axis;
  return HaloOf(*stage, part, row);
}

}  // namespace

void PickLanes(const std::vector<NestTensor>& tensors, const Target& target, const StageChoice& choice,
               StageLoops* stage) {
  const int lanes = choice.lanes > 0 ? choice.lanes : target.vector_width();
  if (lanes == 1 || ChooseLanes(tensors, lanes, stage)) return;
  for (const int narrower : target.row->vector_widths) {
    if (narrower < lanes && ChooseLanes(tensors, narrower, stage)) return;
  }
}

std::vector<std::pair<ProgramTensorId, Layout>> PackingsForLanes(const std::vector<NestTensor>& tensors,
                                                                 const StageLoops& stage) {
  std::vector<std::pair<ProgramTensorId, Layout>> packings;
  if (stage.lane_axis < 0 || stage.lane_axis >= static_cast<int>(stage.axes.size())) return packings;
  const SymbolRef& lane = stage.axes[stage.lane_axis].variable;
  ForEachLoad(stage, [&](const Scalar& load) {
    const int dim = PackableDim(tensors[load.tensor], load.indices, lane);
    if (dim < 0) return;
    packings.emplace_back(load.tensor, Layout::Blocked(tensors[load.tensor].layout.rank(), dim, stage.lanes));
  });
  return packings;
}

void ArrangeLoops(const std::vector<NestTensor>& tensors, const Target& target, const StageChoice& choice,
                  StageLoops* stage) {
  const BlockLoops loops = SplitBlocks(tensors, stage);
  OrderAxes(tensors, loops.blocks, stage);
  ChooseTile(tensors, target, choice, loops, stage);
}

int WindowTile(int64_t extent, const Target& target) {
  const int64_t most = target.row->vector_registers < 32 ? 8 : 14;
  const int64_t tiles = (extent + most - 1) / most;
  return static_cast<int>(std::max<int64_t>(1, (extent + tiles - 1) / tiles));
}

void ScheduleStage(const std::vector<NestTensor>& tensors, const Target& target, const StageChoice& choice,
                   StageLoops* stage) {
  PickLanes(tensors, target, choice, stage);
  ArrangeLoops(tensors, target, choice, stage);
}

StageKernel KernelOf(StageLoops stage, int threads) {
  StageKernel kernel;
  if (threads > 1) kernel.halo = CutRows(threads, &stage);
  const int free_axes = static_cast<int>(stage.axes.size());
  int64_t points = 1;
  int taken = 0;
  while (threads > 1 && taken < free_axes && points < kChunksPerThread * threads && taken != stage.lane_axis &&
         taken != stage.tile_axis) {
    points *= Extent(stage.axes[taken++]);
  }
  kernel.outer.assign(stage.axes.begin(), stage.axes.begin() + taken);
  stage.axes.erase(stage.axes.begin(), stage.axes.begin() + taken);
  if (stage.lane_axis >= 0) stage.lane_axis -= taken;
  if (stage.tile_axis >= 0) stage.tile_axis -= taken;
  kernel.chunks = Chunks(points, threads);
  kernel.stages.push_back(std::move(stage));
  return kernel;
}

int SharedAxes(const FusedStages& fused, size_t begin, size_t end) {
  int shared = static_cast<int>(fused.stages[begin].axes.size());
  std::map<ProgramTensorId, size_t> inside;
  for (size_t s = begin; s < end; ++s) {
    const StageLoops& stage = fused.stages[s];
    shared = std::min(shared, static_cast<int>(stage.axes.size()));
    for (int d = 0; d < shared; ++d) {
      if (Extent(stage.axes[d]) != Extent(fused.stages[begin].axes[d])) shared = d;
    }
    ForEachLoad(stage, [&](const Scalar& load) {
      if (!inside.contains(load.tensor)) return;
      shared = std::min(shared, static_cast<int>(load.indices.size()));
      for (int d = 0; d < shared; ++d) {
        const DimExpr* index = std::get_if<DimExpr>(&load.indices[d]);
        const bool same = index != nullptr && (*index == DimExpr(stage.axes[d].variable) ||
                                               (*index == DimExpr(0) && Extent(stage.axes[d]) == 1));
        if (!same) shared = d;
      }
    });
    for (const Store& store : stage.stores) inside.emplace(store.tensor, s);
  }
  return shared;
}

int RowsTogether(const FusedStages& fused, size_t begin, size_t end, int outer, int threads) {
  const std::vector<Axis>& axes = fused.stages[begin].axes;
  const int64_t points = Points({axes.begin(), axes.begin() + outer});
  const int64_t wanted = threads > 1 ? kChunksPerThread * threads : 1;
  int64_t row = 1;   // elements
  for (size_t s = begin; s < end; ++s) {
    const StageLoops& stage = fused.stages[s];
    row = std::max(row, Points({stage.axes.begin() + outer, stage.axes.end()}) * Points(stage.reduce));
  }
  for (const int rows : {8, 4, 2}) {
    if (Extent(axes[outer - 1]) % rows == 0 && rows * row <= kElementsTogether && points / rows >= wanted) return rows;
  }
  return 1;
}

StageKernel RowKernelOf(const FusedStages& fused, size_t begin, size_t end, int outer, int rows,
                        const std::vector<NestTensor>& tensors, const Target& target, const StageChoice& choice,
                        int threads) {
  StageKernel kernel;
  const StageLoops& first = fused.stages[begin];
  kernel.outer.assign(first.axes.begin(), first.axes.begin() + outer);
  Axis& blocks = kernel.outer.back();
  if (rows > 1) {
    const int64_t extent = Extent(blocks) / rows;
    blocks = {MakeSymbol(blocks.variable->name + "_rows", 0, extent - 1), DimExpr(extent)};
  }
  for (size_t s = begin; s < end; ++s) {
    StageLoops stage = fused.stages[s];
    std::map<SymbolRef, DimExpr> rename;
    for (int d = 0; d + 1 < outer; ++d) rename.emplace(stage.axes[d].variable, DimExpr(kernel.outer[d].variable));
    const Axis row{MakeSymbol(stage.axes[outer - 1].variable->name, 0, rows - 1), DimExpr(rows)};
    const DimExpr block(blocks.variable);
    rename.emplace(stage.axes[outer - 1].variable, rows > 1 ? DimExpr(rows) * block + DimExpr(row.variable) : block);
    SubstituteInto(rename, &stage);
    stage.axes.erase(stage.axes.begin(), stage.axes.begin() + outer);
    if (rows > 1) stage.axes.insert(stage.axes.begin(), row);
    ScheduleStage(tensors, target, choice, &stage);
    kernel.stages.push_back(std::move(stage));
  }
  kernel.chunks = Chunks(Points(kernel.outer), threads);
  return kernel;
}

StageKernel RowBlocksOf(StageLoops stage, int image, int row, int64_t rows, const std::vector<NestTensor>& tensors,
                        const Target& target, const StageChoice& choice) {
  StageKernel kernel;
  const Axis all = stage.axes[row];
  kernel.halo = HaloOf(stage, all, all);
  kernel.outer = {stage.axes[image], all};
  if (rows > 1) {
    const int64_t blocks = Extent(all) / rows;
    const SymbolRef block = MakeSymbol(all.variable->name + "_rows", 0, blocks - 1);
    const SymbolRef inside = MakeSymbol(all.variable->name, 0, rows - 1);
    kernel.outer.back() = {block, DimExpr(blocks)};
    SubstituteInto({{all.variable, DimExpr(rows) * DimExpr(block) + DimExpr(inside)}}, &stage);
    stage.axes[row] = {inside, DimExpr(rows)};
  } else {
    stage.axes.erase(stage.axes.begin() + row);
    if (stage.lane_axis > row) --stage.lane_axis;
  }
  stage.axes.erase(stage.axes.begin() + image);
  if (stage.lane_axis > image) --stage.lane_axis;
  ArrangeLoops(tensors, target, choice, &stage);
  kernel.stages.push_back(std::move(stage));
  return kernel;
}

}  // namespace hone
