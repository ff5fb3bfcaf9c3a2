#include "client/module_folder.h"

#include <filesystem>
#include <fstream>

#include "client/error.h"
#include "client/progress.h"

namespace hone {
namespace {

constexpr char kOriginFile[] = "/origin.json";

}  // namespace

absl::Status WriteOrigin(const std::string& folder, const NewModule& made) {
  Json shapes = Json::array();
  for (const v1::ShapeBinding& shape : made.request.shapes) {
    shapes.push_back(
        {{"input", shape.input()}, {"dims", std::vector<int64_t>(shape.dims().begin(), shape.dims().end())}});
  }
  const ManifestFile& main = made.request.manifest.files.front();
  const Json origin = {{"model_path", std::filesystem::absolute(main.path).string()},
                       {"model_sha256", main.sha256},
                       {"shapes", shapes},
                       {"job", made.module.job()},
                       {"module", made.module.name()}};
  std::ofstream out(folder + kOriginFile);
  out << origin.dump(2) << "\n";
  out.close();
  if (!out) return absl::ResourceExhaustedError("cannot write " + folder + kOriginFile);
  return absl::OkStatus();
}

absl::StatusOr<ModuleOrigin> ReadOrigin(const std::string& folder) {
  auto json = ReadJsonFile(folder + kOriginFile);
  if (!json.ok()) return WithRemedy(json.status(), "name the ONNX model with --model");
  ModuleOrigin origin{JsonText(*json, "model_path"), JsonText(*json, "model_sha256"), {}};
  for (const Json& shape : JsonMember(*json, "shapes")) {
    v1::ShapeBinding& binding = origin.shapes.emplace_back();
    binding.set_input(JsonText(shape, "input"));
    for (const Json& dim : JsonMember(shape, "dims")) {
      if (dim.is_number_integer()) binding.add_dims(dim.get<int64_t>());
    }
  }
  return origin;
}

absl::Status SaveModule(const CommandContext& context, HoneClient& client, const v1::Module& module,
                        const std::string& folder) {
  TransferDisplay display(context.console, "downloading");
  return client.DownloadModule(module, folder, [&](const std::string& name, uint64_t done, uint64_t total) {
    display.Update(name, done, total);
  });
}

}  // namespace hone
