#include "compiler/schedule/nest_statistics.h"

#include <algorithm>

#include "compiler/schedule/contract_view.h"

namespace hone {
namespace {

double Share(int64_t extent, int64_t step) {
  const int64_t steps = (extent + step - 1) / step;
  return static_cast<double>(extent) / static_cast<double>(steps * step);
}

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
    if (!stage.body.empty() && statistics->accumulators == 0) {
      statistics->accumulators = std::max(1, stage.tile);
      statistics->registers = statistics->accumulators + 2;
      statistics->loads_per_step = 2 * stage.tile;
      statistics->fmas_per_step = stage.tile;
      statistics->vector_fraction = share;
    }
  }
  statistics->parallel_chunks = std::max(statistics->parallel_chunks, static_cast<double>(kernel.chunks));
}

void Add(const ContractKernel& kernel, const LoopNest& nest, const Target& target, NestStatistics* statistics) {
  const double batch = static_cast<double>(Points(kernel.batch));
  const double rows = static_cast<double>(Points(kernel.m)), k = static_cast<double>(Points(kernel.k));
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
  statistics->flops += 2 * batch * rows * static_cast<double>(n) * k;
  statistics->executed_flops += 2 * batch * rows * static_cast<double>(vectors * kernel.lanes) * k;
  statistics->vector_fraction = Share(n, kernel.lanes);
  statistics->accumulators = rows_per_tile * nv;
  statistics->fmas_per_step = rows_per_tile * nv;
  const int broadcasts = kernel.hold == HeldSide::kNone ? rows_per_tile * nv : rows_per_tile;
  statistics->loads_per_step = nv + broadcasts;
  statistics->registers = statistics->accumulators + (kernel.hold == HeldSide::kNone ? 1
                                                      : kernel.hold == HeldSide::kA  ? rows_per_tile + 1
                                                                                     : nv + 1);
  statistics->leaf_calls += batch * tiles * panels * passes;
  statistics->steps_per_call = k / passes;
  const double block_rows = std::min(rows, static_cast<double>(kernel.tiles_per_block) * rows_per_tile);
  statistics->a_panel_bytes = block_rows * k / passes * 4;
  statistics->b_panel_bytes = k / passes * nv * kernel.lanes * 4;
  statistics->a_reads = panels;
  statistics->b_reads = tiles / std::max(1, kernel.tiles_per_block);
  for (const Store& store : kernel.stores) {
    statistics->transcendental += batch * rows * static_cast<double>(n) * CostOf(store.value).transcendental;
  }
  statistics->parallel_chunks = std::max(statistics->parallel_chunks, static_cast<double>(kernel.chunks));
}

void Add(const WinogradKernel& kernel, const LoopNest& nest, const Target& target, NestStatistics* statistics) {
  const WinogradDim& rows = kernel.dims[0];
  const WinogradDim& columns = kernel.dims[1];
  const double images = static_cast<double>(Extent(kernel.image)), tiles = static_cast<double>(kernel.Tiles());
  const double in = static_cast<double>(Extent(kernel.channel)), out = static_cast<double>(Extent(kernel.out_channel));
  const double points = static_cast<double>(rows.points) * columns.points;
  const double taps = static_cast<double>(rows.taps) * columns.taps, phases = kernel.Phases();
  const double nominal = 2 * images * static_cast<double>(Extent(rows.out) * Extent(columns.out)) * in * out * taps;
  // The leaf and its panels are those of the larger blocks; only the counts are of all tiles.
  const double before = statistics->flops;
  NestStatistics block = *statistics;
  Add(kernel.contracts.front(), nest, target, &block);
  const double share = 1 - 0.5 * (static_cast<double>(kernel.contracts.size()) - 1) / static_cast<double>(kernel.blocks);
  const double blocks = static_cast<double>(kernel.blocks) * share;
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
  statistics->transform_flops += 2 * tiles * (in * phases * parts * input_sums + out * output_sums);
  statistics->transform_bytes += 4 * tiles * points * 2 * (in * phases * parts + out);
  if (kernel.interleaved >= 0) {   // for every block again
    const NestTensor& strip = nest.tensors[static_cast<size_t>(kernel.interleaved)];
    statistics->transform_bytes += 8 * static_cast<double>(kernel.Units() * strip.layout.Elements(strip.dims).Constant());
  }
  for (const Store& store : kernel.stores) {
    statistics->transcendental += images * static_cast<double>(Extent(rows.out) * Extent(columns.out)) * out *
                                  CostOf(store.value).transcendental;
  }
  statistics->parallel_chunks = std::max(statistics->parallel_chunks, static_cast<double>(kernel.chunks));
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
    if (const auto* stages = std::get_if<StageKernel>(&kernel)) {
      for (const StageLoops& stage : stages->stages) mark(stage.stores);
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
