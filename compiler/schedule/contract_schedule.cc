#include "compiler/schedule/contract_schedule.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "compiler/schedule/tap_bands.h"

namespace hone {
namespace {

constexpr size_t kMaxPatterns = 24;  // each is a body of its own
constexpr int64_t kChunksPerThread = 4;
constexpr int kMaxUnroll = 8;
constexpr const char* kRowTiles[] = {"affine", "table", "bands"};
constexpr int64_t kLeastSteps = 256;          // of a pass: shorter ones load and store their sums too often
constexpr int64_t kPrefetchBytes = 16384;     // what one row tile reads is too short a stream for the hardware to run ahead

// A panel waits in the second-level cache for its uses beside the next one, which is under way, and operand a.
int64_t MostPanelBytes(const Target& target) { return target.row->l2_bytes / 3; }
// What is asked for there goes first when room is needed: the sooner it is used the better.
int64_t BestPanelBytes(const Target& target) { return target.row->l2_bytes / 8; }

// How an element offset moves along each m axis; nullopt: not by a constant stride.
using RowStrides = std::vector<std::optional<int64_t>>;

class ContractScheduler {
 public:
  ContractScheduler(const StageLoops& stage, const ContractView& view, const ContractChoice& choice,
                    const Target& target, int threads, const std::vector<NestTensor>& tensors)
      : stage_(stage), view_(view), choice_(choice), target_(target), threads_(threads), tensors_(tensors) {}

  std::variant<ContractPlan, Rejection> Run() {
    if (const auto rejection = CheckRegisters()) return *rejection;
    SetAxes();
    if (!SplitReduction() || !FindStrides()) return Rejection::kNotLowered;
    if (choice_.rows == RowTiles::kBands) {
      if (!CutBands()) return Rejection::kNotLowered;
    } else {
      CutRows();
    }
    if (!TilesHaveStrides()) return Rejection::kNotLowered;
    if (kernel_.patterns.size() > kMaxPatterns) return Rejection::kTooManyPatterns;
    if (!CutPasses()) return Rejection::kBadTile;
    SetOrder();
    if (StartsWithinPanel()) return Rejection::kBadTile;
    std::optional<Layout> b_layout = PackedLayout();
    if (!b_layout) return Rejection::kNotLowered;
    const NestTensor &a = tensors_[kernel_.a], &b = tensors_[kernel_.b];
    const auto leaves_l2 = [&](const NestTensor& tensor, const Layout& layout) {
      return LeavesL2(layout.Elements(tensor.dims).Constant() * DTypeBytes(tensor.dtype), target_);
    };
    if (leaves_l2(b, *b_layout)) kernel_.prefetch = PrefetchOfPanels();
    // A tile's lines of one block of channels lie together, those of the next block far away: no stream for the hardware.
    const bool blocks = kernel_.k.size() == 2 && k_strides_.back() == 1 && Extent(kernel_.k.back()) == choice_.lanes;
    kernel_.prefetch_rows = blocks && leaves_l2(a, a.layout);
    return ContractPlan{std::move(kernel_), *std::move(b_layout)};
  }

 private:
  // accumulators + held + streamed <= registers (the design's register rule).
  std::optional<Rejection> CheckRegisters() const {
    const std::vector<int>& widths = target_.row->vector_widths;
    if (std::find(widths.begin(), widths.end(), choice_.lanes) == widths.end()) return Rejection::kWidthNotOfTarget;
    const int64_t rows = RowCount(), vectors = VectorCount();
    if (choice_.mr < 1 || choice_.nv < 1 || choice_.mr > rows || choice_.nv > vectors) return Rejection::kBadTile;
    if (choice_.unroll < 1 || choice_.unroll > kMaxUnroll) return Rejection::kBadTile;
    if (choice_.hold == HeldSide::kNone && !target_.row->folds_broadcast) return Rejection::kWrongLeaf;
    if (RegistersOf(choice_, target_) > target_.row->vector_registers) return Rejection::kTooManyRegisters;
    const int wanted = target_.row->fma_latency * target_.row->fma_per_cycle;
    if (choice_.mr * choice_.nv < wanted / 2 && rows * vectors >= 2 * wanted) return Rejection::kTooFewAccumulators;
    return std::nullopt;
  }

  int64_t RowCount() const {
    int64_t rows = 1;
    for (const int axis : view_.m) rows *= Extent(stage_.axes[axis]);
    return rows;
  }
  int64_t VectorCount() const {
    return (Extent(stage_.axes[view_.n]) + choice_.lanes - 1) / choice_.lanes;
  }

  void SetAxes() {
    for (const int axis : view_.batch) kernel_.batch.push_back(stage_.axes[axis]);
    for (const int axis : view_.m) kernel_.m.push_back(stage_.axes[axis]);
    kernel_.n = stage_.axes[view_.n];
    kernel_.a = view_.a;
    kernel_.b = view_.b;
    kernel_.a_indices = view_.a_indices;
    kernel_.b_indices = view_.b_indices;
    kernel_.lanes = choice_.lanes;
    kernel_.panel_vectors = choice_.nv;
    kernel_.hold = choice_.hold;
    kernel_.unroll = choice_.unroll;
    kernel_.stores = stage_.stores;
  }

  // The block in which operand a stores a reduction axis; 1 if it does not split it.
  int64_t BlockOf(const Axis& axis) const {
    const NestTensor& a = tensors_[view_.a];
    for (size_t d = 0; d < view_.a_indices.size(); ++d) {
      const int64_t block = a.layout.BlockOf(static_cast<int>(d));
      DimExpr first;
      const auto steps = std::get<DimExpr>(view_.a_indices[d]).AffineCoefficient(axis.variable, &first);
      if (steps == 1 && first.Divisor() % block == 0) return block;
    }
    return 1;
  }

  // Reduction loops: blocks of channels outermost, the window, the channels of a block innermost.
  bool SplitReduction() {
    std::vector<Axis> outer, middle, inner;
    for (const Axis& axis : stage_.reduce) {
      const int64_t extent = Extent(axis), block = BlockOf(axis);
      if (extent == 1) {
        kernel_.k_axes.emplace_back(axis.variable, DimExpr(0));
      } else if (block > 1) {
        const int64_t blocks_of_axis = (extent + block - 1) / block, tail = extent % block;
        if (tail != 0 && std::exchange(kernel_.k_tail, tail) != 0) return false;
        const bool loops = blocks_of_axis > 1 || tail != 0;
        const SymbolRef o = MakeSymbol(axis.variable->name + "_block", 0, blocks_of_axis - 1);
        const SymbolRef i = MakeSymbol(axis.variable->name + "_in", 0, block - 1);
        if (loops) outer.push_back({o, DimExpr(blocks_of_axis)});
        inner.push_back({i, DimExpr(block)});
        const DimExpr blocks = loops ? DimExpr(block) * DimExpr(o) : DimExpr(0);
        kernel_.k_axes.emplace_back(axis.variable, blocks + DimExpr(i));
        blocks_[axis.variable] = block;
      } else {
        middle.push_back(axis);
      }
    }
    for (const std::vector<Axis>* part : {&outer, &middle, &inner}) {
      kernel_.k.insert(kernel_.k.end(), part->begin(), part->end());
    }
    // A tail needs its blocks outermost and their insides innermost.
    return !kernel_.k.empty() && (kernel_.k_tail == 0 || (outer.size() == 1 && inner.size() == 1));
  }

  // Operand a's, in terms of the reduction loops.
  std::vector<DimExpr> AIndices() const {
    std::vector<DimExpr> indices;
    const std::map<SymbolRef, DimExpr> k(kernel_.k_axes.begin(), kernel_.k_axes.end());
    for (const LoadIndex& index : view_.a_indices) indices.push_back(std::get<DimExpr>(index).Substitute(k));
    return indices;
  }
  DimExpr AOffset() const { return tensors_[view_.a].Offset(AIndices()); }

  RowStrides StridesOf(const DimExpr& offset) const {
    RowStrides strides;
    for (const Axis& axis : kernel_.m) strides.push_back(Extent(axis) == 1 ? 0 : LaneStride(offset, axis.variable));
    return strides;
  }

  bool FindStrides() {
    const DimExpr offset = AOffset();
    for (const Axis& axis : kernel_.k) {
      const std::optional<int64_t> stride = LaneStride(offset, axis.variable);
      if (!stride) return false;
      k_strides_.push_back(*stride);
    }
    strides_.push_back(StridesOf(offset));
    const auto add = [&](ProgramTensorId tensor, const std::vector<LoadIndex>& indices) {
      std::vector<DimExpr> exprs;
      for (const LoadIndex& index : indices) {
        if (!std::holds_alternative<DimExpr>(index)) return strides_.push_back(RowStrides(kernel_.m.size()));
        exprs.push_back(std::get<DimExpr>(index));
      }
      strides_.push_back(StridesOf(tensors_[tensor].Offset(std::move(exprs))));
    };
    for (const Store& store : stage_.stores) {
      add(store.tensor, store.indices);
      ForEachLoad(store.value, [&](const Scalar& load) { add(load.tensor, load.indices); });
    }
    return true;
  }

  // Whether stepping over the end of m axis `inner` is the same constant stride in every access.
  bool Merges(int inner) const {
    return std::all_of(strides_.begin(), strides_.end(), [&](const RowStrides& strides) {
      const std::optional<int64_t>&outside = strides[inner - 1], &inside = strides[inner];
      return outside && inside && *outside == Extent(kernel_.m[inner]) * *inside;
    });
  }

  // Rows of a tile differ by constants in operand a.
  bool TilesHaveStrides() const {
    return std::all_of(strides_[0].begin() + kernel_.segment_axes, strides_[0].end(),
                       [](const std::optional<int64_t>& stride) { return stride.has_value(); });
  }

  bool CutBands() {
    const auto bands = CutIntoBands(kernel_.m, kernel_.k, AIndices(), tensors_[view_.a].dims, choice_.mr);
    if (!bands) return false;
    const size_t row = kernel_.m.size() - 2;
    kernel_.segment_axes = static_cast<int>(row);
    for (const TapBand& band : *bands) {
      std::map<std::pair<int64_t, int64_t>, int> known;  // rows, columns -> pattern
      for (const LoopRange& rows : band.rows) {
        for (const LoopRange& columns : band.columns) {
          const auto [entry, added] =
              known.emplace(std::pair(rows.end - rows.begin, columns.end - columns.begin), 0);
          if (added) entry->second = PatternNumber(Rectangle(rows, columns), band.taps);
          kernel_.tiles.push_back({entry->second, rows.begin * Extent(kernel_.m[row + 1]) + columns.begin});
        }
      }
    }
    // Bands side by side take turns: what is near in the image is near in time.
    std::sort(kernel_.tiles.begin(), kernel_.tiles.end(),
              [](const RowTile& a, const RowTile& b) { return a.first < b.first; });
    return true;
  }

  std::vector<std::vector<int64_t>> Rectangle(const LoopRange& rows, const LoopRange& columns) const {
    std::vector<std::vector<int64_t>> points;
    for (int64_t row = rows.begin; row < rows.end; ++row) {
      for (int64_t column = columns.begin; column < columns.end; ++column) {
        points.emplace_back(kernel_.m.size() - 2, 0);
        points.back().insert(points.back().end(), {row, column});
      }
    }
    return points;
  }

  void CutRows() {
    const int axes = static_cast<int>(kernel_.m.size());
    int first = std::max(0, axes - 1);
    if (choice_.rows == RowTiles::kTable) {
      first = std::max(0, axes - 2);
    } else if (choice_.rows == RowTiles::kAffine) {
      while (first > 0 && (Extent(kernel_.m[first - 1]) == 1 || Extent(kernel_.m[first]) == 1 || Merges(first))) {
        --first;
      }
    }
    kernel_.segment_axes = first;
    const int64_t rows = Points({kernel_.m.begin() + first, kernel_.m.end()});
    const int64_t count = (rows + choice_.mr - 1) / choice_.mr;
    const int64_t size = rows / count, longer = rows % count;   // near-equal tiles
    std::map<std::pair<int64_t, int64_t>, int> known;           // (start within an image row, rows) -> pattern
    const int64_t row_length = axes > 0 ? Extent(kernel_.m.back()) : 1;
    int64_t start = 0;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t length = size + (i < longer ? 1 : 0);
      const auto [entry, added] = known.emplace(std::pair(start % row_length, length), 0);
      if (added) {
        std::vector<std::vector<int64_t>> points;
        for (int64_t row = start; row < start + length; ++row) points.push_back(Coordinates(row));
        entry->second = PatternNumber(points, {});
      }
      kernel_.tiles.push_back({entry->second, start});
      start += length;
    }
  }

  std::vector<int64_t> Coordinates(int64_t row) const {
    std::vector<int64_t> coordinates(kernel_.m.size(), 0);
    for (int axis = static_cast<int>(kernel_.m.size()) - 1; axis >= kernel_.segment_axes; --axis) {
      coordinates[axis] = row % Extent(kernel_.m[axis]);
      row /= Extent(kernel_.m[axis]);
    }
    return coordinates;
  }

  // Patterns that give the same address differences everywhere are one.
  int PatternNumber(const std::vector<std::vector<int64_t>>& points, const std::vector<LoopRange>& taps) {
    RowPattern pattern{.taps = taps};
    std::vector<int64_t> key = {static_cast<int64_t>(points.size())};
    for (const LoopRange& range : taps) key.insert(key.end(), {range.begin, range.end});
    const std::vector<int64_t>& origin = points.front();
    for (const std::vector<int64_t>& coordinates : points) {
      std::vector<int> delta;
      for (size_t axis = 0; axis < origin.size(); ++axis) {
        delta.push_back(static_cast<int>(coordinates[axis] - origin[axis]));
      }
      for (const RowStrides& strides : strides_) {
        int64_t difference = 0;
        for (size_t axis = 0; axis < origin.size(); ++axis) {
          if (!strides[axis]) key.push_back(delta[axis]);
          difference += delta[axis] * strides[axis].value_or(0);
        }
        key.push_back(difference);
      }
      pattern.rows.push_back(std::move(delta));
    }
    const auto [entry, added] = pattern_keys_.emplace(std::move(key), static_cast<int>(kernel_.patterns.size()));
    if (added) {
      NoteOverlap(pattern);
      kernel_.patterns.push_back(std::move(pattern));
    }
    return entry->second;
  }

  // Unrolled steps whose rows meet each other's elements would be merged into registers (codegen.md, pitfall 3).
  void NoteOverlap(const RowPattern& pattern) {
    std::set<int64_t> offsets;
    for (const std::vector<int>& delta : pattern.rows) {
      int64_t offset = 0;
      for (size_t axis = 0; axis < delta.size(); ++axis) offset += delta[axis] * strides_[0][axis].value_or(0);
      offsets.insert(offset);
    }
    for (int step = 1; step < choice_.unroll; ++step) {
      for (const int64_t offset : offsets) {
        kernel_.fence = kernel_.fence || offsets.contains(offset + step * k_strides_.back());
      }
    }
  }

  bool CutPasses() {
    if (choice_.k_steps <= 0) return true;
    const int64_t inner = Points({kernel_.k.begin() + 1, kernel_.k.end()});
    const int64_t per_pass = choice_.k_steps / inner, whole = Extent(kernel_.k.front());
    if (per_pass < 1 || per_pass >= whole) return false;
    const auto skips_passes = [&](const RowPattern& pattern) {
      return pattern.taps.front() != LoopRange{0, whole};
    };
    if (kernel_.SkipsTaps() && std::any_of(kernel_.patterns.begin(), kernel_.patterns.end(), skips_passes))
      return false;
    const ProgramTensorId partial = stage_.stores.front().tensor;
    if (tensors_[partial].dtype != DType::kF32) return false;
    bool reads_partial = false;
    for (const Store& store : stage_.stores) {
      ForEachLoad(store.value, [&](const Scalar& load) { reads_partial = reads_partial || load.tensor == partial; });
    }
    kernel_.k_chunk = per_pass;
    return !reads_partial;
  }

  void SetOrder() {
    const int64_t segments = Points({kernel_.m.begin(), kernel_.m.begin() + kernel_.segment_axes});
    const int64_t tiles = segments * static_cast<int64_t>(kernel_.tiles.size());
    const int64_t panels = (VectorCount() + choice_.nv - 1) / choice_.nv;
    const int64_t row = static_cast<int64_t>(kernel_.tiles.size());
    int64_t wanted = choice_.tiles_per_block > 0 ? choice_.tiles_per_block : choice_.panels_outer ? tiles : 1;
    if (choice_.rows == RowTiles::kApart) wanted = row;
    int64_t block = std::clamp<int64_t>(wanted, 1, tiles);
    if (threads_ > 1 && choice_.parallel_m) {
      block = std::min(block, std::max<int64_t>(1, tiles / (kChunksPerThread * threads_)));
    }
    kernel_.tiles_per_block = static_cast<int>(block);
    kernel_.panels_outer = choice_.panels_outer || block == tiles;   // of one block both orders are the same
    kernel_.parallel_m = choice_.parallel_m;
    kernel_.parallel_n = choice_.parallel_n;
    int64_t pieces = Points(kernel_.batch);
    if (choice_.parallel_m) pieces *= (tiles + block - 1) / block;
    if (choice_.parallel_n) pieces *= panels;
    kernel_.chunks = threads_ <= 1 ? 1 : static_cast<int>(std::min<int64_t>(pieces, kChunksPerThread * threads_));
  }

  // The row tiles that use a panel one after another share the asking for the next one, which thus comes while they compute.
  // A panel that is used once, or that would not wait in the second-level cache beside its successor, is asked for a little ahead.
  ContractKernel::Prefetch PrefetchOfPanels() const {
    const auto& k = kernel_.k;
    int64_t rounds = 1, steps = 1;   // of one pass
    for (size_t level = 0; level < k.size(); ++level) {
      const int64_t extent = level == 0 && kernel_.k_chunk > 0 ? kernel_.k_chunk : Extent(k[level]);
      steps *= extent;
      rounds *= level + 1 < k.size() ? extent : (extent + kernel_.unroll - 1) / kernel_.unroll;
    }
    const int64_t step_bytes = int64_t{choice_.nv} * choice_.lanes * 4, panel_bytes = Points(k) * step_bytes;
    const int64_t uses = kernel_.tiles_per_block;
    const bool early = uses > 1 && steps * step_bytes <= MostPanelBytes(target_);
    using Prefetch = ContractKernel::Prefetch;
    if (early) return Prefetch::Shared(steps * step_bytes, uses, rounds, panel_bytes);
    Prefetch ahead = Prefetch::Shared(kernel_.unroll * step_bytes, 1, 1, kPrefetchBytes);
    ahead.slice = 0;
    return ahead;
  }

  // What begins behind other channels of operand b, a group for one, must begin a panel.
  bool StartsWithinPanel() const {
    return std::any_of(view_.b_indices.begin(), view_.b_indices.end(), [&](const LoadIndex& index) {
      DimExpr first;
      const bool along_n = std::get<DimExpr>(index).AffineCoefficient(kernel_.n.variable, &first) == 1;
      return along_n && first.Divisor() % (int64_t{choice_.nv} * choice_.lanes) != 0;
    });
  }

  std::optional<Layout> PackedLayout() const {
    std::string outer, blocks;
    std::string batch, loops;
    char n_dim = 0;
    std::map<SymbolRef, char> dim_of;
    for (size_t d = 0; d < view_.b_indices.size(); ++d) {
      const char letter = static_cast<char>('a' + d);
      const DimExpr& index = std::get<DimExpr>(view_.b_indices[d]);
      const std::vector<SymbolRef> symbols = index.Symbols();
      if (symbols.empty()) {
        batch += letter;
      } else if (index.Mentions(kernel_.n.variable)) {
        n_dim = letter;
      } else if (std::any_of(stage_.reduce.begin(), stage_.reduce.end(),
                             [&](const Axis& axis) { return axis.variable == symbols[0]; })) {
        dim_of[symbols[0]] = letter;
      } else {
        batch += letter;
      }
    }
    if (n_dim == 0) return std::nullopt;
    // The same order as kernel_.k: split axes' blocks, whole axes (in reduction order), insides of blocks.
    for (const Axis& axis : stage_.reduce) {
      if (!dim_of.contains(axis.variable)) continue;
      if (blocks_.contains(axis.variable)) {
        loops += static_cast<char>(dim_of[axis.variable] - 'a' + 'A');
        absl::StrAppend(&blocks, blocks_.at(axis.variable), std::string(1, dim_of[axis.variable]));
      }
    }
    for (const Axis& axis : stage_.reduce) {
      if (!dim_of.contains(axis.variable) || blocks_.contains(axis.variable)) continue;
      loops += dim_of[axis.variable];
    }
    const std::string text = absl::StrCat(batch, std::string(1, static_cast<char>(n_dim - 'a' + 'A')), loops, blocks,
                                          choice_.nv * choice_.lanes, std::string(1, n_dim));
    absl::StatusOr<Layout> layout = Layout::Parse(text);
    if (!layout.ok()) return std::nullopt;
    return *layout;
  }

  const StageLoops& stage_;
  const ContractView& view_;
  const ContractChoice& choice_;
  const Target& target_;
  const int threads_;
  const std::vector<NestTensor>& tensors_;
  ContractKernel kernel_;
  std::vector<RowStrides> strides_;              // of every access; the first is operand a
  std::vector<int64_t> k_strides_;               // of operand a along kernel_.k
  std::map<SymbolRef, int64_t> blocks_;           // of split reduction axes
  std::map<std::vector<int64_t>, int> pattern_keys_;
};

}  // namespace

int RegistersOf(const ContractChoice& choice, const Target& target) {
  const int nv = choice.nv, accumulators = choice.mr * nv, products = target.row->has_fma ? 0 : 3;
  switch (choice.hold) {
    case HeldSide::kB: {
      const int folded = nv <= 2 ? nv - 1 : 3, loaded = nv == 1 ? 6 : nv == 2 ? 2 : 1;
      return accumulators + nv + (target.row->folds_broadcast ? folded : loaded) + products;
    }
    case HeldSide::kA:
      return accumulators + choice.mr + (choice.mr == 1 ? 0 : 1) + products;
    case HeldSide::kNone:
      return accumulators + 1;
  }
  return accumulators;
}

std::variant<ContractPlan, Rejection> ScheduleContract(const StageLoops& stage, const ContractView& view,
                                                       const ContractChoice& choice, const Target& target, int threads,
                                                       const std::vector<NestTensor>& tensors) {
  return ContractScheduler(stage, view, choice, target, threads, tensors).Run();
}

std::variant<ContractChoice, Rejection> ReadContractLeaf(const Primitive& leaf) {
  if (leaf.operands[0] != "contract") return Rejection::kWrongLeaf;
  ContractChoice choice;
  choice.mr = static_cast<int>(leaf.IntOption("mr", 0));
  choice.nv = static_cast<int>(leaf.IntOption("nv", 0));
  choice.lanes = static_cast<int>(leaf.IntOption("vw", 0));
  choice.unroll = static_cast<int>(leaf.IntOption("ku", 1));
  const std::string_view hold = leaf.Option("hold").value_or("b"), rows = leaf.Option("rows").value_or("affine");
  if (hold != "a" && hold != "b" && hold != "none") return Rejection::kWrongLeaf;
  choice.hold = hold == "a" ? HeldSide::kA : hold == "b" ? HeldSide::kB : HeldSide::kNone;
  const auto* const tiles = std::find(std::begin(kRowTiles), std::end(kRowTiles), rows);
  if (tiles == std::end(kRowTiles)) return Rejection::kWrongLeaf;
  choice.rows = static_cast<RowTiles>(tiles - kRowTiles);
  return choice;
}

std::variant<ContractChoice, Rejection> ReadContractChoice(const Trace& trace) {
  const Primitive* leaf = trace.Find("leaf");
  if (leaf == nullptr) return Rejection::kWrongLeaf;
  const std::variant<ContractChoice, Rejection> read = ReadContractLeaf(*leaf);
  if (std::holds_alternative<Rejection>(read)) return read;
  ContractChoice choice = std::get<ContractChoice>(read);
  const auto number = [](const std::string& text) {
    return Primitive{"", {}, {{"n", text}}}.IntOption("n", -1);
  };
  for (const Primitive& primitive : trace.primitives) {
    const std::vector<std::string>& operands = primitive.operands;
    if (primitive.verb == "order") {
      if (operands[0] != "n,m" && operands[0] != "m,n") return Rejection::kUnknownAxis;
      choice.panels_outer = operands[0] == "n,m";
    } else if (primitive.verb == "block") {
      if (operands[0] != "m") return Rejection::kUnknownAxis;
      choice.tiles_per_block = number(operands[1]);
      if (choice.tiles_per_block < 1) return Rejection::kBadTile;
    } else if (primitive.verb == "split") {
      if (operands[0] != "k") return Rejection::kUnknownAxis;
      choice.k_steps = number(operands[1]);
      if (choice.k_steps < 0) return Rejection::kBadTile;
    } else if (primitive.verb == "parallel") {
      if (operands[0] != "m" && operands[0] != "n" && operands[0] != "mn") return Rejection::kUnknownAxis;
      choice.parallel_m = operands[0] != "n";
      choice.parallel_n = operands[0] != "m";
    }
  }
  return choice;
}

std::string ContractLeafText(const ContractChoice& choice) {
  static constexpr const char* kHeld[] = {"b", "a", "none"};
  return absl::StrCat("leaf contract mr=", choice.mr, " nv=", choice.nv, " vw=", choice.lanes,
                      " hold=", kHeld[static_cast<int>(choice.hold)], " ku=", choice.unroll,
                      " rows=", kRowTiles[static_cast<size_t>(choice.rows)]);
}

Trace ContractTrace(const ContractChoice& choice) {
  std::string text = absl::StrCat("trace ", Trace::kVersion, "; algorithm direct; ", ContractLeafText(choice), "; order ",
                                  choice.panels_outer ? "n,m" : "m,n");
  if (choice.tiles_per_block > 0) absl::StrAppend(&text, "; block m ", choice.tiles_per_block);
  if (choice.k_steps > 0) absl::StrAppend(&text, "; split k ", choice.k_steps);
  absl::StrAppend(&text, "; parallel ", choice.parallel_m ? "m" : "", choice.parallel_n ? "n" : "");
  return *Trace::Parse(text);
}

bool LeavesL2(int64_t bytes, const Target& target) { return bytes > target.row->l2_bytes / 2; }

ContractChoice DefaultContractChoice(const Anchor& anchor, const Target& target, int threads) {
  ContractChoice choice;
  choice.lanes = target.vector_width();
  const int64_t vectors = (anchor.n + choice.lanes - 1) / choice.lanes;
  const int registers = target.row->vector_registers;
  const auto fits = [&](int mr, int nv) {
    choice.mr = mr;
    choice.nv = nv;
    return RegistersOf(choice, target) <= registers;
  };
  // Narrow problems take more vectors per row, wide ones two or three.
  int nv = static_cast<int>(std::min<int64_t>(vectors, anchor.m >= 6 ? 2 : anchor.m >= 3 ? 4 : 6));
  if (vectors % 2 == 1 && vectors > 1 && vectors % 3 == 0 && anchor.m >= 4) nv = 3;
  int mr = static_cast<int>(std::min<int64_t>(anchor.m, 28));
  while (mr > 1 && !fits(mr, nv)) --mr;
  while (nv > 1 && (!fits(mr, nv) || (anchor.groups > 1 && vectors % nv != 0))) --nv;
  choice.mr = mr;
  choice.nv = nv;
  // Rows of an image are cut evenly: a tile never leaves a small remainder.
  if (anchor.row > 1) {
    const int64_t tiles = (anchor.row + mr - 1) / mr;
    choice.mr = static_cast<int>((anchor.row + tiles - 1) / tiles);
  }
  choice.unroll = anchor.k_inner % 4 == 0 ? 4 : anchor.k_inner % 2 == 0 ? 2 : 1;
  choice.panels_outer = false;
  choice.tiles_per_block = std::max<int64_t>(1, 64 / choice.mr);
  const int64_t tiles = (anchor.m + choice.mr - 1) / choice.mr,
                panels = (vectors + choice.nv - 1) / choice.nv;
  int64_t passes = 1;
  const int64_t floats = DTypeBytes(DType::kF32), step_bytes = choice.nv * choice.lanes * floats;
  const int64_t most = LeavesL2(anchor.n * anchor.k * floats, target) ? BestPanelBytes(target) : MostPanelBytes(target);
  while (tiles > 1 && anchor.k / passes * step_bytes > most) passes *= 2;
  if (passes > 1) choice.k_steps = (anchor.k + passes - 1) / passes;
  const int64_t inputs = anchor.m / (anchor.taps[0] * anchor.taps[1]) * anchor.k,
                outputs = anchor.m * anchor.n;
  if (threads == 1) {
    // Operand b is read once where it leaves the second-level cache and a pass's part of a stays there.
    const int64_t l2 = target.row->l2_bytes / floats, most_inputs = l2 * 2 / 3;
    while (inputs / passes > most_inputs && anchor.k / passes >= 2 * kLeastSteps) passes *= 2;
    if (tiles > choice.tiles_per_block && anchor.n * anchor.k > l2 && inputs / passes <= most_inputs) {
      choice.panels_outer = true;
      choice.tiles_per_block = 0;
      choice.k_steps = passes > 1 ? (anchor.k + passes - 1) / passes : 0;
    }
    return choice;
  }
  // Threads that share out rows each read operand b whole; those that share out panels read all rows, and
  // leave for the next task in two caches what it reads together.
  const bool near = inputs * floats <= target.row->l2_bytes;  // to be read again for every panel
  if (near && inputs + outputs < anchor.n * anchor.k && panels >= kChunksPerThread * threads) {
    choice.parallel_m = false;
    choice.parallel_n = choice.panels_outer = true;
    choice.tiles_per_block = 0;
  } else {
    choice.parallel_n = tiles < kChunksPerThread * threads;
  }
  return choice;
}

}  // namespace hone
