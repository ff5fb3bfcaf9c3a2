#include "compiler/module/data_object.h"

#include <cstddef>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "compiler/module/dlpack_type.h"
#include "compiler/module/elf_object.h"
#include "compiler/runtime/module_data.h"

namespace hone {
namespace {

static_assert(sizeof(void*) == 8 && sizeof(HoneTensorData) == 32 && sizeof(HoneOperandData) == 16 &&
                  sizeof(HoneStepData) == 24,
              "the host's layout of the tables is that of all 64-bit targets");

// The bytes of one section with the places in it that hold addresses.
class TableWriter {
 public:
  // Appends, 8-byte aligned; returns the offset.
  uint64_t Append(const void* data, size_t bytes) {
    bytes_.resize((bytes_.size() + 7) / 8 * 8);
    const uint64_t at = bytes_.size();
    bytes_.append(static_cast<const char*>(data), bytes);
    return at;
  }
  template <class T>
  uint64_t AppendAll(const std::vector<T>& rows) {
    return Append(rows.data(), rows.size() * sizeof(T));
  }
  uint64_t AppendText(const std::string& text) { return Append(text.c_str(), text.size() + 1); }
  void PointTo(uint64_t at, uint64_t target) { inner_.push_back({at, target}); }
  void PointTo(uint64_t at, const std::string& symbol) { outer_.push_back({at, symbol}); }

  absl::StatusOr<std::string> Write(const std::string& triple, const std::string& symbol, uint64_t symbol_bytes) {
    absl::StatusOr<ElfObject> object = ElfObject::Create(triple);
    if (!object.ok()) return object.status();
    const ElfObject::Section section = object->AddRelocatedData(".data.rel.ro.hone", 64, std::move(bytes_));
    object->Define(symbol, section, 0, symbol_bytes);
    for (const auto& [at, target] : inner_) object->AddAddress(section, at, section, target);
    for (const auto& [at, target] : outer_) object->AddAddress(section, at, target);
    return object->Write();
  }

 private:
  std::string bytes_;
  std::vector<std::pair<uint64_t, uint64_t>> inner_;
  std::vector<std::pair<uint64_t, std::string>> outer_;
};

// Returns the offset of an array of HoneTensorData.
absl::StatusOr<uint64_t> AppendTensors(const Graph& graph, const std::vector<TensorId>& ids, TableWriter* writer) {
  std::vector<HoneTensorData> rows;
  std::vector<std::pair<uint64_t, uint64_t>> names_and_shapes;
  for (const TensorId id : ids) {
    const Tensor& tensor = graph.tensor(id);
    const auto shape = ConstantShape(tensor.type.shape);
    if (!shape.has_value()) {
      return absl::UnimplementedError(absl::StrCat("tensor '", tensor.name, "' ", tensor.type.ToString(),
                                                   ": modules with symbolic shapes are not built yet; bind the symbols"));
    }
    const DlpackType type = DlpackTypeOf(tensor.type.dtype);
    HoneTensorData row = {};
    row.rank = static_cast<int32_t>(shape->size());
    row.code = type.code;
    row.bits = type.bits;
    row.bytes = DTypeBytes(tensor.type.dtype);
    for (const int64_t dim : *shape) row.bytes *= static_cast<uint64_t>(dim);
    rows.push_back(row);
    const uint64_t name = writer->AppendText(tensor.name);
    names_and_shapes.push_back({name, writer->AppendAll(*shape)});
  }
  const uint64_t at = writer->AppendAll(rows);
  for (size_t i = 0; i < rows.size(); ++i) {
    const uint64_t row = at + i * sizeof(HoneTensorData);
    writer->PointTo(row + offsetof(HoneTensorData, name), names_and_shapes[i].first);
    writer->PointTo(row + offsetof(HoneTensorData, shape), names_and_shapes[i].second);
  }
  return at;
}

uint64_t PlaceOf(BufferKind kind) {
  switch (kind) {
    case BufferKind::kInput: return HONE_PLACE_INPUT;
    case BufferKind::kOutput: return HONE_PLACE_OUTPUT;
    case BufferKind::kConstant: return HONE_PLACE_CONSTANT;
    case BufferKind::kArena: return HONE_PLACE_ARENA;
  }
  return HONE_PLACE_ARENA;
}

struct StepTables {
  std::vector<HoneStepData> steps;
  std::vector<std::string> symbols;   // of the step's task; empty: copy
  std::vector<HoneOperandData> operands;
};

// Views need no step: their buffers already lie in what they view.
absl::StatusOr<StepTables> LowerSteps(const Plan& plan, const std::vector<CompiledTask>& tasks) {
  StepTables tables;
  for (const Step& step : plan.steps) {
    if (std::holds_alternative<Alias>(step)) continue;
    const auto* call = std::get_if<CallTask>(&step);
    const auto* copy = std::get_if<CallRuntime>(&step);
    if (call == nullptr && (copy == nullptr || copy->function != "copy")) {
      return absl::UnimplementedError("the module runtime runs task calls and copies only");
    }
    const std::vector<int>& buffers = call != nullptr ? call->buffers : copy->buffers;
    HoneStepData row = {};
    row.first_operand = static_cast<uint32_t>(tables.operands.size());
    row.operand_count = static_cast<uint32_t>(buffers.size());
    if (copy != nullptr) row.bytes = static_cast<uint64_t>(plan.buffers[buffers[1]].bytes);
    tables.steps.push_back(row);
    tables.symbols.push_back(call != nullptr ? tasks[call->compiled_task].symbol : "");
    for (const int buffer : buffers) {
      const Buffer& b = plan.buffers[buffer];
      tables.operands.push_back({PlaceOf(b.kind), static_cast<uint64_t>(b.offset)});
    }
  }
  return tables;
}

}  // namespace

absl::StatusOr<std::string> WriteDataObject(const ModuleTables& tables) {
  const Plan& plan = *tables.plan;
  absl::StatusOr<StepTables> steps = LowerSteps(plan, *tables.tasks);
  if (!steps.ok()) return steps.status();
  TableWriter writer;
  HoneModuleData data = {};
  data.version = HONE_MODULE_DATA_VERSION;
  data.threads = static_cast<uint32_t>(tables.threads);
  data.cpu_features = tables.cpu_features;
  data.input_count = static_cast<uint32_t>(tables.graph->inputs().size());
  data.output_count = static_cast<uint32_t>(tables.graph->outputs().size());
  data.step_count = static_cast<uint32_t>(steps->steps.size());
  data.operand_count = static_cast<uint32_t>(steps->operands.size());
  data.arena_bytes = static_cast<uint64_t>(plan.arena_bytes);
  data.scratch_bytes = static_cast<uint64_t>(plan.scratch_bytes);
  data.constant_bytes = static_cast<uint64_t>(plan.constant_bytes);
  data.sidecar_digest = tables.sidecar_digest;
  writer.Append(&data, sizeof data);   // at offset 0: hone_module_data itself
  absl::StatusOr<uint64_t> inputs = AppendTensors(*tables.graph, tables.graph->inputs(), &writer);
  if (!inputs.ok()) return inputs.status();
  absl::StatusOr<uint64_t> outputs = AppendTensors(*tables.graph, tables.graph->outputs(), &writer);
  if (!outputs.ok()) return outputs.status();
  const uint64_t step_table = writer.AppendAll(steps->steps);
  for (size_t i = 0; i < steps->steps.size(); ++i) {
    const uint64_t at = step_table + i * sizeof(HoneStepData) + offsetof(HoneStepData, task);
    if (!steps->symbols[i].empty()) writer.PointTo(at, steps->symbols[i]);
  }
  writer.PointTo(offsetof(HoneModuleData, inputs), *inputs);
  writer.PointTo(offsetof(HoneModuleData, outputs), *outputs);
  writer.PointTo(offsetof(HoneModuleData, steps), step_table);
  writer.PointTo(offsetof(HoneModuleData, operands), writer.AppendAll(steps->operands));
  writer.PointTo(offsetof(HoneModuleData, describe), writer.AppendText(tables.describe));
  if (!tables.constants_symbol.empty()) {
    writer.PointTo(offsetof(HoneModuleData, constants), tables.constants_symbol);
  }
  return writer.Write(tables.triple, "hone_module_data", sizeof data);
}

}  // namespace hone
