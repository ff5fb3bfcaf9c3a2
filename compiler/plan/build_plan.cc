#include "compiler/plan/build_plan.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "compiler/plan/memory_planner.h"
#include "proto/values/dtype.h"

namespace hone {
namespace {

class PlanBuilder {
 public:
  PlanBuilder(const CutGraph& cut, const std::vector<CompiledTask>& tasks)
      : cut_(cut), tasks_(tasks), buffer_of_(cut.graph.tensor_count(), -1) {}

  absl::StatusOr<Plan> Build() {
    if (absl::Status status = BindInterface(); !status.ok()) return status;
    for (const TaskCall& call : cut_.calls) {
      if (absl::Status status = AddCall(call); !status.ok()) return status;
    }
    if (absl::Status status = CopyOutputs(); !status.ok()) return status;
    FindLifetimes();
    PlaceArena();
    if (absl::Status status = plan_.Verify(); !status.ok()) return status;
    return std::move(plan_);
  }

 private:
  const Tensor& tensor(TensorId id) const { return cut_.graph.tensor(id); }

  absl::StatusOr<int64_t> BytesOf(const Tensor& t, const Layout& layout, const AxisTransforms& transforms = {}) const {
    std::vector<DimExpr> shape = t.type.shape;
    if (!transforms.empty()) {
      const std::vector<int64_t> after = TransformedDims(*ConstantShape(shape), transforms);
      shape.assign(after.begin(), after.end());
    }
    const int64_t elements = layout.Elements(shape).Bounds().upper;
    if (elements < 0 || elements > (int64_t{1} << 46)) {
      return absl::InvalidArgumentError(absl::StrCat("tensor '", t.name, "' ", t.type.ToString(),
                                                     " has no usable bound of its size: bind its symbols"));
    }
    return elements * DTypeBytes(t.type.dtype);
  }

  absl::StatusOr<int> AddBuffer(TensorId id, BufferKind kind, int64_t offset) {
    absl::StatusOr<int64_t> bytes = BytesOf(tensor(id), tensor(id).layout);
    if (!bytes.ok()) return bytes.status();
    plan_.buffers.push_back({tensor(id).name, kind, *bytes, offset});
    return static_cast<int>(plan_.buffers.size()) - 1;
  }

  // The tensor whose memory a tensor has, through views.
  TensorId Root(TensorId id) const {
    for (auto it = base_.find(id); it != base_.end(); it = base_.find(id)) id = it->second;
    return id;
  }

  absl::Status BindInterface() {
    for (const ViewAlias& view : cut_.views) {
      base_[view.view] = view.of;
      views_of_[view.of].push_back(view);
    }
    for (size_t i = 0; i < cut_.graph.inputs().size(); ++i) {
      if (absl::Status s = Bind(cut_.graph.inputs()[i], BufferKind::kInput, i); !s.ok()) return s;
      if (absl::Status s = AddViews(cut_.graph.inputs()[i]); !s.ok()) return s;
    }
    for (size_t i = 0; i < cut_.graph.outputs().size(); ++i) {
      const TensorId root = Root(cut_.graph.outputs()[i]);
      const bool computed = buffer_of_[root.index] < 0 && tensor(root).constant == nullptr;
      if (computed) {
        output_buffers_.push_back(-1);
        if (absl::Status s = Bind(root, BufferKind::kOutput, i); !s.ok()) return s;
        output_buffers_.back() = buffer_of_[root.index];
      } else {
        absl::StatusOr<int> buffer = AddBuffer(cut_.graph.outputs()[i], BufferKind::kOutput, i);
        if (!buffer.ok()) return buffer.status();
        output_buffers_.push_back(*buffer);
      }
    }
    return absl::OkStatus();
  }

  absl::Status Bind(TensorId id, BufferKind kind, size_t position) {
    if (!tensor(id).layout.IsPlain()) {
      return absl::InternalError(absl::StrCat("tensor '", tensor(id).name, "' of the model's interface has layout ",
                                              tensor(id).layout.ToString(), ", not a plain one"));
    }
    absl::StatusOr<int> buffer = AddBuffer(id, kind, static_cast<int64_t>(position));
    if (!buffer.ok()) return buffer.status();
    buffer_of_[id.index] = *buffer;
    return absl::OkStatus();
  }

  absl::Status AddViews(TensorId of) {
    const auto views = views_of_.find(of);
    if (views == views_of_.end()) return absl::OkStatus();
    for (const ViewAlias& view : views->second) {
      const Buffer base = plan_.buffers[buffer_of_[of.index]];
      absl::StatusOr<int> buffer = AddBuffer(view.view, base.kind, base.offset);
      if (!buffer.ok()) return buffer.status();
      buffer_of_[view.view.index] = *buffer;
      plan_.steps.emplace_back(Alias{*buffer, buffer_of_[of.index], view.offset});
      if (absl::Status status = AddViews(view.view); !status.ok()) return status;
    }
    return absl::OkStatus();
  }

  // Memory of a computed tensor: its root and all views of that, before the first of them is written.
  absl::Status Materialise(TensorId id) {
    const TensorId root = Root(id);
    if (buffer_of_[root.index] < 0) {
      absl::StatusOr<int> buffer = AddBuffer(root, BufferKind::kArena, 0);
      if (!buffer.ok()) return buffer.status();
      buffer_of_[root.index] = *buffer;
    }
    const auto views = views_of_.find(root);
    if (views == views_of_.end() || buffer_of_[views->second.front().view.index] >= 0) return absl::OkStatus();
    return AddViews(root);
  }

  // Shared between calls: one buffer per (graph constant's bytes, layout, transform).
  absl::StatusOr<int> ConstantBuffer(TensorId id, const Layout& layout, const AxisTransforms& transforms = {}) {
    id = Root(id);
    const std::string key =
        absl::StrCat(reinterpret_cast<uintptr_t>(tensor(id).constant.get()), " ", layout.ToString(), " ",
                     TransformsKey(transforms));
    if (const auto found = constants_.find(key); found != constants_.end()) return found->second;
    absl::StatusOr<int64_t> bytes = BytesOf(tensor(id), layout, transforms);
    if (!bytes.ok()) return bytes.status();
    const int buffer = static_cast<int>(plan_.buffers.size());
    plan_.buffers.push_back({tensor(id).name, BufferKind::kConstant, *bytes, plan_.constant_bytes});
    plan_.constant_bytes += AlignBuffer(*bytes);
    plan_.constants.push_back({buffer, id, layout, transforms});
    constants_[key] = buffer;
    return buffer;
  }

  absl::StatusOr<int> ReadBuffer(TensorId id) {
    if (tensor(Root(id)).constant != nullptr) return ConstantBuffer(id, tensor(id).layout);
    if (buffer_of_[id.index] < 0) {
      return absl::InternalError(absl::StrCat("tensor '", tensor(id).name, "' is read before it is written"));
    }
    return buffer_of_[id.index];
  }

  absl::Status AddCall(const TaskCall& call) {
    if (call.task < 0 || call.task >= static_cast<int>(tasks_.size())) {
      return absl::InternalError(absl::StrCat("call '", call.name, "' has no compiled task"));
    }
    const CompiledTask& task = tasks_[call.task];
    CallTask step{.compiled_task = call.task};
    for (const TensorId input : call.inputs) {
      absl::StatusOr<int> buffer = ReadBuffer(input);
      if (!buffer.ok()) return buffer.status();
      step.buffers.push_back(*buffer);
    }
    for (const PackedConstant& constant : task.constants) {
      if (constant.constant < 0 || constant.constant >= static_cast<int>(call.constants.size())) {
        return absl::InternalError(absl::StrCat("call '", call.name, "' lacks constant ", constant.constant));
      }
      absl::StatusOr<int> buffer = ConstantBuffer(call.constants[constant.constant], constant.layout, constant.transforms);
      if (!buffer.ok()) return buffer.status();
      step.buffers.push_back(*buffer);
    }
    for (const TensorId output : call.outputs) {
      if (absl::Status status = Materialise(output); !status.ok()) return status;
      step.buffers.push_back(buffer_of_[output.index]);
    }
    step.outputs = static_cast<int>(call.outputs.size());
    plan_.scratch_bytes = std::max(plan_.scratch_bytes, AlignBuffer(task.scratch_bytes));
    plan_.steps.emplace_back(std::move(step));
    return absl::OkStatus();
  }

  absl::Status CopyOutputs() {
    for (size_t i = 0; i < cut_.graph.outputs().size(); ++i) {
      const TensorId root = Root(cut_.graph.outputs()[i]);
      absl::StatusOr<int> from = ReadBuffer(root);
      if (!from.ok()) return from.status();
      if (*from != output_buffers_[i]) plan_.steps.emplace_back(CallRuntime{"copy", {*from, output_buffers_[i]}});
    }
    return absl::OkStatus();
  }

  void Touch(int buffer, int step) {
    Buffer& b = plan_.buffers[buffer];
    if (b.first_step < 0) b.first_step = step;
    b.last_step = std::max(b.last_step, step);
  }

  void FindLifetimes() {
    std::vector<Alias> aliases;
    for (size_t i = 0; i < plan_.steps.size(); ++i) {
      const int at = static_cast<int>(i);
      if (const auto* call = std::get_if<CallTask>(&plan_.steps[i])) {
        for (const int buffer : call->buffers) Touch(buffer, at);
      } else if (const auto* copy = std::get_if<CallRuntime>(&plan_.steps[i])) {
        for (const int buffer : copy->buffers) Touch(buffer, at);
      } else if (const auto* alias = std::get_if<Alias>(&plan_.steps[i])) {
        Touch(alias->buffer, at);
        Touch(alias->of, at);
        aliases.push_back(*alias);
      }
    }
    // A view of a view follows it in the list: from the back, each base learns its views' last use.
    for (auto alias = aliases.rbegin(); alias != aliases.rend(); ++alias) {
      Touch(alias->of, plan_.buffers[alias->buffer].last_step);
    }
  }

  void PlaceArena() {
    std::vector<bool> is_view(plan_.buffers.size());
    for (const Step& step : plan_.steps) {
      if (const auto* alias = std::get_if<Alias>(&step)) is_view[alias->buffer] = true;
    }
    std::vector<int> owners;
    std::vector<MemoryRequest> requests;
    for (size_t i = 0; i < plan_.buffers.size(); ++i) {
      const Buffer& b = plan_.buffers[i];
      if (b.kind != BufferKind::kArena || is_view[i]) continue;
      owners.push_back(static_cast<int>(i));
      requests.push_back({b.bytes, b.first_step, b.last_step});
    }
    const MemoryLayout memory = PlanMemory(requests);
    for (size_t i = 0; i < owners.size(); ++i) plan_.buffers[owners[i]].offset = memory.offsets[i];
    for (const Step& step : plan_.steps) {
      const auto* alias = std::get_if<Alias>(&step);
      if (alias != nullptr) plan_.buffers[alias->buffer].offset = plan_.buffers[alias->of].offset + alias->offset;
    }
    plan_.arena_bytes = memory.bytes + plan_.scratch_bytes;
  }

  const CutGraph& cut_;
  const std::vector<CompiledTask>& tasks_;
  Plan plan_;
  std::vector<int> buffer_of_;                         // by tensor; -1: none yet
  std::vector<int> output_buffers_;                    // by position
  std::map<TensorId, TensorId> base_;                  // view -> what it views
  std::map<TensorId, std::vector<ViewAlias>> views_of_;
  std::map<std::string, int> constants_;
};

}  // namespace

absl::StatusOr<Plan> BuildPlan(const CutGraph& cut, const std::vector<CompiledTask>& tasks) {
  return PlanBuilder(cut, tasks).Build();
}

}  // namespace hone
