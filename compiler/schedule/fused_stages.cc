#include "compiler/schedule/fused_stages.h"

#include <algorithm>
#include <map>
#include <set>

#include "compiler/schedule/contract_view.h"
#include "compiler/schedule/guarded_reduction.h"

namespace hone {
namespace {

constexpr int kCheapOperations = 3;   // below, computing twice beats a round trip through memory
constexpr int64_t kMostTaps = 16;     // of an axis with a range: code is made for each

// Operations that code generation has instructions or polynomials for.
bool LoweredUnary(UnaryOp op, DType dtype) {
  switch (op) {
    case UnaryOp::kExp: case UnaryOp::kLog: case UnaryOp::kTanh: case UnaryOp::kErf: case UnaryOp::kSigmoid:
      return dtype == DType::kF32;
    case UnaryOp::kSin: case UnaryOp::kCos: case UnaryOp::kTan: case UnaryOp::kAsin: case UnaryOp::kAcos:
    case UnaryOp::kAtan: case UnaryOp::kSinh: case UnaryOp::kCosh: case UnaryOp::kAsinh: case UnaryOp::kAcosh:
    case UnaryOp::kAtanh:
      return false;
    default: return true;
  }
}

bool LoweredBinary(BinaryOp op, DType dtype) {
  if (op == BinaryOp::kPow) return dtype == DType::kF32;
  return !IsFloat(dtype) || (op != BinaryOp::kMod && op != BinaryOp::kFmod);
}

bool Lowered(const ScalarRef& scalar) {
  if (scalar->kind == Scalar::Kind::kUnary && !LoweredUnary(scalar->unary, scalar->operands[0]->dtype)) return false;
  if (scalar->kind == Scalar::Kind::kBinary && !LoweredBinary(scalar->binary, scalar->operands[0]->dtype)) return false;
  for (const LoadIndex& index : scalar->indices) {
    if (std::holds_alternative<ScalarRef>(index) && !Lowered(std::get<ScalarRef>(index))) return false;
  }
  return std::all_of(scalar->operands.begin(), scalar->operands.end(),
                     [](const ScalarRef& operand) { return Lowered(operand); });
}

bool Lowered(DType dtype) { return dtype != DType::kF16 && dtype != DType::kBF16; }

std::optional<Rejection> Unsupported(const TensorProgram& program) {
  for (const ProgramTensor& tensor : program.tensors) {
    if (!Lowered(tensor.dtype) || !ConstantShape(tensor.shape)) return Rejection::kNotLowered;
  }
  for (const Stage& stage : program.stages) {
    if (stage.scan) return Rejection::kNotLowered;
    for (const ScalarRef& body : stage.body) {
      if (!Lowered(body)) return Rejection::kNotLowered;
    }
  }
  return std::nullopt;
}

bool HasSelect(const ScalarRef& scalar) {
  if (scalar->kind == Scalar::Kind::kSelect) return true;
  return std::any_of(scalar->operands.begin(), scalar->operands.end(), HasSelect);
}

bool IsProductOfLoads(const ScalarRef& scalar) {
  return scalar->kind == Scalar::Kind::kBinary && scalar->binary == BinaryOp::kMul &&
         scalar->operands[0]->kind == Scalar::Kind::kLoad && scalar->operands[1]->kind == Scalar::Kind::kLoad;
}

// Builds FusedStages out of one program; keeps the program's stages by index until they are placed.
class Fuser {
 public:
  Fuser(const TensorProgram& program, bool skip_padding) : program_(program), skip_padding_(skip_padding) {
    fused_.tensors = program.tensors;
  }

  FusedStages Run() {
    for (const Stage& stage : program_.stages) stages_.push_back(stage);
    gone_.assign(stages_.size(), false);
    for (size_t i = 0; i < stages_.size(); ++i) {
      if (gone_[i] || !IsMap(stages_[i])) continue;
      if (skip_padding_ && SkipsPadding(i)) continue;
      if (Inlinable(i)) Inline(i);
    }
    for (size_t i = 0; i < stages_.size(); ++i) {
      if (!gone_[i]) fused_.stages.push_back(Loops(i));
    }
    return std::move(fused_);
  }

 private:
  static bool IsMap(const Stage& stage) { return stage.combine == Combine::kNone && stage.outputs.size() == 1; }

  bool IsIdentity(const Scalar& load, const Stage& stage) const {
    const std::vector<DimExpr>& shape = program_.tensors[load.tensor].shape;
    if (load.indices.size() != stage.axes.size()) return false;
    for (size_t d = 0; d < stage.axes.size(); ++d) {
      const DimExpr* index = std::get_if<DimExpr>(&load.indices[d]);
      const bool same = index != nullptr && (*index == DimExpr(stage.axes[d].variable) ||
                                             (*index == DimExpr(0) && stage.axes[d].extent == DimExpr(1)));
      if (!same || !(shape[d] == stage.axes[d].extent)) return false;
    }
    return true;
  }

  // A map stage that continues a reduction point by point belongs into the reduction's stores instead.
  bool ContinuesReduction(const Stage& stage) const {
    bool continues = false;
    ForEachLoad(stage.body[0], [&](const Scalar& load) {
      const Stage* producer = program_.ProducerOf(load.tensor);
      if (producer == nullptr || !IsIdentity(load, stage)) return;
      const auto [known, is_new] = continues_.try_emplace(producer, false);
      if (is_new) known->second = !IsMap(*producer) || ContinuesReduction(*producer);
      continues = continues || known->second;
    });
    return continues;
  }

  bool Inlinable(size_t i) const {
    const Stage& stage = stages_[i];
    const ProgramTensorId output = stage.outputs[0];
    if (program_.tensors[output].role != ProgramTensor::Role::kTemporary || ContinuesReduction(stage)) return false;
    int loads = 0;
    bool possible = true;
    for (size_t j = i + 1; j < stages_.size(); ++j) {
      for (const ScalarRef& body : stages_[j].body) {
        ForEachLoad(body, [&](const Scalar& load) {
          if (load.tensor != output) return;
          ++loads;
          for (const LoadIndex& index : load.indices) possible = possible && std::holds_alternative<DimExpr>(index);
          if (!IsMap(stages_[j])) {
            possible = possible && !HasSelect(stage.body[0]) && !IsProductOfLoads(stages_[j].body[0]);
          }
        });
      }
    }
    const ScalarCost cost = CostOf(stage.body[0]);
    return possible && (loads == 1 || (cost.transcendental == 0 && cost.operations <= kCheapOperations));
  }

  void Inline(size_t i) {
    const Stage& producer = stages_[i];
    for (size_t j = i + 1; j < stages_.size(); ++j) {
      for (ScalarRef& body : stages_[j].body) body = ReplaceLoads(body, producer);
    }
    gone_[i] = true;
  }

  // Puts a stage that selects between a tensor and a constant into the one window that loads it, as ranges of taps.
  bool SkipsPadding(size_t i) {
    const Stage& padding = stages_[i];
    const ProgramTensorId output = padding.outputs[0];
    const ScalarRef& select = padding.body[0];
    if (program_.tensors[output].role != ProgramTensor::Role::kTemporary || select->kind != Scalar::Kind::kSelect ||
        select->operands[1]->kind != Scalar::Kind::kLoad) {
      return false;
    }
    std::set<size_t> readers;
    for (size_t j = i + 1; j < stages_.size(); ++j) {
      for (const ScalarRef& body : stages_[j].body) {
        ForEachLoad(body, [&](const Scalar& load) {
          if (load.tensor == output) readers.insert(j);
        });
      }
    }
    if (readers.size() != 1) return false;
    const size_t j = *readers.begin();
    Stage& window = stages_[j];
    StageLoops loops{.axes = window.axes,
                     .reduce = window.reduce,
                     .combine = window.combine,
                     .body = window.body,
                     .dtype = window.body[0]->dtype};
    SplitGroups(&loops);
    if (window.body.size() != 1 || ranges_.contains(j) || ViewAsContract(loops)) return false;
    std::optional<GuardedReduction> guarded =
        RangesOfGuards(ReplaceLoads(window.body[0], padding), window.combine, window.reduce);
    if (!guarded) return false;
    for (size_t r = 0; r < window.reduce.size(); ++r) {
      const bool whole = guarded->ranges[r].begin == DimExpr(0) && guarded->ranges[r].end == window.reduce[r].extent;
      if (!whole && Extent(window.reduce[r]) > kMostTaps) return false;
    }
    window.body[0] = guarded->body;
    ranges_[j] = std::move(guarded->ranges);
    gone_[i] = true;
    return true;
  }

  static ScalarRef ReplaceLoads(const ScalarRef& scalar, const Stage& producer) {
    return Rewrite(scalar, [&](const ScalarRef& node) -> ScalarRef {
      if (node->kind != Scalar::Kind::kLoad || node->tensor != producer.outputs[0]) return nullptr;
      std::map<SymbolRef, DimExpr> values;
      for (size_t d = 0; d < producer.axes.size(); ++d) {
        values.emplace(producer.axes[d].variable, std::get<DimExpr>(node->indices[d]));
      }
      return SubstituteAxes(producer.body[0], values);
    });
  }

  StageLoops Loops(size_t i) {
    const Stage& stage = stages_[i];
    StageLoops loops{.name = stage.name, .axes = stage.axes, .reduce = stage.reduce, .combine = stage.combine};
    loops.dtype = stage.body[0]->dtype;
    std::vector<LoadIndex> identity;
    for (const Axis& axis : stage.axes) identity.push_back(DimExpr(axis.variable));
    if (IsMap(stage)) {
      loops.stores.push_back({stage.outputs[0], identity, stage.body[0]});
      return loops;
    }
    loops.body = stage.body;
    if (const auto ranges = ranges_.find(i); ranges != ranges_.end()) loops.ranges = ranges->second;
    loops.tuple = stage.tuple;
    FuseConsumers(i, identity, &loops);
    SplitGroups(&loops);
    return loops;
  }

  // Follows the map stages that use the reduction's results point by point.
  void FuseConsumers(size_t i, const std::vector<LoadIndex>& identity, StageLoops* loops) {
    const Stage& stage = stages_[i];
    std::map<ProgramTensorId, ScalarRef> values;    // what is at hand at a point of this stage
    for (size_t c = 0; c < stage.outputs.size(); ++c) {
      values[stage.outputs[c]] = Parameter(static_cast<int>(c), stage.body[c]->dtype);
    }
    for (size_t j = i + 1; j < stages_.size(); ++j) {
      if (!gone_[j] && IsMap(stages_[j]) && CanFollow(stages_[j], values, i)) {
        values[stages_[j].outputs[0]] = Follow(stages_[j], stage, values);
        gone_[j] = true;
      }
    }
    for (const auto& [tensor, value] : values) {
      if (Needed(tensor)) loops->stores.push_back({tensor, identity, value});
    }
  }

  // Whether a tensor must lie in memory: it is an output, or a stage that is still to come loads it.
  bool Needed(ProgramTensorId tensor) const {
    if (program_.tensors[tensor].role == ProgramTensor::Role::kOutput) return true;
    bool loaded = false;
    for (size_t j = 0; j < stages_.size(); ++j) {
      if (gone_[j]) continue;
      for (const ScalarRef& body : stages_[j].body) {
        ForEachLoad(body, [&](const Scalar& load) { loaded = loaded || load.tensor == tensor; });
      }
    }
    return loaded;
  }

  bool CanFollow(const Stage& stage, const std::map<ProgramTensorId, ScalarRef>& values, size_t reduction) const {
    bool uses = false, possible = true;
    ForEachLoad(stage.body[0], [&](const Scalar& load) {
      if (values.contains(load.tensor)) {
        uses = true;
        possible = possible && IsIdentity(load, stage);
      } else {
        possible = possible && StoredBefore(load.tensor, reduction);
      }
    });
    return uses && possible;
  }

  bool StoredBefore(ProgramTensorId tensor, size_t stage) const {
    const Stage* producer = program_.ProducerOf(tensor);
    if (producer == nullptr) return true;
    return static_cast<size_t>(producer - program_.stages.data()) < stage;
  }

  static ScalarRef Follow(const Stage& stage, const Stage& reduction,
                          const std::map<ProgramTensorId, ScalarRef>& values) {
    std::map<SymbolRef, DimExpr> axes;
    for (size_t d = 0; d < stage.axes.size(); ++d) axes.emplace(stage.axes[d].variable, reduction.axes[d].variable);
    const ScalarRef with_values = Rewrite(stage.body[0], [&](const ScalarRef& node) -> ScalarRef {
      if (node->kind != Scalar::Kind::kLoad) return nullptr;
      const auto found = values.find(node->tensor);
      return found == values.end() ? nullptr : found->second;
    });
    return SubstituteAxes(with_values, axes);
  }

  const TensorProgram& program_;
  mutable std::map<const Stage*, bool> continues_;  // of the program
  const bool skip_padding_;
  FusedStages fused_;
  std::vector<Stage> stages_;
  std::map<size_t, std::vector<ReduceRange>> ranges_;   // by stage, where padding is skipped
  std::vector<bool> gone_;
};

}  // namespace

std::vector<int64_t> FusedStages::Shape(ProgramTensorId tensor) const {
  return *ConstantShape(tensors[tensor].shape);
}

std::variant<FusedStages, Rejection> FuseStages(const TensorProgram& program, bool skip_padding) {
  if (const std::optional<Rejection> rejection = Unsupported(program)) return *rejection;
  return Fuser(program, skip_padding).Run();
}

void ForEachLoad(const ScalarRef& scalar, const std::function<void(const Scalar&)>& visit) {
  if (scalar->kind == Scalar::Kind::kLoad) {
    visit(*scalar);
    for (const LoadIndex& index : scalar->indices) {
      if (const ScalarRef* computed = std::get_if<ScalarRef>(&index)) ForEachLoad(*computed, visit);
    }
  }
  for (const ScalarRef& operand : scalar->operands) ForEachLoad(operand, visit);
}

void ForEachLoad(const StageLoops& stage, const std::function<void(const Scalar&)>& visit) {
  for (const ScalarRef& body : stage.body) ForEachLoad(body, visit);
  for (const Store& store : stage.stores) ForEachLoad(store.value, visit);
}

int LoadsOf(const FusedStages& fused, ProgramTensorId tensor) {
  int loads = 0;
  for (const StageLoops& stage : fused.stages) {
    ForEachLoad(stage, [&](const Scalar& load) { loads += load.tensor == tensor ? 1 : 0; });
  }
  return loads;
}

ScalarCost CostOf(const ScalarRef& scalar) {
  ScalarCost cost;
  for (const ScalarRef& operand : scalar->operands) {
    const ScalarCost part = CostOf(operand);
    cost.operations += part.operations;
    cost.transcendental += part.transcendental;
  }
  const bool cheap_unary = scalar->kind == Scalar::Kind::kUnary &&
                           (scalar->unary == UnaryOp::kNeg || scalar->unary == UnaryOp::kAbs ||
                            scalar->unary == UnaryOp::kFloor || scalar->unary == UnaryOp::kCeil ||
                            scalar->unary == UnaryOp::kRound || scalar->unary == UnaryOp::kNot);
  if (scalar->kind == Scalar::Kind::kUnary && !cheap_unary) {
    ++cost.transcendental;
  } else if (scalar->kind == Scalar::Kind::kBinary && scalar->binary == BinaryOp::kPow) {
    cost.transcendental += 2;
  } else if (!scalar->operands.empty()) {
    ++cost.operations;
  }
  return cost;
}

void SubstituteInto(const std::map<SymbolRef, DimExpr>& values, StageLoops* stage) {
  for (ScalarRef& body : stage->body) body = SubstituteAxes(body, values);
  for (Store& store : stage->stores) {
    store.value = SubstituteAxes(store.value, values);
    for (LoadIndex& index : store.indices) index = std::get<DimExpr>(index).Substitute(values);
  }
  for (ReduceRange& range : stage->ranges) {
    range = {range.begin.Substitute(values), range.end.Substitute(values)};
  }
}

int64_t Extent(const Axis& axis) { return axis.extent.Constant(); }

int64_t Points(const std::vector<Axis>& axes) {
  int64_t points = 1;
  for (const Axis& axis : axes) points *= Extent(axis);
  return points;
}

}  // namespace hone
