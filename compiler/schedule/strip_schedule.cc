#include "compiler/schedule/strip_schedule.h"

#include <algorithm>
#include <map>

namespace hone {
namespace {

constexpr int kImage = 0, kChannel = 1, kRow = 2, kColumn = 3, kRank = 4;
// A chunk computes the rows again that its first strip shares with the chunk before.
constexpr int64_t kChunksPerThread = 2;

bool HasIndex(const ScalarRef& scalar) {
  if (scalar->kind == Scalar::Kind::kIndex) return true;
  return std::any_of(scalar->operands.begin(), scalar->operands.end(), HasIndex);
}

// A map that chooses by position is padding.
bool IsPadding(const StageLoops& stage) { return stage.body.empty() && HasIndex(stage.stores[0].value); }

bool IsWindow(const StageLoops& stage) {
  return stage.reduce.size() == 2 && stage.body.size() == 1 && stage.combine != Combine::kTuple;
}

// The rows of a producer that a load reads; nullopt: not those of one image around the row at hand.
std::optional<StripView::Need> NeedOf(const StageLoops& stage, const Scalar& load) {
  if (load.indices.size() != kRank) return std::nullopt;
  for (const LoadIndex& index : load.indices) {
    if (!std::holds_alternative<DimExpr>(index)) return std::nullopt;
  }
  const Axis& image = stage.axes[kImage];
  const DimExpr& at = std::get<DimExpr>(load.indices[kImage]);
  if (!(at == DimExpr(image.variable)) && !(Extent(image) == 1 && at == DimExpr(0))) return std::nullopt;
  DimExpr tap;
  const DimExpr& row = std::get<DimExpr>(load.indices[kRow]);
  const std::optional<int64_t> stride = row.AffineCoefficient(stage.axes[kRow].variable, &tap);
  if (!stride || *stride < 1) return std::nullopt;
  for (const Axis& axis : stage.axes) {
    if (tap.Mentions(axis.variable)) return std::nullopt;
  }
  std::map<SymbolRef, DimExpr> single;
  for (const Axis& axis : stage.reduce) {
    if (Extent(axis) == 1) single.emplace(axis.variable, DimExpr(0));   // its symbol reaches further
  }
  const Interval taps = tap.Substitute(single).Bounds();
  if (taps.lower == Interval().lower || taps.upper == Interval().upper) return std::nullopt;
  return StripView::Need{.stride = *stride, .first = taps.lower, .last = taps.upper};
}

class StripScheduler {
 public:
  StripScheduler(const FusedStages& fused, const StripView& view, const StripChoice& choice, const Target& target,
                 int threads, std::vector<NestTensor>* tensors)
      : fused_(fused), view_(view), choice_(choice), target_(target), threads_(threads), tensors_(*tensors) {}

  std::variant<StripPlan, Rejection> Run() {
    if (choice_.leaves.size() != static_cast<size_t>(view_.Computing())) return Rejection::kWrongLeaf;
    const std::vector<Axis>& axes = fused_.stages.back().axes;
    if (choice_.rows < 1 || Extent(axes[kRow]) % choice_.rows != 0) return Rejection::kBadTile;
    kernel().images = Extent(axes[kImage]);
    kernel().rows = choice_.rows;
    kernel().strips = Extent(axes[kRow]) / choice_.rows;
    kernel().strip = MakeSymbol("strip", 0, kernel().strips - 1);
    kernel().chunks = threads_ <= 1 ? 1 : static_cast<int>(std::min(kernel().Units(), kChunksPerThread * threads_));
    FindRows();
    for (size_t s = 0; s + 1 < fused_.stages.size(); ++s) PlaceRing(s);
    auto leaf = choice_.leaves.begin();
    for (size_t s = 0; s < fused_.stages.size(); ++s) {
      const StripChoice::Leaf of_stage = view_.parts[s].padding ? StripChoice::Leaf(StageChoice()) : *leaf++;
      const auto rejection = view_.parts[s].contract ? AddContract(s, of_stage) : AddStage(s, of_stage);
      if (rejection) return *rejection;
    }
    return std::move(plan_);
  }

 private:
  // That a strip needs of a stage's result; `of` each strip in numbers.
  struct Rows {
    DimExpr begin, end;
    std::vector<Interval> of;   // [lower, upper)
  };

  StripKernel& kernel() { return plan_.kernel; }
  int64_t RowCount(size_t s) const { return Extent(fused_.stages[s].axes[kRow]); }

  // From the result backwards: what later stages read of each.
  void FindRows() {
    rows_.resize(fused_.stages.size());
    const DimExpr strip(kernel().strip), height(choice_.rows);
    rows_.back() = {height * strip, height * strip + height};
    for (int64_t i = 0; i < kernel().strips; ++i) rows_.back().of.push_back({i * choice_.rows, (i + 1) * choice_.rows});
    for (size_t s = rows_.size(); s-- > 0;) {
      for (const StripView::Need& need : view_.parts[s].needs) {
        const size_t producer = static_cast<size_t>(need.producer);
        Add(need, rows_[s], RowCount(producer), &rows_[producer]);
      }
    }
  }

  // What a stage that computes `read` needs of one that has `count` rows.
  static void Add(const StripView::Need& need, const Rows& read, int64_t count, Rows* rows) {
    const DimExpr stride(need.stride);
    const DimExpr begin = Max(DimExpr(0), stride * read.begin + DimExpr(need.first));
    const DimExpr end = Min(DimExpr(count), stride * (read.end - DimExpr(1)) + DimExpr(need.last + 1));
    const bool known = !rows->of.empty();
    rows->begin = known ? Min(rows->begin, begin) : begin;
    rows->end = known ? Max(rows->end, end) : end;
    rows->of.resize(read.of.size(), {count, 0});
    for (size_t i = 0; i < read.of.size(); ++i) {
      Interval& of = rows->of[i];
      of.lower = std::min(of.lower, std::max<int64_t>(0, need.stride * read.of[i].lower + need.first));
      of.upper = std::max(of.upper, std::min(count, need.stride * (read.of[i].upper - 1) + need.last + 1));
    }
  }

  void PlaceRing(size_t s) {
    int64_t most = 1;
    for (const Interval& rows : rows_[s].of) most = std::max(most, rows.upper - rows.lower);
    NestTensor& ring = tensors_[fused_.stages[s].stores[0].tensor];
    ring.rolled = {kImage};
    ProgramTensorId like =
        fused_.stages.back().stores[0].tensor;  // a row-major input goes no further than its padding
    if (view_.parts[s].padding) {
      ForEachLoad(fused_.stages[s], [&](const Scalar& load) { like = load.tensor; });
    } else {
      ring.rolled.push_back(kRow);
    }
    ring.layout = tensors_[like].layout.WithoutHalo();
    ring.dims[kImage] = DimExpr(1);
    ring.dims[kRow] = DimExpr(most);
    ring.PlaceInChunk(&kernel().chunk_bytes);
  }

  // The row of a strip's copy of what stage s pads.
  void MakeRelative(size_t s, LoadIndex* row) const { *row = std::get<DimExpr>(*row) - rows_[s].begin; }

  std::optional<Rejection> AddContract(size_t s, const StripChoice::Leaf& of_stage) {
    const StageLoops& stage = fused_.stages[s];
    ContractView view = *view_.parts[s].contract;
    bool padded = false;
    for (const StripView::Need& need : view_.parts[s].needs) {
      const size_t producer = static_cast<size_t>(need.producer);
      if (!view_.parts[producer].padding) continue;
      MakeRelative(producer, &view.a_indices[kRow]);
      padded = true;
    }
    const ContractChoice* leaf = std::get_if<ContractChoice>(&of_stage);
    const bool constant = fused_.tensors[view.b].role == ProgramTensor::Role::kConstant;
    if (leaf == nullptr || !constant || LoadsOf(fused_, view.b) != 1) return Rejection::kWrongLeaf;
    if (leaf->rows != RowTiles::kAffine || leaf->k_steps > 0) return Rejection::kNotLowered;
    // Every row reads all weights again.
    const int64_t weights = Points(stage.reduce) * Extent(stage.axes[view.n]) * DTypeBytes(stage.dtype);
    if (padded && LeavesL2(weights, target_)) return Rejection::kNotLowered;
    ContractChoice rows = *leaf;
    rows.rows = RowTiles::kApart;
    rows.panels_outer = Extent(stage.axes[kColumn]) <= Extent(stage.axes[view.n]);   // the smaller operand stays near
    std::variant<ContractPlan, Rejection> planned = ScheduleContract(stage, view, rows, target_, 1, tensors_);
    if (std::holds_alternative<Rejection>(planned)) return std::get<Rejection>(planned);
    ContractPlan& plan = std::get<ContractPlan>(planned);
    Pack(plan.kernel.b, plan.b_layout);
    if (padded) plan.kernel.around = {kernel().strip};
    kernel().parts.push_back({std::move(plan.kernel), RowCount(s), RowCount(s), rows_[s].begin, rows_[s].end});
    return std::nullopt;
  }

  std::optional<Rejection> AddStage(size_t s, const StripChoice::Leaf& of_stage) {
    const StageChoice* choice = std::get_if<StageChoice>(&of_stage);
    if (choice == nullptr) return Rejection::kWrongLeaf;
    StageLoops stage = fused_.stages[s];
    PickLanes(tensors_, target_, *choice, &stage);
    if (stage.lane_axis == kImage || stage.lane_axis == kRow) return Rejection::kNotLowered;
    for (const auto& [constant, layout] : PackingsForLanes(tensors_, stage)) Pack(constant, layout);
    const bool anew = view_.parts[s].padding;
    if (anew) MakeRelative(s, &stage.stores[0].indices[kRow]);
    const int64_t rows = anew ? 0 : RowsPerStrip(s);
    const DimExpr strip(kernel().strip);
    const int64_t together = std::max<int64_t>(1, rows);
    StripKernel::Part part{RowBlocksOf(std::move(stage), kImage, kRow, together, tensors_, target_, *choice), RowCount(s)};
    if (rows > 0) {
      part.units = kernel().strips;
      part.begin = strip;
      part.end = strip + DimExpr(1);
    } else {
      part.units = RowCount(s);
      part.begin = rows_[s].begin;
      part.end = rows_[s].end;
      part.anew = anew;
    }
    kernel().parts.push_back(std::move(part));
    return std::nullopt;
  }

  // The number of rows, where every strip needs as many and shares none with the next; else 0.
  int64_t RowsPerStrip(size_t s) const {
    const int64_t rows = RowCount(s) / plan_.kernel.strips;
    if (rows * plan_.kernel.strips != RowCount(s)) return 0;
    int64_t next = 0;
    for (const Interval& of : rows_[s].of) {
      if (of.lower != next || of.upper != next + rows) return 0;
      next = of.upper;
    }
    return rows;
  }

  void Pack(ProgramTensorId constant, const Layout& layout) {
    tensors_[constant].layout = layout;
    plan_.constants.emplace_back(constant, layout);
  }

  const FusedStages& fused_;
  const StripView& view_;
  const StripChoice& choice_;
  const Target& target_;
  const int threads_;
  std::vector<NestTensor>& tensors_;
  std::vector<Rows> rows_;   // by stage
  StripPlan plan_;
};

}  // namespace

int StripView::Computing() const {
  return static_cast<int>(
      std::count_if(parts.begin(), parts.end(), [](const Part& part) { return !part.padding; }));
}

std::optional<StripView> ViewAsStrips(const FusedStages& fused) {
  const auto reduces = [](const StageLoops& stage) { return !stage.reduce.empty(); };
  if (fused.stages.size() < 2 || std::none_of(fused.stages.begin(), fused.stages.end(), reduces)) return std::nullopt;
  StripView view;
  std::map<ProgramTensorId, int> producers;
  for (const StageLoops& stage : fused.stages) {
    if (stage.axes.size() != kRank || stage.stores.size() != 1) return std::nullopt;
    StripView::Part part{.contract = ViewAsContract(stage), .padding = IsPadding(stage)};
    if (!part.contract && !stage.body.empty() && !IsWindow(stage)) return std::nullopt;
    bool possible = true;
    ForEachLoad(stage, [&](const Scalar& load) {
      const auto producer = producers.find(load.tensor);
      if (producer == producers.end()) return;
      std::optional<StripView::Need> need = NeedOf(stage, load);
      if (!need || !possible) return void(possible = false);
      const bool padded = view.parts[static_cast<size_t>(producer->second)].padding,
                 row = need->first == need->last;
      if (padded ? !part.contract : part.contract && !row) return void(possible = false);
      need->producer = producer->second;
      part.needs.push_back(*need);
    });
    if (!possible || (part.needs.empty() && !producers.empty())) return std::nullopt;
    const ProgramTensorId result = stage.stores[0].tensor;
    const bool last = view.parts.size() + 1 == fused.stages.size();
    if (last != (fused.tensors[result].role == ProgramTensor::Role::kOutput)) return std::nullopt;
    producers.emplace(result, static_cast<int>(view.parts.size()));
    view.parts.push_back(std::move(part));
  }
  return view;
}

std::variant<StripPlan, Rejection> ScheduleStrips(const FusedStages& fused, const StripView& view, const StripChoice& choice,
                                                  const Target& target, int threads, std::vector<NestTensor>* tensors) {
  return StripScheduler(fused, view, choice, target, threads, tensors).Run();
}

}  // namespace hone
