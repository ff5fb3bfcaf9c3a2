#include "tests/compiler/frontend/onnx/model_probe.h"

#include "compiler/frontend/onnx/onnx_import.h"
#include "compiler/graph_passes/fuse_into_tasks.h"
#include "compiler/graph_passes/pass_table.h"

namespace hone {
namespace {

constexpr int64_t kOpenSize = 3;
constexpr char kTarget[] = "x86-64-v3";

}  // namespace

absl::Status ProbeModel(std::string_view bytes) {
  const ModelFiles files{
      .name = "model", .main_file = "model.onnx", .files = {{"model.onnx", {bytes, nullptr}}}};
  absl::StatusOr<OnnxImport> import = ImportOnnx(files, {});
  if (!import.ok()) return import.status();
  if (!import->unbound_symbols.empty()) {
    std::map<std::string, std::vector<int64_t>> shapes;
    for (const InterfaceTensor& input : import->inputs) {
      for (const DimExpr& dim : input.type.shape)
        shapes[input.name].push_back(dim.IsConstant() ? dim.Constant() : kOpenSize);
    }
    import = ImportOnnx(files, shapes);
    if (!import.ok()) return import.status();
  }
  if (!import->unsupported.empty() || !import->unbound_symbols.empty()) return absl::OkStatus();
  const absl::StatusOr<Target> target = FindTarget(kTarget);
  if (!target.ok()) return target.status();
  if (absl::Status status = RunPasses(import->graph, {*target}); !status.ok()) return status;
  const absl::StatusOr<CutGraph> cut =
      FuseIntoTasks(std::move(import->graph), *target, 1, AlgorithmPolicy::kFast);
  if (!cut.ok()) return cut.status();
  for (const Task& task : cut->tasks) {
    if (absl::Status status = LowerTask(task).status(); !status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace hone
