#include "client/bench.h"

#include <filesystem>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/commands/commands.h"
#include "client/error.h"
#include "client/model_manifest.h"
#include "client/model_request.h"
#include "client/module_folder.h"
#include "client/module_runner.h"
#include "client/profile.h"
#include "client/units.h"
#include "proto/values/sha256.h"

namespace hone {
namespace {

absl::StatusOr<BenchOptions> ReadOptions(const CommandContext& context, uint32_t least_rounds,
                                         BenchOptions options) {
  auto threads = ReadNumber(context.arguments, "--threads", 1, 1024, 0);
  if (!threads.ok()) return threads.status();
  auto rounds = ReadNumber(context.arguments, "--rounds", least_rounds, 10'000, options.rounds);
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
  if (auto library = FindModuleLibrary(path); !library.ok()) return library.status();
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

constexpr uint32_t kLeastRounds = 6;  // fewer have no 95 % interval of the median
constexpr uint32_t kCompareRounds = 31;

const char* Verdict(const BenchComparison& bench, double limit) {
  if (bench.ratio_low > 1 + limit) return "slower";
  return bench.ratio_high > 1 + limit ? "undecided" : "not slower";
}

absl::StatusOr<Json> SideEvidence(const std::string& path, double median, double p95,
                                  const std::vector<double>& rounds) {
  auto library = FindModuleLibrary(path);
  if (!library.ok()) return library.status();
  auto bytes = ReadTextFile(library->string());
  if (!bytes.ok()) return bytes.status();
  return Json{{"library", library->string()},  {"sha256", Sha256Hex(*bytes)}, {"bytes", bytes->size()},
              {"median_seconds", median}, {"p95_seconds", p95},  {"rounds_seconds", rounds}};
}

std::string CpuName() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (absl::StartsWith(line, "model name")) return line.substr(std::min(line.size(), line.find(':') + 2));
  }
  return "";
}

// README "compare evidence".
absl::StatusOr<Json> Evidence(const CommandContext& context, const BenchOptions& options,
                              const BenchComparison& bench, double limit) {
  auto baseline = SideEvidence(context.arguments.positional(0), bench.reference_median, bench.reference_p95,
                               bench.reference_rounds);
  if (!baseline.ok()) return baseline.status();
  auto candidate =
      SideEvidence(context.arguments.positional(1), bench.module_median, bench.module_p95,
                   bench.module_rounds);
  if (!candidate.ok()) return candidate.status();
  return Json{{"time", absl::FormatTime(absl::RFC3339_sec, absl::Now(), absl::UTCTimeZone())},
              {"cpu_name", CpuName()},
              {"threads", bench.threads},
              {"rounds", bench.rounds},
              {"window_seconds", options.window_seconds},
              {"seed", options.seed},
              {"baseline", *baseline},
              {"candidate", *candidate},
              {"ratio", bench.ratio},
              {"ratio_low", bench.ratio_low},
              {"ratio_high", bench.ratio_high},
              {"limit", limit},
              {"verdict", Verdict(bench, limit)},
              {"max_error", bench.max_error},
              {"outputs_agree", bench.agrees}};
}

}  // namespace

absl::StatusOr<int> RunBench(const CommandContext& context) {
  auto options = ReadOptions(context, 1, BenchOptions());
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

absl::StatusOr<int> RunProfile(const CommandContext& context) {
  auto options = ReadOptions(context, 1, BenchOptions());
  if (!options.ok()) return options.status();
  const std::filesystem::path path = context.arguments.positional(0);
  auto profile = ProfileModule(path, *options);
  if (!profile.ok()) return profile.status();
  const Json report = ReportBeside(path);
  if (context.console.json) {
    context.console.PrintJson(ProfileJson(*profile, report));
  } else {
    context.console.out << ProfileText(*profile, report, context.console.width);
  }
  return kExitOk;
}

absl::StatusOr<int> RunCompare(const CommandContext& context) {
  BenchOptions defaults;
  defaults.rounds = kCompareRounds;
  auto options = ReadOptions(context, kLeastRounds, defaults);
  if (!options.ok()) return options.status();
  auto limit = ParsePercent(context.arguments.GetOr("--fail-if-slower", "0%"));
  if (!limit.ok()) return limit.status();
  auto bench =
      BenchAgainstModule(context.arguments.positional(0), context.arguments.positional(1), *options);
  if (!bench.ok()) return bench.status();
  auto evidence = Evidence(context, *options, *bench, *limit);
  if (!evidence.ok()) return evidence.status();
  if (auto path = context.arguments.Get("--evidence")) {
    absl::Status status = WriteTextFile(*path, evidence->dump(2) + "\n");
    if (!status.ok()) return status;
  }
  if (context.console.json) {
    context.console.PrintJson(*evidence);
  } else {
    context.console.out << ComparisonText(*bench, "candidate", "the baseline", context.console.width)
                        << "verdict: " << Verdict(*bench, *limit) << " (limit " << FormatPercent(*limit)
                        << ")\n";
    if (absl::string_view(Verdict(*bench, *limit)) == "undecided")
      context.console.Note("the interval contains the limit: a larger --rounds or a quieter machine decides");
  }
  const bool gated = context.arguments.Has("--fail-if-slower");
  return gated && bench->ratio_low > 1 + *limit ? kExitFailure : kExitOk;
}

}  // namespace hone
