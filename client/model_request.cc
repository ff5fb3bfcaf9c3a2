#include "client/model_request.h"

#include "client/error.h"
#include "client/progress.h"
#include "client/units.h"

namespace hone {

absl::StatusOr<uint64_t> ReadNumber(const Arguments& arguments, const char* option, uint64_t lowest,
                                    uint64_t highest, uint64_t otherwise) {
  auto text = arguments.Get(option);
  if (!text) return otherwise;
  auto number = ParseWhole(*text, lowest, highest);
  if (!number.ok()) return WithContext(number.status(), option);
  return number;
}

absl::StatusOr<std::vector<v1::ShapeBinding>> ReadShapes(const Arguments& arguments) {
  std::vector<v1::ShapeBinding> shapes;
  for (const std::string& text : arguments.All("--shape")) {
    auto shape = ParseShape(text);
    if (!shape.ok()) return shape.status();
    shapes.push_back(*std::move(shape));
  }
  return shapes;
}

absl::StatusOr<ModelRequest> ReadModelRequest(const CommandContext& context) {
  ModelRequest request;
  auto shapes = ReadShapes(context.arguments);
  if (!shapes.ok()) return shapes.status();
  request.shapes = *std::move(shapes);
  auto threads = ReadNumber(context.arguments, "--threads", 1, 1024, 0);
  if (!threads.ok()) return threads.status();
  request.threads = static_cast<uint32_t>(*threads);
  request.target = context.arguments.GetOr("--target", "host");
  auto manifest = ReadModelManifest(context.arguments.positional(0));
  if (!manifest.ok()) return manifest.status();
  request.manifest = *std::move(manifest);
  return request;
}

absl::StatusOr<v1::Model> Upload(const CommandContext& context, HoneClient& client,
                                 const ModelRequest& request) {
  TransferDisplay display(context.console, "uploading");
  return client.UploadModel(request.manifest, [&](const std::string& name, uint64_t done, uint64_t total) {
    display.Update(name, done, total);
  });
}

v1::InspectModelRequest InspectRequest(const v1::Model& model, const ModelRequest& request) {
  v1::InspectModelRequest inspect;
  inspect.set_model(model.name());
  inspect.mutable_shapes()->Assign(request.shapes.begin(), request.shapes.end());
  inspect.set_target(request.target);
  inspect.set_threads(request.threads);
  return inspect;
}

}  // namespace hone
