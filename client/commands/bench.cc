#include "client/bench.h"

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "client/commands/commands.h"
#include "client/error.h"
#include "client/model_manifest.h"
#include "client/model_request.h"
#include "client/module_folder.h"
#include "client/units.h"

namespace hone {
namespace {

absl::StatusOr<BenchOptions> ReadOptions(const CommandContext& context) {
  BenchOptions options;
  auto threads = ReadNumber(context.arguments, "--threads", 1, 1024, 0);
  if (!threads.ok()) return threads.status();
  auto rounds = ReadNumber(context.arguments, "--rounds", 1, 10'000, options.rounds);
  if (!rounds.ok()) return rounds.status();
  auto seed = ReadNumber(context.arguments, "--seed", 0, UINT64_MAX, options.seed);
  if (!seed.ok()) return seed.status();
  auto window = ParseDuration(context.arguments.GetOr("--window", "100ms"));
  if (!window.ok()) return window.status();
  auto shapes = ReadShapes(context.arguments);
  if (!shapes.ok()) return shapes.status();
  options.threads = static_cast<uint32_t>(*threads);
  options.rounds = static_cast<uint32_t>(*rounds);
  options.seed = *seed;
  options.window_seconds = *window;
  options.shapes = *std::move(shapes);
  return options;
}

// The model named on the command line, or the unchanged one the module was made from.
absl::StatusOr<std::string> FindModel(const CommandContext& context, BenchOptions& options) {
  std::error_code error;
  const std::string& path = context.arguments.positional(0);
  const bool is_folder = std::filesystem::is_directory(path, error);
  auto origin = ReadOrigin(is_folder ? path : std::filesystem::path(path).parent_path().string());
  if (origin.ok() && options.shapes.empty()) options.shapes = origin->shapes;
  if (auto named = context.arguments.Get("--model")) return *named;
  if (!origin.ok()) return origin.status();
  auto manifest = ReadModelManifest(origin->model_path);
  if (!manifest.ok()) return WithRemedy(manifest.status(), "name the ONNX model with --model");
  if (manifest->files.front().sha256 != origin->model_sha256) {
    return WithRemedy(absl::FailedPreconditionError(
                          absl::StrCat(origin->model_path, " has changed since the module was made from it")),
                      "name the right model with --model");
  }
  return origin->model_path;
}

}  // namespace

absl::StatusOr<int> RunBench(const CommandContext& context) {
  auto options = ReadOptions(context);
  if (!options.ok()) return options.status();
  auto model = FindModel(context, *options);
  if (!model.ok()) return model.status();
  auto python = FindOnnxRuntimePython(context.config);
  if (!python.ok()) return python.status();
  auto bench = BenchAgainstOnnxRuntime(*python, context.arguments.positional(0), *model, *options);
  if (!bench.ok()) return bench.status();
  if (context.console.json) {
    context.console.PrintJson(BenchJson(*bench));
  } else {
    context.console.out << BenchText(*bench, context.console.width);
  }
  return bench->agrees ? kExitOk : kExitFailure;
}

}  // namespace hone
