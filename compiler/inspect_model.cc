#include <nlohmann/json.hpp>

#include "compiler/compile.h"

namespace hone {
namespace {

using Json = nlohmann::json;

// What tuning a task usually takes; the time a user is told beforehand is no promise.
constexpr double kTrialsPerTask = 32, kSecondsPerTrial = 0.2;

Json InterfaceJson(const std::vector<InterfaceTensor>& tensors) {
  Json list = Json::array();
  for (const InterfaceTensor& tensor : tensors) {
    Json shape = Json::array();
    for (const DimExpr& dim : tensor.type.shape)
      shape.push_back(dim.IsConstant() ? Json(dim.Constant()) : Json(dim.ToString()));
    list.push_back(
        {{"name", tensor.name}, {"dtype", std::string(DTypeName(tensor.type.dtype))}, {"shape", shape}});
  }
  return list;
}

Json UnsupportedJson(const std::vector<UnsupportedNode>& nodes) {
  Json list = Json::array();
  for (const UnsupportedNode& node : nodes) {
    list.push_back({{"node", node.node},
                    {"operator", node.op},
                    {"attribute", node.attribute},
                    {"opset", node.opset},
                    {"reason", node.reason},
                    {"remedy", node.remedy}});
  }
  return list;
}

double ConstantBytes(const Graph& graph) {
  double bytes = 0;
  for (int i = 0; i < graph.tensor_count(); ++i) {
    if (graph.tensor({i}).constant != nullptr) bytes += static_cast<double>(graph.tensor({i}).constant->size);
  }
  return bytes;
}

void AddTasks(const CutGraph& cut, Json* report) {
  double flops = 0;
  Json tasks = Json::array();
  for (size_t i = 0; i < cut.tasks.size(); ++i) {
    const int weight = cut.WeightOf(static_cast<int>(i));
    const double each = static_cast<double>(cut.tasks[i].Flops().AsConstant().value_or(0));
    flops += weight * each;
    tasks.push_back({{"label", cut.tasks[i].Label()}, {"weight", weight}, {"flops", each}});
  }
  (*report)["flops"] = flops;
  (*report)["constant_bytes"] = ConstantBytes(cut.graph);
  (*report)["tasks"] = std::move(tasks);
  (*report)["estimated_tuning_seconds"] =
      static_cast<double>(cut.tasks.size()) * kTrialsPerTask * kSecondsPerTrial;
}

}  // namespace

absl::StatusOr<std::string> InspectModel(const ModelFiles& files, const CompileOptions& options,
                                         const TaskCosts& costs) {
  absl::StatusOr<OnnxImport> import = ImportOnnx(files, options.shapes);
  if (!import.ok()) return import.status();
  Json report = {{"model", files.name},
                 {"opset", import->opset},
                 {"producer", import->producer},
                 {"nodes", import->node_count},
                 {"inputs", InterfaceJson(import->inputs)},
                 {"outputs", InterfaceJson(import->outputs)},
                 {"operators", import->operators},
                 {"unsupported", UnsupportedJson(import->unsupported)},
                 {"unbound_symbols", import->unbound_symbols}};
  if (import->unsupported.empty() && import->unbound_symbols.empty()) {
    const absl::StatusOr<CutGraph> cut = CutIntoTasks(std::move(import->graph), options, costs);
    if (!cut.ok()) return cut.status();
    AddTasks(*cut, &report);
  }
  // Names come from the model and need not be UTF-8.
  return report.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace hone
