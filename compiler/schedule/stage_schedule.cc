#include "compiler/schedule/stage_schedule.h"

#include <algorithm>
#include <map>
#include <numeric>

namespace hone {
namespace {

constexpr int64_t kChunksPerThread = 4;   // evens out neighbours that take a core for a while

// Strides of every access of a stage along one axis cut into vectors.
struct AccessStrides {
  int contiguous = 0, strided = 0;
  bool stores_contiguous = true;
};

std::optional<DimExpr> OffsetOf(const NestTensor& tensor, const std::vector<LoadIndex>& indices) {
  std::vector<DimExpr> exprs;
  for (const LoadIndex& index : indices) {
    if (!std::holds_alternative<DimExpr>(index)) return std::nullopt;
    exprs.push_back(std::get<DimExpr>(index));
  }
  return tensor.Offset(std::move(exprs));
}

class StrideCounter {
 public:
  StrideCounter(const std::vector<NestTensor>& tensors, const Axis& axis, int lanes)
      : tensors_(tensors), lane_(MakeSymbol("lane", 0, lanes - 1)) {
    const SymbolRef vector = MakeSymbol("vector", 0, std::max<int64_t>(0, Extent(axis) / lanes));
    split_.emplace(axis.variable, DimExpr(lanes) * DimExpr(vector) + DimExpr(lane_));
  }

  AccessStrides Count(const StageLoops& stage) {
    ForEachLoad(stage, [&](const Scalar& load) {
      const std::optional<int64_t> stride = StrideOf(load.tensor, load.indices);
      if (stride == 1) {
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

 private:
  std::optional<int64_t> StrideOf(ProgramTensorId tensor, const std::vector<LoadIndex>& indices) const {
    const std::optional<DimExpr> offset = OffsetOf(tensors_[tensor], indices);
    if (!offset) return std::nullopt;
    return LaneStride(offset->Substitute(split_), lane_);
  }

  const std::vector<NestTensor>& tensors_;
  SymbolRef lane_;
  std::map<SymbolRef, DimExpr> split_;
  AccessStrides strides_;
};

// A tuple has no horizontal reduction, and an integer index in a body no vector form along its axis.
bool MayReduceInLanes(const StageLoops& stage) { return stage.combine != Combine::kTuple; }

void ChooseLanes(const std::vector<NestTensor>& tensors, int lanes, StageLoops* stage) {
  int best = -1, best_strided = 0;
  const int outputs = static_cast<int>(stage->axes.size());
  for (int i = 0; i < outputs + static_cast<int>(stage->reduce.size()); ++i) {
    const bool reduces = i >= outputs;
    const Axis& axis = reduces ? stage->reduce[i - outputs] : stage->axes[i];
    if (Extent(axis) < std::max(2, lanes / 2) || (reduces && !MayReduceInLanes(*stage))) continue;
    AccessStrides strides = StrideCounter(tensors, axis, lanes).Count(*stage);
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
}

// Sorts the output axes by their stride in the first stored tensor, outermost first; the lane axis goes last.
void OrderAxes(const std::vector<NestTensor>& tensors, StageLoops* stage) {
  const int outputs = static_cast<int>(stage->axes.size());
  const Store& store = stage->stores.front();
  const std::optional<DimExpr> offset = OffsetOf(tensors[store.tensor], store.indices);
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
  std::vector<Axis> axes;
  int lane_axis = stage->lane_axis;
  for (const auto& [stride, i] : order) {
    if (i == stage->lane_axis) lane_axis = static_cast<int>(axes.size());
    axes.push_back(stage->axes[i]);
  }
  stage->axes = std::move(axes);
  stage->lane_axis = lane_axis;
}

void ChooseTile(int tile, StageLoops* stage) {
  const int outputs = static_cast<int>(stage->axes.size());
  if (stage->lane_axis >= outputs) {
    stage->tile_axis = stage->lane_axis;
    const int64_t vectors = Extent(stage->reduce[stage->lane_axis - outputs]) / stage->lanes;
    stage->tile = static_cast<int>(std::clamp<int64_t>(vectors, 1, tile));
    return;
  }
  for (int i = outputs - 1; i >= 0 && tile > 1; --i) {
    if (i == stage->lane_axis || Extent(stage->axes[i]) == 1) continue;
    stage->tile_axis = i;
    stage->tile = static_cast<int>(std::min<int64_t>(tile, Extent(stage->axes[i])));
    return;
  }
}

int Chunks(int64_t points, int threads) {
  if (threads <= 1) return 1;
  return static_cast<int>(std::min<int64_t>(points, kChunksPerThread * threads));
}

}  // namespace

void ScheduleStage(const std::vector<NestTensor>& tensors, const Target& target, const StageChoice& choice,
                   StageLoops* stage) {
  const int lanes = choice.lanes > 0 ? choice.lanes : target.vector_width();
  if (lanes > 1) ChooseLanes(tensors, lanes, stage);
  OrderAxes(tensors, stage);
  ChooseTile(choice.tile, stage);
}

StageKernel KernelOf(StageLoops stage, int threads) {
  StageKernel kernel;
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

StageKernel RowKernelOf(const FusedStages& fused, size_t begin, size_t end, int outer,
                        const std::vector<NestTensor>& tensors, const Target& target, const StageChoice& choice,
                        int threads) {
  StageKernel kernel;
  const StageLoops& first = fused.stages[begin];
  kernel.outer.assign(first.axes.begin(), first.axes.begin() + outer);
  for (size_t s = begin; s < end; ++s) {
    StageLoops stage = fused.stages[s];
    std::map<SymbolRef, DimExpr> rename;
    for (int d = 0; d < outer; ++d) rename.emplace(stage.axes[d].variable, DimExpr(kernel.outer[d].variable));
    for (ScalarRef& body : stage.body) body = SubstituteAxes(body, rename);
    for (Store& store : stage.stores) {
      store.value = SubstituteAxes(store.value, rename);
      for (LoadIndex& index : store.indices) index = std::get<DimExpr>(index).Substitute(rename);
    }
    stage.axes.erase(stage.axes.begin(), stage.axes.begin() + outer);
    ScheduleStage(tensors, target, choice, &stage);
    kernel.stages.push_back(std::move(stage));
  }
  kernel.chunks = Chunks(Points(kernel.outer), threads);
  return kernel;
}

}  // namespace hone
