#include <cstring>

#include "absl/strings/str_cat.h"
#include "compiler/task/task.h"

namespace hone {
namespace {

float HalfToFloat(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000) << 16;
  uint32_t exponent = (half >> 10) & 31, mantissa = half & 1023;
  float value;
  if (exponent == 0) {
    value = static_cast<float>(mantissa) * 0x1p-24f;
    return sign != 0 ? -value : value;
  }
  const uint32_t bits = sign | (exponent == 31 ? 0x7f800000u : (exponent + 112) << 23) | mantissa << 13;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// The one value of a constant that is written by value.
ScalarRef ValueOf(const ConstantData& constant) {
  const auto read = [&](auto value) {
    std::memcpy(&value, constant.data, sizeof value);
    return value;
  };
  switch (constant.dtype) {
    case DType::kF32:
      return Real(static_cast<double>(read(float{})), DType::kF32);
    case DType::kF64:
      return Real(read(double{}), DType::kF64);
    case DType::kF16:
      return Real(static_cast<double>(HalfToFloat(read(uint16_t{}))), DType::kF16);
    case DType::kBF16: {
      const uint32_t bits = static_cast<uint32_t>(read(uint16_t{})) << 16;
      float value;
      std::memcpy(&value, &bits, sizeof value);
      return Real(static_cast<double>(value), DType::kBF16);
    }
    case DType::kI8:
      return Integer(read(int8_t{}), constant.dtype);
    case DType::kI16:
      return Integer(read(int16_t{}), constant.dtype);
    case DType::kI32:
      return Integer(read(int32_t{}), constant.dtype);
    case DType::kI64:
      return Integer(read(int64_t{}), constant.dtype);
    case DType::kU8:
      return Integer(read(uint8_t{}), constant.dtype);
    case DType::kU16:
      return Integer(read(uint16_t{}), constant.dtype);
    case DType::kU32:
      return Integer(read(uint32_t{}), constant.dtype);
    case DType::kU64:
      return Integer(static_cast<int64_t>(read(uint64_t{})), constant.dtype);
    case DType::kBool:
      return Integer(read(uint8_t{}) != 0 ? 1 : 0, constant.dtype);
  }
  return nullptr;
}

class TaskLowering {
 public:
  explicit TaskLowering(const Task& task) : graph_(task.graph), constants_(task.Constants()) {}

  absl::StatusOr<TensorProgram> Run() {
    tensors_.assign(static_cast<size_t>(graph_.tensor_count()), -1);
    for (const TensorId id : graph_.inputs()) Add(id, ProgramTensor::Role::kInput);
    for (const TensorId id : constants_) Add(id, ProgramTensor::Role::kConstant);
    for (const TensorId id : graph_.outputs()) {
      if (tensors_[id.index] >= 0) {
        return absl::InternalError(
            absl::StrCat("task output '", graph_.tensor(id).name, "' is not computed once"));
      }
      Add(id, ProgramTensor::Role::kOutput);
    }
    for (int i = 0; i < graph_.tensor_count(); ++i) {
      if (tensors_[i] >= 0) continue;
      Add({i}, ProgramTensor::Role::kTemporary);
      if (graph_.tensor({i}).constant != nullptr)
        values_[tensors_[i]] = ValueOf(*graph_.tensor({i}).constant);
    }
    for (int i = 0; i < graph_.node_count(); ++i) {
      if (absl::Status status = LowerNode(i); !status.ok()) return status;
    }
    MaterialiseScanOperands();
    InlineValues();
    if (absl::Status status = program_.Verify(); !status.ok()) return status;
    return std::move(program_);
  }

 private:
  void Add(TensorId id, ProgramTensor::Role role) {
    static constexpr std::string_view kPrefixes[] = {"i", "c", "t", "o"};
    const TensorType& type = graph_.tensor(id).type;
    const std::string name =
        absl::StrCat(std::string(kPrefixes[static_cast<int>(role)]), counts_[static_cast<int>(role)]++);
    tensors_[id.index] = program_.AddTensor({name, role, type.dtype, type.shape});
  }

  absl::Status LowerNode(int index) {
    const Node& node = graph_.node({index});
    OpLowering context{program_, node.attrs, {}, {}, {}, {}, absl::StrCat("n", index, ".")};
    for (const TensorId id : node.inputs) {
      context.inputs.push_back(tensors_[id.index]);
      context.input_types.push_back(graph_.tensor(id).type);
    }
    for (const TensorId id : node.outputs) {
      context.outputs.push_back(tensors_[id.index]);
      context.output_types.push_back(graph_.tensor(id).type);
    }
    absl::Status status = node.op->lower(context);
    if (status.ok()) return status;
    return absl::Status(status.code(), absl::StrCat("node '", node.name, "' (", std::string(node.op->name),
                                                    "): ", std::string(status.message())));
  }

  // Scans take whole tensors: a value they read is written by a stage.
  void MaterialiseScanOperands() {
    std::vector<Stage> written;
    for (const Stage& stage : program_.stages) {
      if (!stage.scan) continue;
      for (const auto* operands : {&stage.scan->initial, &stage.scan->scanned}) {
        for (const ProgramTensorId id : *operands) {
          const auto value = values_.find(id);
          if (value == values_.end()) continue;
          Stage fill;
          fill.name = program_.tensors[id].name + ".fill";
          for (size_t d = 0; d < program_.tensors[id].shape.size(); ++d) {
            fill.axes.push_back({MakeSymbol(absl::StrCat("d", d)), program_.tensors[id].shape[d]});
          }
          fill.body = {value->second};
          fill.outputs = {id};
          values_.erase(value);
          written.push_back(std::move(fill));
        }
      }
    }
    program_.stages.insert(program_.stages.begin(), written.begin(), written.end());
  }

  // Replaces loads of values by the values and drops those tensors.
  void InlineValues() {
    if (values_.empty()) return;
    std::vector<int> renumbered(program_.tensors.size(), -1);
    std::vector<ProgramTensor> kept;
    for (size_t i = 0; i < program_.tensors.size(); ++i) {
      if (values_.contains(static_cast<int>(i))) continue;
      renumbered[i] = static_cast<int>(kept.size());
      kept.push_back(std::move(program_.tensors[i]));
    }
    program_.tensors = std::move(kept);
    const ScalarRewrite replace = [&](const ScalarRef& scalar) -> ScalarRef {
      if (scalar->kind != Scalar::Kind::kLoad) return nullptr;
      const auto value = values_.find(scalar->tensor);
      if (value != values_.end()) return value->second;
      return Load(renumbered[scalar->tensor], scalar->dtype, scalar->indices);
    };
    const auto renumber = [&](std::vector<ProgramTensorId>& ids) {
      for (ProgramTensorId& id : ids) id = renumbered[id];
    };
    for (Stage& stage : program_.stages) {
      for (ScalarRef& body : stage.body) body = Rewrite(body, replace);
      renumber(stage.outputs);
      if (!stage.scan) continue;
      for (auto* ids :
           {&stage.scan->initial, &stage.scan->scanned, &stage.scan->final_carried, &stage.scan->stacked}) {
        renumber(*ids);
      }
    }
  }

  const Graph& graph_;
  const std::vector<TensorId> constants_;
  TensorProgram program_;
  std::vector<ProgramTensorId> tensors_;         // by tensor of the graph
  std::map<ProgramTensorId, ScalarRef> values_;  // tensors that are written by value
  int counts_[4] = {};
};

}  // namespace

absl::StatusOr<TensorProgram> LowerTask(const Task& task) { return TaskLowering(task).Run(); }

}  // namespace hone
