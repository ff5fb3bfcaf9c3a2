#include "compiler/schedule/schedule.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "compiler/schedule/decisions.h"
#include "compiler/schedule/fused_stages.h"
#include "compiler/schedule/nest_statistics.h"
#include "compiler/schedule/stage_schedule.h"
#include "compiler/schedule/strassen_schedule.h"
#include "compiler/schedule/strip_schedule.h"
#include "compiler/schedule/winograd_schedule.h"

namespace hone {
namespace {

constexpr int64_t kMaxScratchBytes = int64_t{1} << 34;

// Row-major images run in vectors along their rows, where padding must lie in memory.
bool ReadsBlocks(const Graph& graph) {
  return std::any_of(graph.inputs().begin(), graph.inputs().end(),
                     [&](TensorId id) { return !graph.tensor(id).layout.IsPlain(); });
}

class NestBuilder {
 public:
  NestBuilder(const Task& task, FusedStages fused, const Decisions& decisions)
      : task_(task), fused_(std::move(fused)), decisions_(decisions) {}

  std::variant<Scheduled, Rejection> Run() {
    PlaceTensors();
    if (decisions_.strips) {
      if (const auto rejection = AddStrips()) return *rejection;
      return Finish();
    }
    const int anchor = CostliestStage(fused_);
    std::optional<ConvView> unpadded;  // what reads its image itself
    if (decisions_.winograd || decisions_.contract.rows == RowTiles::kBands) {
      unpadded = ViewAsConv(fused_, anchor);
      const auto suits = [&](const ConvView& view) {
        if (!decisions_.winograd) return view.padding_stage >= 0;
        return SuitsWinograd(view, fused_) && LoadsOf(fused_, view.contract.b) == 1;
      };
      if (!unpadded || !suits(*unpadded)) return Rejection::kWrongLeaf;
    }
    const bool generic = decisions_.leaf == Decisions::Leaf::kGeneric;
    for (size_t s = 0; s < fused_.stages.size();) {
      const bool is_anchor = static_cast<int>(s) == anchor;
      if (generic) {
        AddStage(s++, {.lanes = 1}, 1);
      } else if (unpadded && static_cast<int>(s) == unpadded->padding_stage) {
        nest_.tensors[unpadded->contract.a].place = NestTensor::Place::kNone;
        ++s;
      } else if (is_anchor && decisions_.winograd) {
        if (const auto rejection = AddWinograd(fused_.stages[s++], *unpadded)) return *rejection;
      } else if (is_anchor && unpadded) {
        if (const auto rejection = AddContract(WithoutPadding(fused_.stages[s++], *unpadded)))
          return *rejection;
      } else if (is_anchor && decisions_.strassen > 0) {
        if (const auto rejection = AddStrassen(fused_.stages[s++])) return *rejection;
      } else if (is_anchor && decisions_.leaf == Decisions::Leaf::kContract) {
        if (const auto rejection = AddContract(fused_.stages[s++])) return *rejection;
      } else if (const size_t end = RowsFrom(s); end > s + 1) {
        AddRows(s, end);
        s = end;
      } else {
        AddStage(s++, is_anchor ? decisions_.anchor : StageChoice(), task_.threads);
      }
    }
    return Finish();
  }

 private:
  std::variant<Scheduled, Rejection> Finish() {
    if (!PlaceScratch()) return Rejection::kTooLarge;
    NestStatistics statistics = StatisticsOf(nest_, task_.target);
    statistics.flops -= saved_flops_;
    statistics.transform_bytes += partial_bytes_;
    double given = 0;
    for (const ProgramTensor& tensor : fused_.tensors) {
      if (tensor.role != ProgramTensor::Role::kConstant) continue;
      given += static_cast<double>(Product(tensor.shape).Constant() * DTypeBytes(tensor.dtype));
    }
    if (given > 0) statistics.constant_growth = std::max(1.0, statistics.constant_bytes / given);
    return Scheduled{std::move(nest_), statistics};
  }

  void PlaceTensors() {
    std::vector<Layout> inputs, outputs;
    for (const TensorId id : task_.graph.inputs()) inputs.push_back(task_.graph.tensor(id).layout);
    for (const TensorId id : task_.graph.outputs()) outputs.push_back(task_.graph.tensor(id).layout);
    size_t input = 0, output = 0;
    for (const ProgramTensor& tensor : fused_.tensors) {
      NestTensor placed{.dtype = tensor.dtype, .dims = tensor.shape, .layout = Layout::Plain(static_cast<int>(tensor.shape.size()))};
      if (tensor.role == ProgramTensor::Role::kInput) placed.layout = inputs[input++];
      if (tensor.role == ProgramTensor::Role::kOutput) placed.layout = outputs[output++];
      nest_.tensors.push_back(std::move(placed));
    }
    using Role = ProgramTensor::Role;
    for (const Role role : {Role::kInput, Role::kConstant, Role::kOutput}) {
      for (size_t t = 0; t < fused_.tensors.size(); ++t) {
        if (fused_.tensors[t].role != role) continue;
        nest_.tensors[t].place = NestTensor::Place::kArgument;
        nest_.tensors[t].argument = nest_.arguments++;
        nest_.tensors[t].packable =
            role == Role::kConstant && LoadsOf(fused_, static_cast<ProgramTensorId>(t)) == 1;
        if (role == Role::kConstant) {
          nest_.constants.push_back({static_cast<int>(nest_.constants.size()), nest_.tensors[t].layout});
        }
      }
    }
    for (const StageLoops& stage : fused_.stages) {
      for (const Store& store : stage.stores) GiveTemporaryLayout(stage, store.tensor);
    }
  }

  // A temporary is stored as what it is computed from, so that vectors run along the same axis.
  void GiveTemporaryLayout(const StageLoops& stage, ProgramTensorId tensor) {
    NestTensor& placed = nest_.tensors[tensor];
    if (placed.place != NestTensor::Place::kNone) return;
    placed.place = NestTensor::Place::kScratch;
    if (decisions_.leaf == Decisions::Leaf::kGeneric) return;
    ForEachLoad(stage, [&](const Scalar& load) {
      const NestTensor& source = nest_.tensors[load.tensor];
      if (placed.layout.IsPlain() && source.layout.rank() == placed.layout.rank() && !source.layout.IsPlain() &&
          fused_.tensors[load.tensor].role != ProgramTensor::Role::kConstant) {
        placed.layout = source.layout.WithoutHalo();
      }
    });
  }

  void AddStage(size_t s, const StageChoice& choice, int threads) {
    StageLoops stage = fused_.stages[s];
    PickLanes(nest_.tensors, task_.target, choice, &stage);
    for (const auto& [constant, layout] : PackingsForLanes(nest_.tensors, stage))
      SetConstantLayout(constant, layout);
    ArrangeLoops(nest_.tensors, task_.target, choice, &stage);
    nest_.kernels.push_back(KernelOf(std::move(stage), threads));
  }

  void SetConstantLayout(ProgramTensorId tensor, const Layout& layout) {
    nest_.tensors[tensor].layout = layout;
    const int inputs = static_cast<int>(task_.graph.inputs().size());
    nest_.constants[nest_.tensors[tensor].argument - inputs].layout = layout;
  }

  // The end of the run of stages from s that share rows: those that feed each other row by row.
  size_t RowsFrom(size_t s) const {
    size_t end = s + 1;
    const auto enough = [&](size_t e) {
      const int outer = SharedAxes(fused_, s, e);
      const std::vector<Axis>& axes = fused_.stages[s].axes;
      if (outer == 0 || Points({axes.begin(), axes.begin() + outer}) < task_.threads) return false;
      for (size_t i = s; i < e; ++i) {
        if (LaneAxisOf(i) < outer) return false;   // rows would be computed one by one where vectors hold many
      }
      return true;
    };
    while (end < fused_.stages.size() && !ViewsAsAnchor(end) && enough(end + 1)) ++end;
    return ViewsAsAnchor(s) ? s + 1 : end;
  }

  // The output axis that a stage on its own would run in vectors; past the last where it has none.
  int LaneAxisOf(size_t s) const {
    StageLoops alone = fused_.stages[s];
    PickLanes(nest_.tensors, task_.target, {}, &alone);
    const int outputs = static_cast<int>(alone.axes.size());
    return alone.lane_axis < 0 ? outputs : std::min(alone.lane_axis, outputs);
  }

  bool ViewsAsAnchor(size_t s) const {
    return decisions_.leaf == Decisions::Leaf::kContract && static_cast<int>(s) == CostliestStage(fused_);
  }

  void AddRows(size_t begin, size_t end) {
    const int outer = SharedAxes(fused_, begin, end);
    const int rows = RowsTogether(fused_, begin, end, outer, task_.threads);
    for (size_t s = begin; s < end; ++s) {
      for (const Store& store : fused_.stages[s].stores) MakePrivate(store.tensor, begin, end, outer, rows);
    }
    const StageChoice choice = decisions_.leaf == Decisions::Leaf::kStage ? decisions_.anchor : StageChoice();
    StageKernel kernel =
        RowKernelOf(fused_, begin, end, outer, rows, nest_.tensors, task_.target, choice, task_.threads);
    for (NestTensor& tensor : nest_.tensors) {
      if (tensor.place != NestTensor::Place::kChunk || tensor.bytes > 0) continue;
      tensor.PlaceInChunk(&kernel.chunk_bytes);
    }
    nest_.kernels.push_back(std::move(kernel));
  }

  // A temporary that only these stages load lives for a few rows.
  void MakePrivate(ProgramTensorId tensor, size_t begin, size_t end, int outer, int rows) {
    NestTensor& placed = nest_.tensors[tensor];
    if (placed.place != NestTensor::Place::kScratch || !placed.layout.IsPlain()) return;
    for (size_t s = 0; s < fused_.stages.size(); ++s) {
      bool loads = false;
      ForEachLoad(fused_.stages[s], [&](const Scalar& load) { loads = loads || load.tensor == tensor; });
      if (loads && (s < begin || s >= end)) return;
    }
    placed.place = NestTensor::Place::kChunk;
    for (int d = 0; d < outer; ++d) {
      placed.rolled.push_back(d);
      placed.dims[d] = DimExpr(d + 1 == outer ? rows : 1);
    }
  }

  std::optional<Rejection> AddContract(const StageLoops& stage) {
    const std::optional<ContractView> view = ViewAsContract(stage);
    if (!view) return Rejection::kWrongLeaf;
    std::variant<ContractPlan, Rejection> planned =
        ScheduleContract(stage, *view, decisions_.contract, task_.target, task_.threads, nest_.tensors);
    if (std::holds_alternative<Rejection>(planned)) return std::get<Rejection>(planned);
    ContractPlan& plan = std::get<ContractPlan>(planned);
    plan.kernel.b = PackedOperand(plan.kernel.b, plan.b_layout);
    nest_.kernels.push_back(std::move(plan.kernel));
    return std::nullopt;
  }

  std::optional<Rejection> AddWinograd(const StageLoops& stage, const ConvView& view) {
    std::variant<WinogradPlan, Rejection> planned =
        ScheduleWinograd(stage, view, *decisions_.winograd, decisions_.contract, task_.target, task_.threads, &nest_.tensors);
    if (std::holds_alternative<Rejection>(planned)) return std::get<Rejection>(planned);
    WinogradPlan& plan = std::get<WinogradPlan>(planned);
    if (plan.transforms.empty()) {
      SetConstantLayout(view.contract.b, plan.packed);
    } else {
      TransformConstant(view.contract.b, plan.packed, std::move(plan.transforms));
    }
    nest_.kernels.push_back(std::move(plan.kernel));
    return std::nullopt;
  }

  std::optional<Rejection> AddStrassen(const StageLoops& stage) {
    const std::optional<ContractView> view = ViewAsContract(stage);
    if (!view || fused_.tensors[view->b].role != ProgramTensor::Role::kConstant || LoadsOf(fused_, view->b) != 1) {
      return Rejection::kWrongLeaf;
    }
    std::variant<StrassenPlan, Rejection> planned =
        ScheduleStrassen(stage, decisions_.strassen, decisions_.contract, task_.target, task_.threads, &nest_.tensors);
    if (std::holds_alternative<Rejection>(planned)) return std::get<Rejection>(planned);
    StrassenPlan& plan = std::get<StrassenPlan>(planned);
    nest_.kernels.push_back(std::move(plan.kernel));
    TransformConstant(view->b, plan.packed, std::move(plan.transforms));
    saved_flops_ = plan.saved_flops;
    partial_bytes_ = plan.partial_bytes;
    return std::nullopt;
  }

  std::optional<Rejection> AddStrips() {
    const std::optional<StripView> view = ViewAsStrips(fused_);
    if (!view) return Rejection::kWrongLeaf;
    std::variant<StripPlan, Rejection> planned =
        ScheduleStrips(fused_, *view, *decisions_.strips, task_.target, task_.threads, &nest_.tensors);
    if (std::holds_alternative<Rejection>(planned)) return std::get<Rejection>(planned);
    StripPlan& plan = std::get<StripPlan>(planned);
    for (const auto& [constant, layout] : plan.constants) SetConstantLayout(constant, layout);
    nest_.kernels.push_back(std::move(plan.kernel));
    return std::nullopt;
  }

  // The transformed constant has its place.
  void TransformConstant(ProgramTensorId b, const Layout& packed, AxisTransforms transforms) {
    NestTensor& weights = nest_.tensors[b];
    NestConstant& constant = nest_.constants[static_cast<size_t>(weights.argument) - task_.graph.inputs().size()];
    constant.layout = packed;
    constant.transforms = std::move(transforms);
    weights.place = NestTensor::Place::kNone;
  }

  // Constants are packed ahead, everything else at each run.
  ProgramTensorId PackedOperand(ProgramTensorId b, const Layout& layout) {
    const ProgramTensor& tensor = fused_.tensors[b];
    if (tensor.role == ProgramTensor::Role::kConstant && LoadsOf(fused_, b) == 1) {
      SetConstantLayout(b, layout);
      return b;
    }
    NestTensor packed = nest_.tensors[b];
    packed.place = NestTensor::Place::kScratch;
    packed.layout = layout;
    nest_.tensors.push_back(packed);
    const ProgramTensorId id = static_cast<ProgramTensorId>(nest_.tensors.size()) - 1;
    StageLoops copy{.name = "pack"};
    std::vector<LoadIndex> identity;
    for (size_t d = 0; d < packed.dims.size(); ++d) {
      const SymbolRef axis = MakeSymbol(absl::StrCat("p", d), 0, packed.dims[d].Constant() - 1);
      copy.axes.push_back({axis, packed.dims[d]});
      identity.push_back(DimExpr(axis));
    }
    copy.dtype = tensor.dtype;
    copy.stores.push_back({id, identity, Load(b, tensor.dtype, identity)});
    ScheduleStage(nest_.tensors, task_.target, {}, &copy);
    nest_.kernels.push_back(KernelOf(std::move(copy), task_.threads));
    return id;
  }

  bool PlaceScratch() {
    for (NestTensor& tensor : nest_.tensors) {
      if (tensor.place == NestTensor::Place::kChunk) continue;
      tensor.bytes = tensor.StorageBytes();
      if (tensor.place != NestTensor::Place::kScratch) continue;
      tensor.offset = nest_.scratch_bytes;
      nest_.scratch_bytes += tensor.bytes;
    }
    for (Kernel& kernel : nest_.kernels) {
      const auto place = [&](auto& chunked) {
        chunked.scratch_offset = nest_.scratch_bytes;
        nest_.scratch_bytes += chunked.chunk_bytes * chunked.chunks;
      };
      if (StageKernel* stages = std::get_if<StageKernel>(&kernel)) place(*stages);
      if (WinogradKernel* winograd = std::get_if<WinogradKernel>(&kernel)) {
        place(*winograd);
        nest_.scratch_bytes += WinogradKernel::kCounterBytes * winograd->chunks;
      }
      if (StripKernel* strips = std::get_if<StripKernel>(&kernel)) place(*strips);
    }
    return nest_.scratch_bytes <= kMaxScratchBytes;
  }

  const Task& task_;
  FusedStages fused_;
  const Decisions& decisions_;
  LoopNest nest_;
  double saved_flops_ = 0, partial_bytes_ = 0;   // of Strassen's algorithm
};

}  // namespace

std::string_view RejectionText(Rejection rejection) {
  switch (rejection) {
    case Rejection::kUnknownAlgorithm: return "unknown algorithm";
    case Rejection::kWrongLeaf: return "the leaf does not fit the task or the target";
    case Rejection::kTooManyRegisters: return "the tile needs more registers than the target has";
    case Rejection::kTooFewAccumulators: return "too few accumulators to hide the latency";
    case Rejection::kWidthNotOfTarget: return "the target has no vectors of this width";
    case Rejection::kBadTile: return "the tile does not fit the extents";
    case Rejection::kTooManyPatterns: return "the row tiles cross image rows in too many ways";
    case Rejection::kUnknownAxis: return "unknown axis";
    case Rejection::kNotLowered: return "not lowered to machine code yet";
    case Rejection::kTooLarge: return "the scratch memory is too large";
    case Rejection::kNotExact: return "the algorithm changes rounding, which the task's policy forbids";
  }
  return "rejected";
}

// The costliest stage, but never the padding of a window: its guards cost nothing.
static int AnchorStage(const FusedStages& fused) {
  const int costliest = CostliestStage(fused);
  if (!fused.stages[costliest].reduce.empty() || fused.stages[costliest].stores[0].value->kind != Scalar::Kind::kSelect) {
    return costliest;
  }
  for (size_t s = static_cast<size_t>(costliest); s < fused.stages.size(); ++s) {
    if (fused.stages[s].reduce.size() >= 2) return static_cast<int>(s);
  }
  return costliest;
}

static Anchor AnchorOf(const FusedStages& fused, int index) {
  const StageLoops& stage = fused.stages[index];
  Anchor anchor{.stage = index};
  anchor.outer = Points(stage.axes);
  anchor.lanes = stage.axes.empty() ? 1 : Extent(stage.axes.back());
  anchor.outer /= std::max<int64_t>(1, anchor.lanes);
  if (const std::optional<ContractView> view = ViewAsContract(stage)) {
    anchor.kind = AnchorKind::kContract;
    anchor.k = Points(stage.reduce);
    anchor.n = Extent(stage.axes[view->n]);
    for (const int axis : view->batch) anchor.batch *= Extent(stage.axes[axis]);
    if (view->group >= 0) anchor.groups = Extent(stage.axes[view->group]);
    for (const int axis : view->m) anchor.m *= Extent(stage.axes[axis]);
    anchor.constant_b = fused.tensors[view->b].role == ProgramTensor::Role::kConstant;
    const bool image = stage.reduce.size() >= 3 && !view->m.empty();
    anchor.row = image ? Extent(stage.axes[view->m.back()]) : 1;
    for (const Axis& axis : stage.reduce) anchor.k_inner = std::max(anchor.k_inner, Extent(axis));
    const std::optional<ConvView> conv = ViewAsConv(fused, anchor.stage);
    if (conv) anchor.inside = ShareInside(fused, stage, *conv);
    if (conv && SuitsWinograd(*conv, fused)) {
      for (int d = 0; d < 2; ++d) {
        anchor.taps[d] = conv->dims[d].taps;
        anchor.stride[d] = conv->dims[d].stride;
        anchor.dilation[d] = conv->dims[d].dilation;
        anchor.tiled[d] =
            (Extent(stage.axes[conv->dims[d].out]) + anchor.dilation[d] - 1) / anchor.dilation[d];
      }
    }
    return anchor;
  }
  const bool reduces = std::any_of(fused.stages.begin(), fused.stages.end(),
                                   [](const StageLoops& other) { return !other.reduce.empty(); });
  if (stage.reduce.empty()) {
    if (reduces) anchor.kind = AnchorKind::kRow;   // softmax: its costliest stage is the exponentials
    return anchor;
  }
  // A third axis is that of a group's channels.
  const bool window = stage.reduce.size() >= 2 && (stage.reduce.size() > 2 || Points(stage.reduce) <= 256) &&
                      stage.axes.size() >= 4 && Extent(stage.axes.back()) > 1;
  anchor.kind = window ? AnchorKind::kWindow : AnchorKind::kRow;
  anchor.window = Points(stage.reduce);
  anchor.tile_extent = anchor.lanes;
  if (window) anchor.lanes = Extent(stage.axes[1]);
  return anchor;
}

// Stages that read each other row by row, windows without their padding.
static std::optional<Anchor> StripAnchor(const TensorProgram& program) {
  if (program.stages.size() < 2) return std::nullopt;
  const std::variant<FusedStages, Rejection> result = FuseStages(program, true);
  const FusedStages* fused = std::get_if<FusedStages>(&result);
  const std::optional<StripView> view = fused == nullptr ? std::nullopt : ViewAsStrips(*fused);
  if (!view) return std::nullopt;
  Anchor anchor{.kind = AnchorKind::kStrip, .stage = CostliestStage(*fused)};
  for (size_t s = 0; s < fused->stages.size(); ++s) {
    if (view->parts[s].padding) continue;
    anchor.parts.push_back(AnchorOf(*fused, static_cast<int>(s)));
    if (fused->stages[s].reduce.empty()) anchor.parts.back().kind = AnchorKind::kMap;
  }
  if (anchor.parts.size() == 1) anchor = Anchor(anchor.parts[0]);
  anchor.rows = Extent(fused->stages.back().axes[2]);
  return anchor;
}

absl::StatusOr<Anchor> FindAnchor(const TensorProgram& program) {
  std::variant<FusedStages, Rejection> result = FuseStages(program);
  if (std::holds_alternative<Rejection>(result)) {
    return absl::UnimplementedError(std::string(RejectionText(std::get<Rejection>(result))));
  }
  const FusedStages& fused = std::get<FusedStages>(result);
  if (fused.stages.empty()) return absl::InvalidArgumentError("the program computes nothing");
  if (const std::optional<Anchor> strips = StripAnchor(program)) return *strips;
  return AnchorOf(fused, AnchorStage(fused));
}

std::variant<Scheduled, Rejection> Schedule(const Task& task, const TensorProgram& program, const Trace& trace) {
  std::variant<Decisions, Rejection> decisions = ReadDecisions(trace, task.target);
  if (std::holds_alternative<Rejection>(decisions)) return std::get<Rejection>(decisions);
  const bool inexact = std::get<Decisions>(decisions).winograd || std::get<Decisions>(decisions).strassen > 0;
  if (inexact && task.policy == AlgorithmPolicy::kExact) return Rejection::kNotExact;
  const Decisions::Leaf leaf = std::get<Decisions>(decisions).leaf;
  const bool blocks = std::get<Decisions>(decisions).strips || ReadsBlocks(task.graph);
  std::variant<FusedStages, Rejection> fused =
      FuseStages(program, leaf != Decisions::Leaf::kGeneric && blocks);
  if (std::holds_alternative<Rejection>(fused)) return std::get<Rejection>(fused);
  return NestBuilder(task, std::get<FusedStages>(std::move(fused)), std::get<Decisions>(decisions)).Run();
}

}  // namespace hone
