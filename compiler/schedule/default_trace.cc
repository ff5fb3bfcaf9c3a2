#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "compiler/schedule/contract_schedule.h"
#include "compiler/schedule/stage_schedule.h"

// Schedules that are good without search.
namespace hone {
namespace {

constexpr int64_t kShortRows = 16;   // longer ones have too many ways of being crossed
constexpr int64_t kStripRows = 8;    // more gain nothing: what the stages hand on leaves the nearer caches
constexpr int64_t kWinogradTiles[] = {9, 16, 20, 28, 40, 49};   // that a block transforms and multiplies together

// The choices for the products of one block of tiles: few rows, many of them at once.
std::vector<ContractChoice> ProductChoices(const Anchor& anchor, int64_t tiles, const Target& target, int threads) {
  Anchor products = anchor;
  products.m = tiles;
  products.row = 1;
  products.k = anchor.k / (anchor.taps[0] * anchor.taps[1]);
  std::vector<ContractChoice> choices;
  for (const int64_t vectors : {1, 2, 3}) {
    products.n = std::min(anchor.n, vectors * target.vector_width());
    ContractChoice choice = DefaultContractChoice(products, target, threads);
    const int64_t rows = (tiles + choice.mr - 1) / choice.mr;
    choice.mr = static_cast<int>((tiles + rows - 1) / rows);
    choice.panels_outer = true;
    choice.tiles_per_block = 0;
    choice.parallel_m = true;
    choice.parallel_n = false;
    choices.push_back(choice);
    std::swap(choice.parallel_m, choice.parallel_n);
    if (threads > 1) choices.push_back(choice);
  }
  return choices;
}

// The schedule, if it is legal, of `choice` under another algorithm.
void AddTrace(const Task& task, const TensorProgram& program, const std::string& algorithm, const ContractChoice& choice,
              std::vector<Trace>* traces) {
  const std::string text = absl::StrReplaceAll(ContractTrace(choice).ToString(), {{"algorithm direct;", algorithm + ";"}});
  Trace trace = *Trace::Parse(text);
  if (std::holds_alternative<Scheduled>(Schedule(task, program, trace))) traces->push_back(std::move(trace));
}

std::string LeafOf(const Anchor& part, const Target& target) {
  const int lanes = target.vector_width();
  if (part.kind == AnchorKind::kContract) return ContractLeafText(DefaultContractChoice(part, target, 1));
  if (part.kind == AnchorKind::kWindow) return absl::StrCat("leaf window tile=", WindowTile(part.tile_extent, target), " vw=", lanes);
  return absl::StrCat("leaf map unroll=1 vw=", lanes);
}

int64_t ChunkBytes(const Scheduled& scheduled) { return std::get<StripKernel>(scheduled.nest.kernels.front()).chunk_bytes; }

// The highest strips that stay in the second-level cache beside what they are made from.
std::optional<Trace> DefaultStrips(const Task& task, const TensorProgram& program, const Anchor& anchor) {
  std::optional<Trace> best;
  for (Trace& trace : StripTraces(task, anchor)) {   // lowest first
    const auto scheduled = Schedule(task, program, trace);
    if (!std::holds_alternative<Scheduled>(scheduled)) continue;
    if (best && LeavesL2(ChunkBytes(std::get<Scheduled>(scheduled)), task.target)) break;
    best = std::move(trace);
  }
  return best;
}

}  // namespace

Trace ReferenceTrace() { return *Trace::Parse("trace 1; algorithm direct; leaf generic"); }

Trace DefaultTrace(const Task& task, const TensorProgram& program) {
  std::vector<Trace> candidates;
  const absl::StatusOr<Anchor> anchor = FindAnchor(program);
  const int lanes = task.target.vector_width();
  const auto stage_trace = [&](const char* leaf, const char* key, int value) {
    return *Trace::Parse(absl::StrCat("trace 1; algorithm direct; leaf ", leaf, " ", key, "=", value, " vw=", lanes,
                                      "; parallel outer"));
  };
  const auto add = [&](ContractChoice choice) {
    candidates.push_back(ContractTrace(choice));
    if (std::exchange(choice.k_steps, 0) > 0) candidates.push_back(ContractTrace(choice));   // where passes are not possible
  };
  if (anchor.ok()) {
    if (anchor->kind == AnchorKind::kStrip) {
      if (std::optional<Trace> strips = DefaultStrips(task, program, *anchor)) return *std::move(strips);
    }
    if (anchor->kind == AnchorKind::kContract) {
      const ContractChoice choice = DefaultContractChoice(*anchor, task.target, task.threads);
      const int hiding = 3 * task.target.row->fma_latency * task.target.row->fma_per_cycle / 2;
      if (anchor->row > 1 && anchor->row <= kShortRows && choice.mr * choice.nv < hiding) {
        // Short image rows leave too few accumulators to hide the latency: tiles that cross them stay full.
        Anchor flat = *anchor;
        flat.row = 1;
        ContractChoice crossing = DefaultContractChoice(flat, task.target, task.threads);
        crossing.rows = RowTiles::kTable;
        if (crossing.mr > choice.mr) add(crossing);
      }
      add(choice);
    }
    if (anchor->kind == AnchorKind::kWindow || anchor->kind == AnchorKind::kContract) {
      candidates.push_back(stage_trace("window", "tile", WindowTile(anchor->tile_extent, task.target)));
    }
    if (anchor->kind == AnchorKind::kRow) candidates.push_back(stage_trace("row", "unroll", 4));
    candidates.push_back(stage_trace("map", "unroll", 1));
  }
  for (const Trace& trace : candidates) {
    if (std::holds_alternative<Scheduled>(Schedule(task, program, trace))) return trace;
  }
  return ReferenceTrace();
}

std::vector<Trace> StripTraces(const Task& task, const Anchor& anchor) {
  std::vector<Trace> traces;
  std::string leaves;
  const std::vector<Anchor> one = {anchor};
  for (const Anchor& part : anchor.parts.empty() ? one : anchor.parts)
    absl::StrAppend(&leaves, "; ", LeafOf(part, task.target));
  for (int64_t rows = 1; rows <= std::min(kStripRows, anchor.rows); ++rows) {
    if (anchor.rows % rows != 0) continue;
    traces.push_back(*Trace::Parse(absl::StrCat("trace 1; algorithm direct; strip ", rows, leaves)));
  }
  return traces;
}

std::vector<int64_t> WinogradSizes(const Anchor& anchor) {
  std::vector<int64_t> sizes;
  const int64_t taps = std::max(anchor.LongestPhase(0), anchor.LongestPhase(1));
  const int64_t extent = std::max(anchor.tiled[0], anchor.tiled[1]);
  for (int64_t m = 2; m + taps - 1 <= kMostWinogradPoints && m < extent + 2; ++m) {
    if (m != 3 || taps != 3) sizes.push_back(m);
  }
  return sizes;
}

std::vector<Trace> WinogradTraces(const Task& task, const TensorProgram& program) {
  std::vector<Trace> traces;
  const absl::StatusOr<Anchor> anchor = FindAnchor(program);
  if (!anchor.ok() || !anchor->winograd() || task.policy == AlgorithmPolicy::kExact) return traces;
  // Where they are larger than what lies near, kernels may be transformed only when they are used.
  std::vector<const char*> kernels = {""};
  if (LeavesL2(anchor->n * anchor->k * DTypeBytes(DType::kF32), task.target))
    kernels.push_back(" kernels=given");
  for (const int64_t m : WinogradSizes(*anchor)) {
    int64_t all = 1;
    for (int d = 0; d < 2; ++d) all *= (anchor->tiled[d] + m - 1) / m * anchor->dilation[d];
    std::set<int64_t> blocks;
    for (const int64_t tiles : kWinogradTiles) blocks.insert(std::min(tiles, all));
    for (const int64_t tiles : blocks) {
      for (const ContractChoice& choice : ProductChoices(*anchor, tiles, task.target, task.threads)) {
        for (const char* option : kernels) {
          AddTrace(task, program, absl::StrCat("algorithm winograd m=", m, " tiles=", tiles, option), choice,
                   &traces);
        }
      }
    }
  }
  return traces;
}

std::vector<Trace> DirectTraces(const Task& task, const TensorProgram& program) {
  std::vector<Trace> traces;
  const absl::StatusOr<Anchor> anchor = FindAnchor(program);
  if (!anchor.ok() || anchor->kind != AnchorKind::kContract) return traces;
  Anchor narrow = *anchor;
  const bool crosses = anchor->row > 1 && anchor->row <= kShortRows;
  if (task.threads == 1 && !crosses) return traces;
  if (crosses) narrow.row = 1;
  for (const int64_t vectors : {1, 2, 3}) {
    narrow.n = std::min(anchor->n, vectors * task.target.vector_width());
    ContractChoice choice = DefaultContractChoice(narrow, task.target, 1);
    if (crosses) choice.rows = RowTiles::kTable;
    AddTrace(task, program, "algorithm direct", choice, &traces);
    std::swap(choice.parallel_m, choice.parallel_n);
    choice.panels_outer = true;
    choice.tiles_per_block = 0;
    AddTrace(task, program, "algorithm direct", choice, &traces);
  }
  return traces;
}

std::vector<Trace> BandTraces(const Task& task, const TensorProgram& program) {
  std::vector<Trace> traces;
  const absl::StatusOr<Anchor> anchor = FindAnchor(program);
  if (!anchor.ok() || !anchor->bands()) return traces;
  Anchor flat = *anchor;
  flat.row = 1;
  ContractChoice choice = DefaultContractChoice(flat, task.target, task.threads);
  choice.rows = RowTiles::kBands;
  for (const int64_t steps : std::set<int64_t>{choice.k_steps, 0}) {
    choice.k_steps = steps;
    AddTrace(task, program, "algorithm direct", choice, &traces);
    ContractChoice outer = choice;
    outer.panels_outer = true;
    outer.tiles_per_block = 0;
    AddTrace(task, program, "algorithm direct", outer, &traces);
    if (task.threads == 1) continue;
    outer.parallel_n = true;
    outer.parallel_m = false;
    AddTrace(task, program, "algorithm direct", outer, &traces);
  }
  return traces;
}

std::vector<Trace> StrassenTraces(const Task& task, const TensorProgram& program) {
  std::vector<Trace> traces;
  const absl::StatusOr<Anchor> anchor = FindAnchor(program);
  if (!anchor.ok() || !anchor->strassen() || task.policy == AlgorithmPolicy::kExact) return traces;
  Anchor half = *anchor;  // of a product
  for (int64_t* extent : {&half.m, &half.n, &half.k}) *extent = (*extent + 1) / 2;
  ContractChoice choice = DefaultContractChoice(half, task.target, 1);
  choice.k_steps = 0;
  AddTrace(task, program, "algorithm strassen levels=1", choice, &traces);
  std::swap(choice.parallel_m, choice.parallel_n);
  if (task.threads > 1) AddTrace(task, program, "algorithm strassen levels=1", choice, &traces);
  return traces;
}

}  // namespace hone
