#include "compiler/schedule/winograd_schedule.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "compiler/schedule/cook_toom.h"

namespace hone {
namespace {

constexpr int64_t kMaxTaps = 7;
constexpr int kMaxOutputs = 8;
constexpr int64_t kMostInterleaved = 8;   // channels
constexpr int64_t kLine = 16;             // elements of a cache line
constexpr int64_t kKernelsShare = 4;  // of the second-level cache, for the kernels of a pass
constexpr const char* kPointNames[] = {"point_row", "point_column"};   // batch axes of the products

}  // namespace

bool SuitsWinograd(const ConvView& view, const FusedStages& fused) {
  const auto allowed = [](const ConvView::Dim& dim) {
    return dim.taps <= kMaxTaps && (dim.dilation == 1 || dim.stride == 1);
  };
  return allowed(view.dims[0]) && allowed(view.dims[1]) &&
         (view.dims[0].taps > view.dims[0].stride || view.dims[1].taps > view.dims[1].stride) &&
         fused.tensors[view.contract.b].role == ProgramTensor::Role::kConstant;
}

namespace {

class WinogradScheduler {
 public:
  WinogradScheduler(const StageLoops& stage, const ConvView& view, const WinogradChoice& choice,
                    const ContractChoice& contract, const Target& target, int threads,
                    std::vector<NestTensor>* tensors)
      : stage_(stage),
        view_(view),
        choice_(choice),
        contract_(contract),
        target_(target),
        threads_(threads),
        tensors_(*tensors) {}

  std::variant<WinogradPlan, Rejection> Run() {
    if (choice_.outputs < 2 || choice_.outputs > kMaxOutputs || choice_.tiles < 1) return Rejection::kBadTile;
    if (contract_.nv < 1 || contract_.lanes < 1) return Rejection::kBadTile;
    SetAxes();
    if (!SetSource()) return Rejection::kNotLowered;
    CutBlocks();
    if (const auto rejection = CutPasses()) return *rejection;
    AddTemporaries();
    if (const auto rejection = AddContracts()) return *rejection;
    kernel().stores = stage_.stores;
    return std::move(plan_);
  }

 private:
  WinogradKernel& kernel() { return plan_.kernel; }
  const Axis& OutAxis(int d) const { return stage_.axes[view_.dims[d].out]; }
  int64_t Channels() const { return Extent(stage_.reduce[view_.channel]); }
  int64_t PhaseChannels() const { return Channels() * plan_.kernel.Phases(); }
  int64_t OutChannels() const { return Extent(stage_.axes[view_.out_channel]); }
  int64_t PanelWidth() const { return int64_t{contract_.nv} * contract_.lanes; }

  void SetAxes() {
    kernel().image = stage_.axes[view_.image];
    kernel().out_channel = stage_.axes[view_.out_channel];
    const int group = view_.contract.group;
    kernel().group = group < 0 ? Axis{MakeSymbol("group", 0, 1), DimExpr(1)} : stage_.axes[group];
    kernel().channel = stage_.reduce[view_.channel];
    kernel().lanes = contract_.lanes;
    for (int d = 0; d < 2; ++d) {
      WinogradDim& dim = kernel().dims[d];
      dim.taps = static_cast<int>(view_.dims[d].taps);
      dim.stride = static_cast<int>(view_.dims[d].stride);
      dim.dilation = static_cast<int>(view_.dims[d].dilation);
      dim.out = OutAxis(d);
      const int longest = (dim.taps + dim.stride - 1) / dim.stride;   // phase
      dim.outputs = longest == 1 ? 1 : choice_.outputs;
      dim.points = dim.outputs + longest - 1;
      const int64_t reach = int64_t{dim.outputs} * dim.dilation;  // of a tile of each remainder
      dim.tiles = (Extent(dim.out) + reach - 1) / reach * dim.dilation;
      dim.before = view_.before[d];
      dim.source_extent = tensors_[view_.source].dims[static_cast<size_t>(2 + d)].Constant();
      const CookToom transform = MakeCookToom(dim.outputs, longest);
      dim.input = LinearProgram::Of(transform.input);
      dim.output = LinearProgram::Of(transform.output);
      Matrix phased = PhasedKernel(transform.kernel, dim.taps, dim.stride);
      if (choice_.given) {
        dim.kernel = LinearProgram::Of(phased);
      } else {
        plan_.transforms.push_back({2 + d, std::move(phased)});
      }
    }
  }

  // Both transforms run in vectors along the channels: so many of these must lie side by side.
  bool SetSource() {
    kernel().source = view_.source;
    kernel().row = MakeSymbol("row", 0, std::max<int64_t>(1, kernel().dims[0].source_extent - 1));
    kernel().column = MakeSymbol("column", 0, std::max<int64_t>(1, kernel().dims[1].source_extent - 1));
    kernel().source_indices = {DimExpr(kernel().image.variable),
                               InGroup(kernel().channel.variable, Channels()), DimExpr(kernel().row),
                               DimExpr(kernel().column)};
    const DimExpr offset = tensors_[kernel().source].Offset(kernel().source_indices);
    if (const int lanes = ContiguousLanes(offset, kernel().channel); lanes > 0) {
      kernel().input_lanes = lanes;
      const DimExpr in_lanes = InLanes(offset, kernel().channel, lanes).first;
      if (LaneStride(in_lanes, kernel().row).value_or(0) == 0 || LaneStride(in_lanes, kernel().column).value_or(0) == 0) {
        return false;
      }
    } else if (!(interleaves_ = Interleaves(offset))) {
      return false;
    }
    for (const Store& store : stage_.stores) {
      std::vector<DimExpr> indices;
      for (const LoadIndex& index : store.indices) indices.push_back(std::get<DimExpr>(index));
      const int lanes =
          ContiguousLanes(tensors_[store.tensor].Offset(std::move(indices)), kernel().out_channel);
      kernel().lanes = std::min(kernel().lanes, lanes);
    }
    return kernel().lanes > 0;
  }

  // Row-major, with few channels.
  bool Interleaves(const DimExpr& offset) {
    const WinogradDim& across = kernel().dims[1];
    if (Channels() > kMostInterleaved || kernel().dims[0].dilation * across.dilation > 1 ||
        std::min(across.source_extent, across.Reach() - across.before) < contract_.lanes) {
      return false;
    }
    if (LaneStride(offset, kernel().column) != 1 || !LaneStride(offset, kernel().row)) return false;
    // The narrowest vectors that hold a column's channels and phases.
    kernel().input_lanes = contract_.lanes;
    for (const int width : target_.row->vector_widths) {
      if (width >= Channels() * across.Phases()) kernel().input_lanes = std::min(kernel().input_lanes, width);
    }
    return LaneStride(offset, kernel().channel.variable).has_value();
  }

  // Channel `channel` of the group at hand, in a tensor that has `channels` for each.
  DimExpr InGroup(const SymbolRef& channel, int64_t channels) const {
    if (plan_.kernel.Groups() == 1) return DimExpr(channel);
    return DimExpr(channels) * DimExpr(plan_.kernel.group.variable) + DimExpr(channel);
  }
  static std::pair<DimExpr, SymbolRef> InLanes(const DimExpr& offset, const Axis& axis, int lanes) {
    const SymbolRef lane = MakeSymbol("lane", 0, lanes - 1);
    const SymbolRef block = MakeSymbol("block", 0, std::max<int64_t>(1, Extent(axis) / lanes));
    return {offset.Substitute({{axis.variable, DimExpr(lanes) * DimExpr(block) + DimExpr(lane)}}), lane};
  }
  // The widest vectors, up to the products', that lie side by side along the axis; 0: none.
  int ContiguousLanes(const DimExpr& offset, const Axis& axis) const {
    for (const int lanes : target_.row->vector_widths) {
      if (lanes > contract_.lanes) continue;
      const auto [in_lanes, lane] = InLanes(offset, axis, lanes);
      if (LaneStride(in_lanes, lane) == 1) return lanes;
    }
    return 0;
  }

  // As many near-equal blocks as the wanted size asks for. Threads share them, a multiple of their number, or the panels:
  // every thread then reads its part of the kernels only, which counts where these are larger than the images.
  void CutBlocks() {
    const int64_t tiles = kernel().Tiles();
    int64_t blocks = (tiles + choice_.tiles - 1) / choice_.tiles;
    if (!contract_.parallel_m) {
      kernel().parts = std::min<int64_t>(threads_, (OutChannels() + PanelWidth() - 1) / PanelWidth());
    }
    if (kernel().parts == 1) {
      while (blocks < tiles && blocks * kernel().Groups() % threads_ != 0) ++blocks;
    }
    kernel().blocks = blocks;
    largest_ = (tiles + blocks - 1) / blocks;
    // A chunk for each thread, whose temporaries stay in its cache.
    kernel().chunks = static_cast<int>(std::min<int64_t>(kernel().Units(), threads_));
  }

  // Equal parts of the channels, whose transformed kernels stay near.
  std::optional<Rejection> CutPasses() {
    kernel().pass = Axis{MakeSymbol("pass", 0, 1), DimExpr(1)};
    if (!choice_.given) return std::nullopt;
    if (kernel().Groups() > 1 && OutChannels() % PanelWidth() != 0) return Rejection::kBadTile;
    const int64_t bytes = PanelWidth() * DTypeBytes(DType::kF32) * kernel().Phases() *
                          kernel().dims[0].points * kernel().dims[1].points;  // of a channel
    const int64_t most = std::max<int64_t>(1, target_.row->l2_bytes / kKernelsShare / bytes);
    const int64_t wanted = contract_.k_steps > 0 ? contract_.k_steps : most;
    if (contract_.k_steps >= Channels()) return Rejection::kBadTile;
    int64_t passes = (Channels() + wanted - 1) / wanted;
    while (Channels() % passes != 0) ++passes;
    if (passes == Channels()) passes = 1;  // no sums of one term
    kernel().pass = Axis{MakeSymbol("pass", 0, std::max<int64_t>(1, passes - 1)), DimExpr(passes)};
    kernel().given = view_.contract.b;
    return std::nullopt;
  }
  int64_t PassChannels() const { return Channels() / Extent(plan_.kernel.pass); }

  ProgramTensorId AddTemporary(std::vector<DimExpr> dims, int64_t padding, int64_t more_rows = 0) {
    NestTensor tensor{.dims = std::move(dims)};
    const int last = static_cast<int>(tensor.dims.size()) - 1;
    tensor.layout = Layout::Plain(last + 1).WithHalo(last, {0, padding});
    if (more_rows > 0) tensor.layout = tensor.layout.WithHalo(last - 1, {0, more_rows});
    tensor.PlaceInChunk(&kernel().chunk_bytes);
    tensors_.push_back(std::move(tensor));
    return static_cast<ProgramTensorId>(tensors_.size()) - 1;
  }

  void AddTemporaries() {
    const DimExpr rows(kernel().dims[0].points), columns(kernel().dims[1].points), tiles(largest_);
    // Rows and planes are odd numbers of lines: all points of a tile have cache sets of their own.
    const auto points = [&](int64_t channels) {
      const int64_t lines = (channels + kLine - 1) / kLine | 1;
      return AddTemporary({rows, columns, tiles, DimExpr(channels)}, lines * kLine - channels,
                          1 - largest_ % 2);
    };
    kernel().transformed = points(PhaseChannels());
    kernel().products = points(OutChannels());
    if (interleaves_) {
      const WinogradDim& across = kernel().dims[1];
      const int64_t touched = std::min((largest_ + across.tiles - 2) / across.tiles + 1, kernel().Tiles() / across.tiles);
      kernel().interleaved = AddTemporary(
          {DimExpr(touched), DimExpr(kernel().dims[0].Span()), DimExpr(across.Reach() * Channels())}, kLine);
    }
    // One tile, and a vector of zeros after it.
    kernel().edge = AddTemporary({DimExpr(int64_t{kernel().dims[0].points} * kernel().dims[1].points + 1),
                                  DimExpr(kernel().input_lanes)},
                                 0);
    NestTensor packed = tensors_[view_.contract.b];
    if (choice_.given) {
      packed.packable = false;
      packed.rolled = {0};
      packed.dims[0] = DimExpr(PanelWidth());
    }
    packed.dims[1] = DimExpr(kernel().Phases() * PassChannels());
    packed.dims[2] = rows;
    packed.dims[3] = columns;
    tensors_.push_back(std::move(packed));
    packed_ = static_cast<ProgramTensorId>(tensors_.size()) - 1;
  }

  // The products of a block with so many tiles, as a stage; those of a pass.
  StageLoops ProductStage(int64_t tiles) const {
    const auto axis = [](const char* name, int64_t extent) {
      return Axis{MakeSymbol(name, 0, std::max<int64_t>(1, extent - 1)), DimExpr(extent)};
    };
    StageLoops stage{.name = "products", .combine = Combine::kSum, .dtype = DType::kF32};
    stage.axes = {axis(kPointNames[0], plan_.kernel.dims[0].points), axis(kPointNames[1], plan_.kernel.dims[1].points),
                  axis("tile", tiles), axis("oc", OutChannels())};
    const auto at = [&](size_t i) { return DimExpr(stage.axes[i].variable); };
    DimExpr channel, kernel_channel, out_channel = at(3);  // of the images; of the kernels
    if (choice_.given) {
      stage.reduce = {axis("phase", plan_.kernel.Phases()), axis("ic", PassChannels())};
      const DimExpr phase(stage.reduce[0].variable), inside(stage.reduce[1].variable);
      channel = DimExpr(Channels()) * phase + DimExpr(PassChannels()) * DimExpr(plan_.kernel.pass.variable) +
                inside;
      kernel_channel = DimExpr(PassChannels()) * phase + inside;
    } else {
      stage.reduce = {axis("ic", PhaseChannels())};
      channel = kernel_channel = DimExpr(stage.reduce[0].variable);
      out_channel = InGroup(stage.axes[3].variable, OutChannels());
    }
    stage.body = {Binary(BinaryOp::kMul,
                         Load(plan_.kernel.transformed, DType::kF32, {at(0), at(1), at(2), channel}),
                         Load(packed_, DType::kF32, {out_channel, kernel_channel, at(0), at(1)}))};
    stage.stores = {{plan_.kernel.products, {at(0), at(1), at(2), at(3)}, Parameter(0, DType::kF32)}};
    return stage;
  }

  std::optional<Rejection> AddContracts() {
    const int64_t tiles = kernel().Tiles();
    const int64_t smallest = tiles / kernel().blocks;
    for (int64_t size = largest_; size >= smallest; --size) {
      const StageLoops stage = ProductStage(size);
      const std::optional<ContractView> view = ViewAsContract(stage);
      if (!view) return Rejection::kWrongLeaf;
      ContractChoice choice = contract_;
      choice.mr = static_cast<int>(std::min<int64_t>(choice.mr, size));
      choice.rows = RowTiles::kAffine;
      choice.parallel_n = choice.parallel_m = false;
      if (choice_.given) choice.k_steps = 0;
      std::variant<ContractPlan, Rejection> planned = ScheduleContract(stage, *view, choice, target_, 1, tensors_);
      if (std::holds_alternative<Rejection>(planned)) return std::get<Rejection>(planned);
      ContractPlan& plan = std::get<ContractPlan>(planned);
      plan_.packed = plan.b_layout;
      SkipShortPhases(&plan.kernel);
      if (kernel().Groups() > 1) plan.kernel.around = {kernel().group.variable};
      if (choice_.given) {
        plan.kernel.around.push_back(kernel().pass.variable);
        plan.kernel.prefetch = PrefetchOfTaps(plan.kernel);
      }
      kernel().contracts.push_back(std::move(plan.kernel));
    }
    if (choice_.given) return KeepKernels();
    tensors_[packed_].layout = plan_.packed;
    if (kernel().Phases() > 1 && !SplitPackedPhases()) return Rejection::kTooLarge;
    return std::nullopt;
  }

  // The products of a pass share the asking for the taps of the next one, which lie behind its own.
  ContractKernel::Prefetch PrefetchOfTaps(const ContractKernel& products) const {
    const WinogradKernel& kernel = plan_.kernel;
    const int64_t taps = int64_t{kernel.dims[0].taps} * kernel.dims[1].taps;
    const int64_t bytes = PassChannels() * taps * PanelWidth() * DTypeBytes(DType::kF32);
    const int64_t inner = Extent(products.k.back());
    const int64_t rounds = Points(products.k) / inner * ((inner + products.unroll - 1) / products.unroll);
    const int64_t uses = Points(products.batch) * static_cast<int64_t>(products.tiles.size());
    ContractKernel::Prefetch prefetch = ContractKernel::Prefetch::Shared(bytes, uses, rounds, bytes);
    prefetch.from = kernel.given;
    prefetch.indices = {InGroup(products.n.variable, OutChannels()),
                        DimExpr(PassChannels()) * DimExpr(kernel.pass.variable), DimExpr(0), DimExpr(0)};
    return prefetch;
  }

  // The transformed kernels of a pass, with planes that are no power of two apart; the constant as panels of
  // taps.
  std::optional<Rejection> KeepKernels() {
    kernel().kernels = packed_;
    NestTensor& kept = tensors_[packed_];
    kept.layout = plan_.packed.WithHalo(1, {0, 1});
    kept.PlaceInChunk(&kernel().chunk_bytes);
    const absl::StatusOr<Layout> panels = Layout::Parse(absl::StrCat("Abcd", PanelWidth(), "a"));
    if (!panels.ok()) return Rejection::kTooLarge;
    plan_.packed = *panels;
    return std::nullopt;
  }

  // The constant's transform leaves phases beside the points, the products read them outside of the channels.
  bool SplitPackedPhases() {
    std::string outer, blocks;
    const auto dim = [&](char letter, int64_t block) {
      outer += block > 1 ? static_cast<char>(letter - 'a' + 'A') : letter;
      if (block > 1) absl::StrAppend(&blocks, block, std::string(1, letter));
    };
    dim('c', kernel().dims[0].Phases());
    dim('d', kernel().dims[1].Phases());
    outer += 'A';
    dim('b', Channels());
    const absl::StatusOr<Layout> layout = Layout::Parse(absl::StrCat(outer, blocks, PanelWidth(), "a"));
    if (layout.ok()) plan_.packed = *layout;
    return layout.ok();
  }

  // Shorter phases have nothing to add at the last point.
  void SkipShortPhases(ContractKernel* contract) const {
    const auto& dims = plan_.kernel.dims;
    if (dims[0].LongPhases() == dims[0].Phases() && dims[1].LongPhases() == dims[1].Phases()) return;
    for (size_t last = 0; last < size_t{1} << contract->batch.size(); ++last) {
      int64_t count[] = {dims[0].Phases(), dims[1].Phases()};
      for (size_t axis = 0; axis < contract->batch.size(); ++axis) {
        const int d = contract->batch[axis].variable->name == kPointNames[0] ? 0 : 1;
        if ((last >> axis & 1) != 0) count[d] = dims[d].LongPhases();
      }
      std::vector<LoopRange> ranges;
      const int64_t steps = choice_.given ? 1 : Channels();  // of the outermost loop per phase
      for (int64_t row = 0; row < count[0]; ++row) {
        const int64_t begin = row * dims[1].Phases() * steps, end = begin + count[1] * steps;
        if (!ranges.empty() && ranges.back().end == begin) {
          ranges.back().end = end;
        } else {
          ranges.push_back({begin, end});
        }
      }
      contract->k_ranges.push_back(std::move(ranges));
    }
  }

  const StageLoops& stage_;
  const ConvView& view_;
  const WinogradChoice& choice_;
  const ContractChoice& contract_;
  const Target& target_;
  const int threads_;
  std::vector<NestTensor>& tensors_;
  int64_t largest_ = 1;              // tiles of a block
  bool interleaves_ = false;
  ProgramTensorId packed_ = -1;
  WinogradPlan plan_;
};

}  // namespace

std::variant<WinogradPlan, Rejection> ScheduleWinograd(const StageLoops& stage, const ConvView& view,
                                                       const WinogradChoice& choice,
                                                       const ContractChoice& contract, const Target& target,
                                                       int threads, std::vector<NestTensor>* tensors) {
  return WinogradScheduler(stage, view, choice, contract, target, threads, tensors).Run();
}

}  // namespace hone
