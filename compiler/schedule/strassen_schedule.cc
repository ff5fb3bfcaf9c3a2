#include "compiler/schedule/strassen_schedule.h"

#include <algorithm>
#include <numeric>

#include "compiler/schedule/stage_schedule.h"

namespace hone {
namespace {

constexpr int kMaxLevels = 2;
constexpr int64_t kRowPadding = 16;   // elements: rows of the temporaries do not share cache sets

enum Operand { kA11, kA12, kA22, kS1, kS2, kS3, kS4 };
enum Partial { kNothing, kX, kY, kU };   // sums of products that quarters of the output share; none is read where it is stored

// The seven products in order: sum = left * (right: of b's quarters 11, 12, 21, 22) + added, stored into a quarter of the
// output, a partial sum, or both. S1 = A21 + A22, S2 = S1 - A11, S3 = A11 - A21, S4 = A12 - S2.
struct Product {
  Operand left;
  double right[4];
  Partial added;
  int quarter;   // of the output: 0..3 for 11, 12, 21, 22; -1: none
  Partial quarter_added;
  Partial stored;
};
constexpr Product kProducts[] = {
    {kA11, {1, 0, 0, 0}, kNothing, -1, kNothing, kX},
    {kA12, {0, 0, 1, 0}, kX, 0, kX, kNothing},
    {kS2, {1, -1, 0, 1}, kX, -1, kNothing, kY},
    {kS3, {0, -1, 0, 1}, kY, -1, kNothing, kU},
    {kS1, {-1, 1, 0, 0}, kY, 3, kU, kX},
    {kS4, {0, 0, 0, 1}, kX, 1, kX, kNothing},
    {kA22, {-1, 1, 1, -1}, kU, 2, kU, kNothing},
};
constexpr int kCount = static_cast<int>(std::size(kProducts));

// The sums of operand b's blocks that products of the last level multiply with.
Matrix RightSums(int levels) {
  Matrix sums(1, 1);
  sums(0, 0) = 1;
  for (int level = 0; level < levels; ++level) {
    Matrix finer(sums.rows * kCount, sums.columns * 4);
    for (int row = 0; row < finer.rows; ++row) {
      for (int column = 0; column < finer.columns; ++column) {
        finer(row, column) = sums(row / kCount, column / 4) * kProducts[row % kCount].right[column % 4];
      }
    }
    sums = std::move(finer);
  }
  return sums;
}

Axis MakeAxis(const Axis& like, int64_t extent) {
  return {MakeSymbol(like.variable->name, 0, std::max<int64_t>(1, extent - 1)), DimExpr(extent)};
}

// An axis cut in two: [0, extent) and [second, second + extent).
struct Half {
  int64_t extent = 0, second = 0;
  static Half Of(int64_t whole, int64_t unit) {
    const int64_t extent = ((whole + 1) / 2 + unit - 1) / unit * unit;
    return {extent, whole - extent};
  }
};

// What the products of all levels share. Products of one level run one after the other: they share temporaries.
struct Recursion {
  const ContractChoice& choice;
  const Target& target;
  int levels;
  std::vector<NestTensor>& tensors;
  Axis part;           // what threads share out, and the axis of the stage that it is cut from
  int part_axis = -1;  // (-1: there is one part)
  int b_n = -1, b_k = -1;                   // dimensions of operand b
  struct Temporaries {
    ProgramTensorId sums[4] = {}, partial[4] = {};
  };
  std::vector<Temporaries> temporaries = {};   // by level
  ProgramTensorId packed = -1;
  Quarters quarters = {};
  StrassenPlan plan = {};
};

// One matrix product of a level, number `group` of them, as seven of the next.
class StrassenScheduler {
 public:
  StrassenScheduler(const StageLoops& stage, const ContractView& view, int level, int64_t group, Recursion* shared)
      : stage_(stage), view_(view), level_(level), group_(group), r_(*shared), tensors_(shared->tensors) {}

  std::optional<Rejection> Run() {
    if (!FindReduction() || !FindOperandA()) return Rejection::kNotLowered;
    if (!CutAxes()) return Rejection::kBadTile;
    AddTemporaries();
    AddSums();
    for (int p = 0; p < kCount; ++p) {
      if (const auto rejection = AddProduct(p)) return *rejection;
    }
    r_.plan.partial_bytes +=
        10 * static_cast<double>(Parts() * m_points_ * n_.extent * DTypeBytes(DType::kF32));
    return std::nullopt;
  }

 private:
  using Values = std::map<SymbolRef, DimExpr>;

  int64_t Parts() const { return Extent(r_.part); }
  bool IsShared(int axis) const { return level_ == 0 && axis == r_.part_axis; }
  // Of the part of an axis that one thread has.
  int64_t ExtentOf(int axis) const { return Extent(stage_.axes[axis]) / (IsShared(axis) ? Parts() : 1); }

  // The part aside.
  std::vector<SymbolRef> SymbolsOf(const DimExpr& index) const {
    std::vector<SymbolRef> symbols = index.Symbols();
    std::erase(symbols, r_.part.variable);
    return symbols;
  }

  // One axis of the reduction; the others have one step.
  bool FindReduction() {
    for (size_t i = 0; i < stage_.reduce.size(); ++i) {
      if (Extent(stage_.reduce[i]) == 1) {
        fixed_.emplace(stage_.reduce[i].variable, DimExpr(0));
      } else if (std::exchange(k_axis_, static_cast<int>(i)) >= 0) {
        return false;
      }
    }
    return k_axis_ >= 0;
  }

  // Every index of operand a moves with one axis at most.
  bool FindOperandA() {
    for (const LoadIndex& index : view_.a_indices) {
      a_indices_.push_back(std::get<DimExpr>(index).Substitute(fixed_));
      if (SymbolsOf(a_indices_.back()).size() > 1) return false;
    }
    return true;
  }

  // Blocks of channels stay whole. Rows are cut along the axis that wastes least.
  bool CutAxes() {
    int64_t k_block = 1, n_block = 1;
    for (size_t d = 0; d < a_indices_.size(); ++d) {
      if (MovesWith(a_indices_[d], stage_.reduce[k_axis_])) k_block = std::lcm(k_block, tensors_[view_.a].layout.BlockOf(static_cast<int>(d)));
    }
    const auto stored = [&](ProgramTensorId tensor, const std::vector<LoadIndex>& indices) {
      for (size_t d = 0; d < indices.size(); ++d) {
        const DimExpr* index = std::get_if<DimExpr>(&indices[d]);
        if (index != nullptr && MovesWith(*index, stage_.axes[view_.n])) {
          n_block = std::lcm(n_block, tensors_[tensor].layout.BlockOf(static_cast<int>(d)));
        }
      }
    };
    for (const Store& store : stage_.stores) {
      stored(store.tensor, store.indices);
      ForEachLoad(store.value, [&](const Scalar& load) { stored(load.tensor, load.indices); });
    }
    const int64_t k = Extent(stage_.reduce[k_axis_]), n = ExtentOf(view_.n);
    if (k % k_block != 0 || n % n_block != 0) return false;
    k_ = Half::Of(k, k_block);
    n_ = Half::Of(n, std::lcm<int64_t>(n_block, n >= 4 * r_.choice.lanes ? r_.choice.lanes : 1));
    double least = 0;
    for (const int axis : view_.m) {
      const int64_t extent = ExtentOf(axis);
      const Half half = Half::Of(extent, 1);
      const double kept = static_cast<double>(extent) / static_cast<double>(half.extent);
      if (extent > 1 && kept > least) {
        least = kept;
        m_axis_ = axis;
        m_ = half;
      }
    }
    if (m_axis_ < 0 || k_.second <= 0 || n_.second <= 0) return false;
    axes_ = stage_.axes;
    for (size_t axis = 0; axis < axes_.size(); ++axis) {
      const int i = static_cast<int>(axis);
      axes_[axis] = MakeAxis(axes_[axis], i == m_axis_ ? m_.extent : i == view_.n ? n_.extent : ExtentOf(i));
      if (i != view_.n) m_points_ *= Extent(axes_[axis]);
    }
    reduce_ = MakeAxis(stage_.reduce[k_axis_], k_.extent);
    return true;
  }

  static bool MovesWith(const DimExpr& index, const Axis& axis) {
    const std::vector<SymbolRef> symbols = index.Symbols();
    return std::find(symbols.begin(), symbols.end(), axis.variable) != symbols.end();
  }

  // The stage's axes in terms of a quarter's.
  Values Quarter(int rows, int columns, int steps) const {
    Values values = fixed_;
    for (size_t axis = 0; axis < axes_.size(); ++axis) {
      const int i = static_cast<int>(axis);
      const int64_t first = i == m_axis_ ? rows * m_.second : i == view_.n ? columns * n_.second : 0;
      const DimExpr part = IsShared(i) ? DimExpr(ExtentOf(i)) * DimExpr(r_.part.variable) : DimExpr(0);
      values.emplace(stage_.axes[axis].variable, part + DimExpr(axes_[axis].variable) + DimExpr(first));
    }
    values.emplace(stage_.reduce[k_axis_].variable, DimExpr(reduce_.variable) + DimExpr(steps * k_.second));
    return values;
  }

  std::vector<LoadIndex> OperandA(int rows, int steps) const {
    std::vector<LoadIndex> indices;
    for (const DimExpr& index : a_indices_) indices.push_back(index.Substitute(Quarter(rows, 0, steps)));
    return indices;
  }

  ProgramTensorId AddTemporary(std::vector<DimExpr> dims, Layout layout) {
    if (layout.IsPlain()) layout = layout.WithHalo(layout.rank() - 1, {0, kRowPadding});
    tensors_.push_back({.dims = std::move(dims), .layout = std::move(layout)});
    tensors_.back().PlaceInChunk(&r_.plan.kernel.chunk_bytes);
    return static_cast<ProgramTensorId>(tensors_.size()) - 1;
  }

  // Sums of operand a's quarters as the operand lies; partial sums row by row.
  void AddTemporaries() {
    std::vector<DimExpr> dims;
    for (const DimExpr& index : a_indices_) {
      const std::vector<SymbolRef> symbols = SymbolsOf(index);
      DimExpr extent(1), at(0);
      for (size_t axis = 0; axis <= axes_.size() && !symbols.empty(); ++axis) {
        const bool reduces = axis == axes_.size();
        const SymbolRef& whole = reduces ? stage_.reduce[k_axis_].variable : stage_.axes[axis].variable;
        if (whole != symbols[0]) continue;
        extent = (reduces ? reduce_ : axes_[axis]).extent;
        at = DimExpr((reduces ? reduce_ : axes_[axis]).variable);
      }
      dims.push_back(extent);
      s_indices_.push_back(at);
    }
    std::vector<DimExpr> outputs;
    for (const int axis : view_.m) {
      outputs.push_back(axes_[axis].extent);
      partial_indices_.push_back(DimExpr(axes_[axis].variable));
    }
    outputs.push_back(axes_[view_.n].extent);
    partial_indices_.push_back(DimExpr(axes_[view_.n].variable));
    if (static_cast<int>(r_.temporaries.size()) > level_) return;
    Recursion::Temporaries temporaries;
    for (ProgramTensorId& sum : temporaries.sums) sum = AddTemporary(dims, tensors_[view_.a].layout.WithoutHalo());
    for (const Partial partial : {kX, kY, kU}) {
      temporaries.partial[partial] = AddTemporary(outputs, Layout::Plain(static_cast<int>(outputs.size())));
    }
    r_.temporaries.push_back(temporaries);
    r_.quarters.k_halves.push_back(k_.extent);
    r_.quarters.n_halves.push_back(n_.extent);
    if (level_ + 1 == r_.levels) AddPacked();
  }

  void AddPacked() {
    const int64_t panel = int64_t{r_.choice.nv} * r_.choice.lanes;
    r_.quarters.k_dim = r_.b_k;
    r_.quarters.pitch = (n_.extent + panel - 1) / panel * panel;
    AxisTransform transform{.dim = r_.b_n, .matrix = RightSums(r_.levels), .quarters = r_.quarters};
    NestTensor packed = tensors_[view_.b];
    packed.dims[r_.b_k] = DimExpr(k_.extent);
    packed.dims[r_.b_n] = DimExpr(transform.matrix.rows * r_.quarters.pitch * r_.quarters.parts);
    tensors_.push_back(std::move(packed));
    r_.packed = static_cast<ProgramTensorId>(tensors_.size()) - 1;
    r_.plan.transforms = {std::move(transform)};
  }

  void AddSums() {
    StageLoops sums;
    sums.name = "strassen_sums";
    sums.dtype = DType::kF32;
    for (const LoadIndex& index : s_indices_) {
      for (const SymbolRef& symbol : std::get<DimExpr>(index).Symbols()) {
        for (const Axis& axis : axes_) {
          if (axis.variable == symbol) sums.axes.push_back(axis);
        }
        if (reduce_.variable == symbol) sums.axes.push_back(reduce_);
      }
    }
    const auto a = [&](int rows, int steps) { return Load(view_.a, DType::kF32, OperandA(rows, steps)); };
    const ScalarRef a11 = a(0, 0), a21 = a(1, 0), s1 = Binary(BinaryOp::kAdd, a21, a(1, 1));
    const ScalarRef s2 = Binary(BinaryOp::kSub, s1, a11), s3 = Binary(BinaryOp::kSub, a11, a21);
    const ScalarRef values[] = {s1, s2, s3, Binary(BinaryOp::kSub, a(0, 1), s2)};
    for (int i = 0; i < 4; ++i) sums.stores.push_back({r_.temporaries[level_].sums[i], s_indices_, values[i]});
    ScheduleStage(tensors_, r_.target, {}, &sums);
    StageKernel kernel{.outer = {r_.part}};
    kernel.stages.push_back(std::move(sums));
    AddPart(std::move(kernel));
  }

  // The units of each kernel are the parts.
  void AddPart(std::variant<StageKernel, ContractKernel> kernel) {
    const DimExpr strip(r_.plan.kernel.strip);
    r_.plan.kernel.parts.push_back({std::move(kernel), 0, Parts(), strip, strip + DimExpr(1)});
  }

  ScalarRef With(Partial partial) const {
    const ScalarRef product = Parameter(0, DType::kF32);
    if (partial == kNothing) return product;
    return Binary(BinaryOp::kAdd, product, Load(r_.temporaries[level_].partial[partial], DType::kF32, partial_indices_));
  }

  // The output's own stores, for one quarter of it.
  void StoreQuarter(const Product& product, std::vector<Store>* stores) const {
    const Values at = Quarter(product.quarter / 2, product.quarter % 2, 0);
    const ScalarRef sum = With(product.quarter_added);
    for (Store store : stage_.stores) {
      for (LoadIndex& index : store.indices) {
        if (DimExpr* expr = std::get_if<DimExpr>(&index)) *expr = expr->Substitute(at);
      }
      store.value = Rewrite(SubstituteAxes(store.value, at), [&](const ScalarRef& node) {
        return node->kind == Scalar::Kind::kParameter ? sum : nullptr;
      });
      stores->push_back(std::move(store));
    }
  }

  std::optional<Rejection> AddProduct(int number) {
    const Product& product = kProducts[number];
    StageLoops stage{.name = "strassen", .axes = axes_, .reduce = {reduce_}, .combine = Combine::kSum, .dtype = DType::kF32};
    ContractView view{.a = view_.a, .b = view_.b, .m = view_.m, .n = view_.n};
    if (product.left >= kS1) {
      view.a = r_.temporaries[level_].sums[product.left - kS1];
      view.a_indices = s_indices_;
    } else {
      view.a_indices = OperandA(product.left == kA22 ? 1 : 0, product.left == kA11 ? 0 : 1);
    }
    if (product.quarter >= 0) StoreQuarter(product, &stage.stores);
    if (product.stored != kNothing) {
      stage.stores.push_back({r_.temporaries[level_].partial[product.stored], partial_indices_, With(product.added)});
    }
    const int64_t group = group_ * kCount + number;
    if (level_ + 1 < r_.levels) return StrassenScheduler(stage, view, level_ + 1, group, &r_).Run();
    view.b = r_.packed;
    view.b_indices.assign(tensors_[r_.packed].dims.size(), DimExpr(0));
    view.b_indices[r_.b_k] = DimExpr(reduce_.variable);
    view.b_indices[r_.b_n] = DimExpr(axes_[view_.n].variable) + DimExpr(group * r_.quarters.pitch);
    if (r_.quarters.parts > 1) {
      const int64_t pitch = r_.plan.transforms[0].matrix.rows * r_.quarters.pitch;
      view.b_indices[r_.b_n] =
          std::get<DimExpr>(view.b_indices[r_.b_n]) + DimExpr(pitch) * DimExpr(r_.part.variable);
    }
    view.batch = {static_cast<int>(stage.axes.size())};
    stage.axes.push_back(r_.part);
    ContractChoice choice = r_.choice;
    choice.parallel_m = choice.parallel_n = false;
    std::variant<ContractPlan, Rejection> planned =
        ScheduleContract(stage, view, choice, r_.target, 1, tensors_);
    if (std::holds_alternative<Rejection>(planned)) return std::get<Rejection>(planned);
    ContractPlan& plan = std::get<ContractPlan>(planned);
    r_.plan.packed = plan.b_layout;
    r_.plan.saved_flops += 2 * static_cast<double>(Parts() * m_points_ * n_.extent * k_.extent);
    AddPart(std::move(plan.kernel));
    return std::nullopt;
  }

  const StageLoops& stage_;
  const ContractView& view_;
  const int level_;
  const int64_t group_;
  Recursion& r_;
  std::vector<NestTensor>& tensors_;
  Values fixed_;                              // trivial axes of the reduction
  std::vector<DimExpr> a_indices_;            // without them
  int k_axis_ = -1, m_axis_ = -1;             // into the stage's reduce, axes
  Half k_, n_, m_;
  int64_t m_points_ = 1;                      // rows of a quarter
  std::vector<Axis> axes_;                    // of a quarter
  Axis reduce_;
  std::vector<LoadIndex> s_indices_, partial_indices_;
};

// Cuts the axis that fewest parts divide, at least as many as threads.
bool ShareOut(const StageLoops& stage, const std::vector<int>& axes, int threads, Recursion* shared) {
  int64_t fewest = 0;
  for (const int axis : axes) {
    const int64_t extent = Extent(stage.axes[axis]);
    int64_t parts = threads;
    while (parts < extent && extent % parts != 0) ++parts;
    if (2 * parts > extent || (fewest > 0 && parts >= fewest)) continue;
    fewest = parts;
    shared->part_axis = axis;
  }
  shared->part = {MakeSymbol("part", 0, std::max<int64_t>(1, fewest - 1)), DimExpr(fewest)};
  return fewest > 0;
}

}  // namespace

std::variant<StrassenPlan, Rejection> ScheduleStrassen(const StageLoops& stage, int levels, const ContractChoice& choice,
                                                       const Target& target, int threads,
                                                       std::vector<NestTensor>* tensors) {
  const std::optional<ContractView> view = ViewAsContract(stage);
  if (!view || levels < 1 || levels > kMaxLevels) return Rejection::kWrongLeaf;
  if (!view->batch.empty() || choice.k_steps > 0 || choice.nv < 1 || choice.lanes < 1) return Rejection::kBadTile;
  Recursion shared{.choice = choice,
                   .target = target,
                   .levels = levels,
                   .tensors = *tensors,
                   .part = {MakeSymbol("part", 0, 1), DimExpr(1)}};
  for (size_t d = 0; d < view->b_indices.size(); ++d) {
    const DimExpr& index = std::get<DimExpr>(view->b_indices[d]);
    if (index == DimExpr(stage.axes[view->n].variable)) shared.b_n = static_cast<int>(d);
    for (const Axis& axis : stage.reduce) {
      if (Extent(axis) > 1 && index == DimExpr(axis.variable)) shared.b_k = static_cast<int>(d);
    }
  }
  if (shared.b_n < 0 || shared.b_k < 0) return Rejection::kNotLowered;
  const bool columns = !choice.parallel_m;
  if (threads > 1 && !ShareOut(stage, columns ? std::vector<int>{view->n} : view->m, threads, &shared))
    return Rejection::kBadTile;
  StripKernel& kernel = shared.plan.kernel;
  kernel.rows = 0;
  kernel.strips = Extent(shared.part);
  kernel.strip = MakeSymbol("strip", 0, std::max<int64_t>(1, kernel.strips - 1));
  kernel.chunks = static_cast<int>(std::min<int64_t>(threads, kernel.strips));
  if (columns) shared.quarters.parts = kernel.strips;
  if (const auto rejection = StrassenScheduler(stage, *view, 0, 0, &shared).Run()) return *rejection;
  (*tensors)[shared.packed].layout = shared.plan.packed;
  shared.plan.saved_flops -= 2 * static_cast<double>(Points(stage.axes) * Points(stage.reduce));
  return std::move(shared.plan);
}

}  // namespace hone
