#include "compiler/schedule/nest_statistics.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "compiler/schedule/contract_view.h"
#include "compiler/schedule/fused_stages.h"

namespace hone {
namespace {

constexpr int64_t kSetBytes = 4096;  // addresses so far apart share a set of the first-level cache,
constexpr int64_t kSetLines = 8;     // which holds so many lines

double Share(int64_t extent, int64_t step) {
  const int64_t steps = (extent + step - 1) / step;
  return static_cast<double>(extent) / static_cast<double>(steps * step);
}

// Of a kernel whose parallel loop has so many points.
void AddPieces(int chunks, double points, NestStatistics* statistics) {
  if (chunks > 1) statistics->parallel_pieces = std::max(statistics->parallel_pieces, points);
}

// Counts what vectors along `axis` load or store in pieces, at `points` points.
class ScatteredAccesses {
 public:
  ScatteredAccesses(const LoopNest& nest, const Axis& axis, int lanes, bool permutes,
                    NestStatistics* statistics)
      : nest_(nest),
        axis_(axis.variable),
        lane_(MakeSymbol("lane", 0, std::max(1, lanes) - 1)),
        lanes_(lanes),
        permutes_(permutes),
        statistics_(*statistics) {
    const SymbolRef vector = MakeSymbol("vector", 0, std::max<int64_t>(0, Extent(axis) / std::max(1, lanes)));
    split_.emplace(axis_, DimExpr(lanes) * DimExpr(vector) + DimExpr(lane_));
  }

  void AddStores(const std::vector<Store>& stores, double points) {
    for (const Store& store : stores) {
      Add(store.tensor, store.indices, points, &statistics_.aliased_stores);
      AddLoads(store.value, points);
    }
  }
  void AddLoads(const ScalarRef& scalar, double points) {
    ForEachLoad(scalar,
                [&](const Scalar& load) { Add(load.tensor, load.indices, points, &statistics_.scattered); });
  }

 private:
  void Add(ProgramTensorId id, const std::vector<LoadIndex>& indices, double points, double* aliased) {
    const NestTensor& tensor = nest_.tensors[id];
    std::vector<DimExpr> exprs;
    for (const LoadIndex& index : indices) {
      const DimExpr* expr = std::get_if<DimExpr>(&index);
      exprs.push_back(expr != nullptr ? *expr : DimExpr(0));
    }
    const std::optional<int64_t> stride =
        LaneStride(tensor.Offset(std::move(exprs)).Substitute(split_), lane_);
    if (lanes_ <= 1 || stride == 0 || stride == 1) return;
    const int64_t block = tensor.layout.axes().empty() ? 0 : tensor.layout.axes().back().block;
    if (!stride && block > 1 && block < lanes_) {
      statistics_.scattered += points / static_cast<double>(block);
    } else if (!stride) {
      if (!permutes_) statistics_.scattered += points;
    } else if (*stride * DTypeBytes(tensor.dtype) % kSetBytes == 0 && axis_->upper >= kSetLines) {
      *aliased += points;
    } else {
      statistics_.scattered += points;
    }
  }

  const LoopNest& nest_;
  SymbolRef axis_, lane_;
  const int lanes_;
  const bool permutes_;  // what follows no stride is permuted in registers
  NestStatistics& statistics_;
  std::map<SymbolRef, DimExpr> split_;
};

void Add(const StageKernel& kernel, const LoopNest& nest, const Target& target, NestStatistics* statistics) {
  const double outer = static_cast<double>(Points(kernel.outer));
  for (const StageLoops& stage : kernel.stages) {
    const double flops = outer * StageFlops(stage);
    const int outputs = static_cast<int>(stage.axes.size());
    const int64_t lane_extent = stage.lane_axis < 0          ? 1
                                : stage.lane_axis < outputs  ? Extent(stage.axes[stage.lane_axis])
                                                             : Extent(stage.reduce[stage.lane_axis - outputs]);
    const double share = Share(lane_extent, stage.lanes);
    statistics->flops += flops;
    // Scalar code costs as much per element as a vector would.
    statistics->executed_flops += flops / share * target.vector_width() / std::max(1, stage.lanes);
    if (stage.body.empty()) {
      for (const Store& store : stage.stores) {
        statistics->copy_bytes += outer * static_cast<double>(Points(stage.axes)) *
                                  static_cast<double>(DTypeBytes(nest.tensors[store.tensor].dtype));
      }
    }
    double transcendental = 0;
    for (const ScalarRef& body : stage.body) {
      transcendental += static_cast<double>(CostOf(body).transcendental) * static_cast<double>(Points(stage.reduce));
    }
    for (const Store& store : stage.stores) transcendental += CostOf(store.value).transcendental;
    statistics->transcendental += outer * static_cast<double>(Points(stage.axes)) * transcendental;
    if (stage.lane_axis >= 0) {
      const double points = outer * static_cast<double>(Points(stage.axes));
      ScatteredAccesses accesses(
          nest,
          stage.lane_axis < outputs ? stage.axes[stage.lane_axis] : stage.reduce[stage.lane_axis - outputs],
          stage.lanes, stage.each_block != nullptr, statistics);
      for (const ScalarRef& body : stage.body)
        accesses.AddLoads(body, points * static_cast<double>(Points(stage.reduce)));
      const bool transposes = stage.body.empty() && stage.tile_axis >= 0 && stage.tile == stage.lanes;
      if (stage.lane_axis < outputs && !transposes) accesses.AddStores(stage.stores, points);
    }
    if (!stage.body.empty() && statistics->accumulators == 0) {
      statistics->accumulators = std::max(1, stage.tile);
      statistics->registers = statistics->accumulators + 2;
      statistics->loads_per_step = stage.tile + 1;
      statistics->fmas_per_step = stage.tile;
      statistics->vector_fraction = share;
    }
  }
  AddPieces(kernel.chunks, outer, statistics);
  if (statistics->leaf_calls == 0) statistics->input_parts = outer;
  if (kernel.halo.rows > 0 && nest.tensors[kernel.halo.tensor].place != NestTensor::Place::kChunk) {
    const NestTensor& image = nest.tensors[kernel.halo.tensor];
    const int64_t bytes = Product(image.dims).Constant() * DTypeBytes(image.dtype);
    statistics->halo_bytes +=
        static_cast<double>(kernel.halo.rows * bytes / image.dims[kernel.halo.dim].Constant());
  }
}

// Reduction steps: where a block of channels is not full, its last iteration makes fewer.
int64_t Steps(const ContractKernel& kernel) {
  const int64_t all = Points(kernel.k), inner = Extent(kernel.k.back());
  return kernel.k_tail == 0 ? all : all - all / (Extent(kernel.k.front()) * inner) * (inner - kernel.k_tail);
}

bool Mention(const std::vector<LoadIndex>& indices, const std::vector<Axis>& axes) {
  return std::any_of(indices.begin(), indices.end(), [&](const LoadIndex& index) {
    const DimExpr* expr = std::get_if<DimExpr>(&index);
    return expr != nullptr && std::any_of(axes.begin(), axes.end(),
                                          [&](const Axis& axis) { return expr->Mentions(axis.variable); });
  });
}

// Of all rows' reduction steps, where tiles skip taps. A tile counts as at least so many rows.
double ShareOfSteps(const ContractKernel& kernel, double least_rows) {
  if (!kernel.SkipsTaps()) return 1;
  double made = 0, all = 0;
  for (const RowTile& tile : kernel.tiles) {
    const RowPattern& pattern = kernel.patterns[static_cast<size_t>(tile.pattern)];
    const double rows = static_cast<double>(pattern.rows.size());
    double steps = std::max(rows, least_rows);
    all += rows;
    for (size_t loop = 0; loop < pattern.taps.size(); ++loop) {
      steps *= static_cast<double>(pattern.taps[loop].end - pattern.taps[loop].begin) /
               static_cast<double>(Extent(kernel.k[loop]));
    }
    made += steps;
  }
  return made / all;
}

void Add(const ContractKernel& kernel, const LoopNest& nest, const Target& target, NestStatistics* statistics) {
  const double batch = static_cast<double>(Points(kernel.batch));
  const double rows = static_cast<double>(Points(kernel.m)), k = static_cast<double>(Steps(kernel));
  const int64_t n = Extent(kernel.n), vectors = (n + kernel.lanes - 1) / kernel.lanes;
  const double panels = static_cast<double>((vectors + kernel.panel_vectors - 1) / kernel.panel_vectors);
  const double segments =
      static_cast<double>(Points({kernel.m.begin(), kernel.m.begin() + kernel.segment_axes}));
  const double tiles = segments * static_cast<double>(kernel.tiles.size());
  size_t mr = 0;
  for (const RowPattern& pattern : kernel.patterns) mr = std::max(mr, pattern.rows.size());
  const int rows_per_tile = static_cast<int>(mr), nv = kernel.panel_vectors;
  const double passes = kernel.k_chunk == 0 ? 1 : static_cast<double>((Extent(kernel.k.front()) + kernel.k_chunk - 1) /
                                                                      kernel.k_chunk);
  const double made = ShareOfSteps(kernel, 1);
  // Narrow bands have tiles of fewer accumulators than hide the latency, whatever the largest tile has.
  const double hiding = static_cast<double>(target.row->fma_latency * target.row->fma_per_cycle) / nv;
  const double waiting = ShareOfSteps(kernel, std::min(hiding, static_cast<double>(mr))) - made;
  statistics->flops += 2 * batch * rows * static_cast<double>(n) * k;
  const double filled = 2 * batch * rows * static_cast<double>(vectors * kernel.lanes) * k;
  statistics->executed_flops += filled * made;
  statistics->waiting_flops += filled * waiting;
  statistics->vector_fraction = Share(n, kernel.lanes);
  statistics->accumulators = rows_per_tile * nv;
  statistics->fmas_per_step = rows_per_tile * nv;
  const int broadcasts = kernel.hold == HeldSide::kNone ? rows_per_tile * nv : rows_per_tile;
  statistics->loads_per_step = nv + broadcasts;
  statistics->registers = statistics->accumulators + (kernel.hold == HeldSide::kNone ? 1
                                                      : kernel.hold == HeldSide::kA  ? rows_per_tile + 1
                                                                                     : nv + 1);
  statistics->leaf_calls += batch * tiles * panels * passes;
  statistics->steps_per_call = k / passes * made;
  const double block_rows = std::min(rows, static_cast<double>(kernel.tiles_per_block) * rows_per_tile);
  statistics->a_panel_bytes = block_rows * k / passes * 4;
  statistics->b_panel_bytes = k / passes * nv * kernel.lanes * 4 * made;
  statistics->a_reads = panels;
  statistics->b_reads = tiles / std::max(1, kernel.tiles_per_block);
  for (const Store& store : kernel.stores) {
    statistics->transcendental += batch * rows * static_cast<double>(n) * CostOf(store.value).transcendental;
  }
  ScatteredAccesses(nest, kernel.n, kernel.lanes, false, statistics)
      .AddStores(kernel.stores, batch * rows * static_cast<double>(n));
  const double row_parts = kernel.parallel_m ? std::ceil(tiles / std::max(1, kernel.tiles_per_block)) : 1;
  const double panel_parts = kernel.parallel_n ? panels : 1;
  statistics->input_parts = (Mention(kernel.a_indices, kernel.batch) ? batch : 1) * row_parts;
  statistics->constant_parts = (Mention(kernel.b_indices, kernel.batch) ? batch : 1) * panel_parts;
  // The last panel may be a narrower piece.
  const double wide_panels = kernel.parallel_n ? static_cast<double>(vectors) / nv : 1;
  AddPieces(kernel.chunks, batch * row_parts * wide_panels, statistics);
}

void Add(const WinogradKernel& kernel, const LoopNest& nest, const Target& target, NestStatistics* statistics) {
  const WinogradDim& rows = kernel.dims[0];
  const WinogradDim& columns = kernel.dims[1];
  const double groups = static_cast<double>(kernel.Groups());
  const double images = groups * static_cast<double>(Extent(kernel.image)),  // each with its own channels
      tiles = groups * static_cast<double>(kernel.Tiles());
  const double in = static_cast<double>(Extent(kernel.channel)), out = static_cast<double>(Extent(kernel.out_channel));
  const double points = static_cast<double>(rows.points) * columns.points;
  const double taps = static_cast<double>(rows.taps) * columns.taps, phases = kernel.Phases();
  const double nominal = 2 * images * static_cast<double>(Extent(rows.out) * Extent(columns.out)) * in * out * taps;
  // The leaf and its panels are those of the larger blocks; only the counts are of all tiles.
  const double before = statistics->flops;
  NestStatistics block = *statistics;
  Add(kernel.contracts.front(), nest, target, &block);
  const double passes = static_cast<double>(Extent(kernel.pass));
  const double blocks = passes * tiles / static_cast<double>(Points(kernel.contracts.front().m));
  const double used = static_cast<double>(rows.Products() * columns.Products()) / (points * phases);
  block.executed_flops = statistics->executed_flops + (block.executed_flops - statistics->executed_flops) * blocks * used;
  block.leaf_calls = statistics->leaf_calls + (block.leaf_calls - statistics->leaf_calls) * blocks;
  block.b_reads *= static_cast<double>(kernel.blocks);
  *statistics = block;
  statistics->flops = before + nominal;
  const double input_sums = rows.input.operations() * static_cast<double>(columns.points) +
                            columns.input.operations() * static_cast<double>(rows.points);
  const double output_sums = rows.output.operations() * static_cast<double>(columns.points) +
                             columns.output.operations() * static_cast<double>(rows.outputs);
  const double parts = static_cast<double>(kernel.parts);
  // Vectors cost the same however few of their lanes are filled.
  const auto filled = [&](int64_t channels, int lanes) {
    return static_cast<double>((channels + lanes - 1) / lanes * target.vector_width());
  };
  const double in_lanes =
      filled(kernel.InputChannels(), kernel.input_lanes) * phases / kernel.PhasesInLanes();
  statistics->transform_flops +=
      2 * tiles *
      (in_lanes * parts * input_sums + filled(Extent(kernel.out_channel), kernel.lanes) * output_sums);
  statistics->transform_bytes += 4 * tiles * points * 2 * (in * phases * parts + out);
  if (kernel.given >= 0) {  // for every block of tiles again
    const double kernels = static_cast<double>(kernel.Units()) / parts * in *
                           filled(Extent(kernel.out_channel), kernel.contracts.front().lanes);
    const double kernel_sums =
        rows.kernel.operations() * static_cast<double>(columns.taps) +
        columns.kernel.operations() * points / columns.points * static_cast<double>(rows.Phases());
    statistics->transform_flops += 2 * kernels * kernel_sums;
    statistics->copy_bytes += 8 * kernels * points * phases;  // point by point: half as fast
  }
  statistics->transform_footprint = static_cast<double>(kernel.chunk_bytes);
  if (kernel.interleaved >= 0) {   // for every block again
    const NestTensor& strip = nest.tensors[static_cast<size_t>(kernel.interleaved)];
    statistics->transform_bytes += 8 * static_cast<double>(kernel.Units() * strip.layout.Elements(strip.dims).Constant());
  }
  for (const Store& store : kernel.stores) {
    statistics->transcendental += images * static_cast<double>(Extent(rows.out) * Extent(columns.out)) * out *
                                  CostOf(store.value).transcendental;
  }
  ScatteredAccesses(nest, kernel.out_channel, kernel.lanes, false, statistics)
      .AddStores(kernel.stores, images * static_cast<double>(Extent(rows.out) * Extent(columns.out)) * out);
  statistics->input_parts = groups * static_cast<double>(kernel.parts == 1 ? kernel.blocks : 1);
  statistics->constant_parts = groups * parts;
  AddPieces(kernel.chunks, static_cast<double>(kernel.Units()), statistics);
}

// The share of a part's rows that are computed again: by chunks, or by every strip.
double RepeatedShare(const StripKernel& kernel, const StripKernel::Part& part) {
  if ((kernel.chunks <= 1 && !part.anew) || kernel.strips < 2) return 0;
  const auto at = [&](const DimExpr& expr, int64_t strip) {
    return expr.Substitute({{kernel.strip, DimExpr(strip)}}).Constant();
  };
  const int64_t middle = kernel.strips / 2;
  const int64_t shared = std::max<int64_t>(0, at(part.end, middle - 1) - at(part.begin, middle));
  const int64_t times = part.anew ? kernel.Units() : kernel.chunks;
  return static_cast<double>((times - 1) * shared) / static_cast<double>(kernel.images * part.units);
}

// The leaf is that of the costliest part. Strips that share nothing are kernels one after the other.
void Add(const StripKernel& kernel, const LoopNest& nest, const Target& target, NestStatistics* statistics) {
  if (kernel.rows == 0) {
    for (const StripKernel::Part& part : kernel.parts) {
      std::visit([&](const auto& k) { Add(k, nest, target, statistics); }, part.kernel);
    }
    AddPieces(kernel.chunks, static_cast<double>(kernel.strips), statistics);
    return;
  }
  NestStatistics sum, costliest;
  for (const StripKernel::Part& part : kernel.parts) {
    NestStatistics own;
    std::visit([&](const auto& k) { Add(k, nest, target, &own); }, part.kernel);
    const double repeated = 1 + RepeatedShare(kernel, part);
    own.executed_flops *= repeated;
    sum.flops += own.flops;
    sum.executed_flops += own.executed_flops;
    sum.leaf_calls += own.leaf_calls;
    sum.halo_bytes += own.halo_bytes;
    sum.transcendental += own.transcendental;
    if (own.executed_flops > costliest.executed_flops) costliest = own;
    sum.parts.push_back(own);
    const auto stored = [](const auto& k) {
      if constexpr (std::is_same_v<std::decay_t<decltype(k)>, StageKernel>) return k.stages[0].stores[0].tensor;
      else return k.stores[0].tensor;
    };
    const NestTensor& result = nest.tensors[static_cast<size_t>(std::visit(stored, part.kernel))];
    if (result.place != NestTensor::Place::kChunk) {
      sum.copy_bytes += own.copy_bytes;
      continue;
    }
    const double row = static_cast<double>(result.bytes) / static_cast<double>(result.dims[2].Constant());
    sum.strip_bytes += 2 * row * repeated * static_cast<double>(kernel.images * part.rows);
  }
  *statistics = costliest;
  statistics->parts = std::move(sum.parts);
  statistics->flops = sum.flops;
  statistics->executed_flops = sum.executed_flops;
  statistics->leaf_calls = sum.leaf_calls;
  statistics->halo_bytes = sum.halo_bytes;
  statistics->copy_bytes = sum.copy_bytes;
  statistics->transcendental = sum.transcendental;
  statistics->strip_bytes = sum.strip_bytes;
  statistics->strip_footprint = static_cast<double>(kernel.chunk_bytes);
  statistics->a_reads = statistics->b_reads = 1;
  statistics->input_parts = static_cast<double>(kernel.Units());
  statistics->constant_parts = 1;
  AddPieces(kernel.chunks, statistics->input_parts, statistics);
}

}  // namespace

NestStatistics StatisticsOf(const LoopNest& nest, const Target& target) {
  NestStatistics statistics;
  for (const Kernel& kernel : nest.kernels) {
    std::visit([&](const auto& k) { Add(k, nest, target, &statistics); }, kernel);
  }
  const int constants = static_cast<int>(nest.constants.size());
  std::vector<bool> stored(nest.tensors.size(), false);
  const auto mark = [&](const std::vector<Store>& stores) {
    for (const Store& store : stores) stored[store.tensor] = true;
  };
  for (const Kernel& kernel : nest.kernels) {
    if (const auto* contract = std::get_if<ContractKernel>(&kernel)) mark(contract->stores);
    if (const auto* winograd = std::get_if<WinogradKernel>(&kernel)) mark(winograd->stores);
    const auto mark_stages = [&](const StageKernel& stages) {
      for (const StageLoops& stage : stages.stages) mark(stage.stores);
    };
    if (const auto* stages = std::get_if<StageKernel>(&kernel)) mark_stages(*stages);
    if (const auto* strips = std::get_if<StripKernel>(&kernel)) {
      for (const StripKernel::Part& part : strips->parts) {
        if (const auto* contract = std::get_if<ContractKernel>(&part.kernel)) mark(contract->stores);
        if (const auto* stages = std::get_if<StageKernel>(&part.kernel)) mark_stages(*stages);
      }
    }
  }
  int first_constant = nest.arguments;
  for (size_t t = 0; t < nest.tensors.size(); ++t) {
    if (nest.tensors[t].place == NestTensor::Place::kArgument && stored[t]) {
      first_constant = std::min(first_constant, nest.tensors[t].argument - constants);
    }
  }
  for (size_t t = 0; t < nest.tensors.size(); ++t) {
    const NestTensor& tensor = nest.tensors[t];
    if (tensor.place != NestTensor::Place::kArgument) continue;
    const double bytes = static_cast<double>(tensor.bytes);
    if (stored[t]) {
      statistics.output_bytes += bytes;
    } else if (tensor.argument < first_constant) {
      statistics.input_bytes += bytes;
    } else {
      statistics.constant_bytes += bytes;
    }
  }
  statistics.scratch_bytes = static_cast<double>(nest.scratch_bytes);
  return statistics;
}

}  // namespace hone
