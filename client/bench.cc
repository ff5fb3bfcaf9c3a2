#include "client/bench.h"

#include <stdlib.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/error.h"
#include "client/module_runner.h"
#include "client/onnxruntime_runner.h"
#include "client/process.h"
#include "proto/values/measurement.h"

namespace hone {
namespace {

namespace fs = std::filesystem;

constexpr double kRelative = 1e-3;
constexpr double kAbsolute = 1e-4;
constexpr absl::Duration kLoadTimeout = absl::Minutes(5);  // ONNX Runtime optimises the graph first
constexpr absl::Duration kWindowTimeout = absl::Minutes(2);
constexpr absl::Duration kSettle = absl::Milliseconds(20);  // ONNX Runtime's idle threads spin for a while

const char* NumpyType(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return "float32";
    case DType::kF64:
      return "float64";
    case DType::kF16:
      return "float16";
    case DType::kBF16:
      return "uint16";
    case DType::kI8:
      return "int8";
    case DType::kI16:
      return "int16";
    case DType::kI32:
      return "int32";
    case DType::kI64:
      return "int64";
    case DType::kU8:
      return "uint8";
    case DType::kU16:
      return "uint16";
    case DType::kU32:
      return "uint32";
    case DType::kU64:
      return "uint64";
    case DType::kBool:
      return "bool";
  }
  return "";
}

template <typename T>
double Read(const char* from) {
  T value;
  std::memcpy(&value, from, sizeof(value));
  return static_cast<double>(value);
}

// An element as a number; 16-bit floats do not occur as outputs that are compared (they would need rounding
// of their own).
double Element(DType dtype, const char* from) {
  switch (dtype) {
    case DType::kF32:
      return Read<float>(from);
    case DType::kF64:
      return Read<double>(from);
    case DType::kI8:
      return Read<int8_t>(from);
    case DType::kI16:
      return Read<int16_t>(from);
    case DType::kI32:
      return Read<int32_t>(from);
    case DType::kI64:
      return static_cast<double>(Read<int64_t>(from));
    case DType::kU8:
    case DType::kBool:
      return Read<uint8_t>(from);
    case DType::kF16:
    case DType::kBF16:
    case DType::kU16:
      return Read<uint16_t>(from);
    case DType::kU32:
      return Read<uint32_t>(from);
    case DType::kU64:
      return static_cast<double>(Read<uint64_t>(from));
  }
  return 0;
}

absl::Status WriteInputs(const LoadedModule& module, const fs::path& folder) {
  Json listing = Json::array();
  for (size_t i = 0; i < module.inputs().size(); ++i) {
    const ModuleTensor& tensor = module.inputs()[i];
    const std::string file = absl::StrCat("input_", i, ".bin");
    std::ofstream(folder / file, std::ios::binary).write(tensor.bytes.data(), tensor.bytes.size());
    listing.push_back({{"name", tensor.name},
                       {"dtype", NumpyType(tensor.spec.dtype)},
                       {"shape", tensor.spec.dims},
                       {"file", file}});
  }
  std::ofstream out(folder / "inputs.json");
  out << listing.dump();
  out.close();
  if (!out) return absl::ResourceExhaustedError("cannot write " + folder.string());
  return absl::OkStatus();
}

// Compares one output, element by element; a difference that is not finite counts as infinite unless both are
// alike.
void CompareOutput(const ModuleTensor& output, const char* reference, BenchComparison& bench) {
  const int64_t size = DTypeBytes(output.spec.dtype);
  for (int64_t i = 0; i < output.spec.Elements(); ++i) {
    const double a = Element(output.spec.dtype, output.bytes.data() + i * size);
    const double b = Element(output.spec.dtype, reference + i * size);
    if (a == b || (std::isnan(a) && std::isnan(b))) continue;
    double difference = std::abs(a - b);
    if (!std::isfinite(difference)) difference = INFINITY;
    bench.max_error = std::max(bench.max_error, difference);
    bench.worst_excess = std::max(bench.worst_excess, difference / (kAbsolute + kRelative * std::abs(b)));
  }
}

absl::Status CompareOutputs(const LoadedModule& module, const Json& listing, const fs::path& folder,
                            BenchComparison& bench) {
  if (listing.size() != module.outputs().size()) {
    return absl::InternalError(
        absl::StrCat("the module has ", module.outputs().size(), " outputs, the model ", listing.size()));
  }
  for (size_t i = 0; i < module.outputs().size(); ++i) {
    const ModuleTensor& output = module.outputs()[i];
    std::vector<int64_t> dims;
    for (const Json& dim : JsonMember(listing[i], "shape")) dims.push_back(dim.get<int64_t>());
    const std::string dtype = JsonText(listing[i], "dtype");
    auto bytes = ReadTextFile((folder / JsonText(listing[i], "file")).string());
    if (!bytes.ok()) return bytes.status();
    if (dims != output.spec.dims || dtype != NumpyType(output.spec.dtype) ||
        bytes->size() != static_cast<size_t>(output.spec.Bytes())) {
      return absl::InternalError(
          absl::StrCat("output '", output.name, "' has another shape or dtype than ONNX Runtime's"));
    }
    CompareOutput(output, bytes->data(), bench);
  }
  bench.agrees = bench.worst_excess <= 1;
  return absl::OkStatus();
}

absl::StatusOr<double> ModuleWindow(LoadedModule& module, double seconds) {
  absl::Status status = module.Run();
  const absl::Time start = absl::Now();
  double elapsed = 0;
  int calls = 0;
  while (status.ok() && (calls == 0 || elapsed < seconds)) {
    status = module.Run();
    ++calls;
    elapsed = absl::ToDoubleSeconds(absl::Now() - start);
  }
  if (!status.ok()) return status;
  return elapsed / calls;
}

absl::StatusOr<double> ReferenceWindow(PipedProcess& reference, double seconds) {
  absl::Status status = reference.WriteLine(absl::StrCat("run ", seconds));
  if (!status.ok()) return status;
  auto line = reference.ReadLine(kWindowTimeout);
  if (!line.ok()) return WithContext(line.status(), "ONNX Runtime");
  auto answer = ParseJson(*line, "ONNX Runtime's answer");
  if (!answer.ok()) return answer.status();
  absl::SleepFor(kSettle);
  const double per_call = JsonNumber(*answer, "seconds");
  if (per_call <= 0) return absl::InternalError("ONNX Runtime gave no time");
  return per_call;
}

using Window = std::function<absl::StatusOr<double>()>;  // seconds per run

// Each goes first in every other round, so that neither profits from its place.
absl::Status RunRounds(const Window& module, const Window& reference, uint32_t rounds,
                       BenchComparison& bench) {
  std::vector<double>&ours = bench.module_rounds, &theirs = bench.reference_rounds, ratios;
  for (uint32_t round = 0; round < rounds; ++round) {
    absl::StatusOr<double> a, b;
    if (round % 2 == 0) a = module();
    b = reference();
    if (round % 2 != 0) a = module();
    if (!a.ok()) return a.status();
    if (!b.ok()) return b.status();
    ours.push_back(*a);
    theirs.push_back(*b);
    ratios.push_back(*a / *b);
  }
  bench.rounds = rounds;
  bench.module_median = Quantile(ours, 0.5);
  bench.module_p95 = Quantile(ours, 0.95);
  bench.reference_median = Quantile(theirs, 0.5);
  bench.reference_p95 = Quantile(theirs, 0.95);
  const RatioInterval interval = MedianInterval(std::move(ratios));
  bench.ratio = interval.median;
  bench.ratio_low = interval.low;
  bench.ratio_high = interval.high;
  return absl::OkStatus();
}

absl::Status CheckSameInterface(const std::vector<ModuleTensor>& baseline,
                                const std::vector<ModuleTensor>& candidate, const char* what) {
  auto same = [](const ModuleTensor& a, const ModuleTensor& b) {
    return a.name == b.name && a.spec == b.spec;
  };
  if (std::equal(baseline.begin(), baseline.end(), candidate.begin(), candidate.end(), same))
    return absl::OkStatus();
  return WithRemedy(absl::InvalidArgumentError(absl::StrCat("the two modules have different ", what)),
                    "compare modules of one model with the same shapes");
}

}  // namespace

RatioInterval MedianInterval(std::vector<double> ratios) {
  if (ratios.empty()) return {};
  std::sort(ratios.begin(), ratios.end());
  const int n = static_cast<int>(ratios.size());
  // The largest k with P(Binomial(n, 1/2) < k) <= 2.5 %: the k-th smallest and k-th largest bound the median.
  double probability = std::pow(0.5, n), below = probability;
  int k = 0;
  while (k < n / 2 && below <= 0.025) {
    ++k;
    probability *= static_cast<double>(n - k + 1) / k;
    below += probability;
  }
  const int index = std::max(0, k - 1);
  return {Quantile(ratios, 0.5), ratios[index], ratios[n - 1 - index]};
}

absl::StatusOr<std::string> FindOnnxRuntimePython(const ClientConfig& config) {
  for (const std::string& python : {config.python, config.venv + "/bin/python", std::string("python3")}) {
    if (python.empty()) continue;
    auto process = PipedProcess::Start({python, "-c", "import onnxruntime, numpy; print('ok')"}, false);
    if (!process.ok()) continue;
    auto line = (*process)->ReadLine(absl::Seconds(30));
    if (line.ok() && *line == "ok") return python;
  }
  return WithRemedy(absl::NotFoundError("no Python here can import onnxruntime and numpy"),
                    "pip install onnxruntime numpy, and set HONE_PYTHON to that python");
}

absl::StatusOr<BenchComparison> BenchAgainstOnnxRuntime(const std::string& python,
                                                        const fs::path& module_path, const fs::path& model,
                                                        const BenchOptions& options) {
  auto module = LoadedModule::Open(module_path, options.threads, options.shapes);
  if (!module.ok()) return module.status();
  (*module)->FillInputs(options.seed);
  std::string folder = (fs::temp_directory_path() / "hone-bench-XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr)
    return absl::ResourceExhaustedError("cannot make a temporary folder");
  absl::Cleanup remove_folder = [&] {
    std::error_code error;
    fs::remove_all(folder, error);
  };
  absl::Status status = WriteInputs(**module, folder);
  if (!status.ok()) return status;
  BenchComparison bench;
  bench.threads = (*module)->threads();
  auto reference = PipedProcess::Start(
      {python, "-c", kOnnxRuntimeRunner, model.string(), folder, absl::StrCat(bench.threads)}, true);
  if (!reference.ok()) return reference.status();
  auto line = (*reference)->ReadLine(kLoadTimeout);
  if (!line.ok()) return WithContext(line.status(), "ONNX Runtime");
  auto hello = ParseJson(*line, "ONNX Runtime's answer");
  if (!hello.ok()) return hello.status();
  const std::string error = JsonText(*hello, "error");
  if (!error.empty()) return absl::InternalError("ONNX Runtime: " + error);
  bench.version = JsonText(*hello, "version");
  status = (*module)->Run();
  if (status.ok()) status = CompareOutputs(**module, JsonMember(*hello, "outputs"), folder, bench);
  if (!status.ok()) return status;
  const double window = options.window_seconds;
  status = RunRounds([&] { return ModuleWindow(**module, window); },
                     [&] { return ReferenceWindow(**reference, window); }, options.rounds, bench);
  if (!status.ok()) return status;
  return bench;
}

absl::StatusOr<BenchComparison> BenchAgainstModule(const fs::path& baseline_path,
                                                   const fs::path& candidate_path,
                                                   const BenchOptions& options) {
  auto baseline = LoadedModule::Open(baseline_path, options.threads, options.shapes);
  if (!baseline.ok()) return WithContext(baseline.status(), baseline_path.string());
  auto candidate = LoadedModule::Open(candidate_path, options.threads, options.shapes);
  if (!candidate.ok()) return WithContext(candidate.status(), candidate_path.string());
  LoadedModule &a = **baseline, &b = **candidate;
  if (a.threads() != b.threads()) {
    return WithRemedy(absl::FailedPreconditionError(absl::StrCat("the modules are tuned for ", a.threads(),
                                                                 " and ", b.threads(), " threads")),
                      "choose with --threads N");
  }
  absl::Status status = CheckSameInterface(a.inputs(), b.inputs(), "inputs");
  for (LoadedModule* module : {&a, &b}) {
    module->FillInputs(options.seed);
    if (status.ok()) status = module->Run();
  }
  if (status.ok()) status = CheckSameInterface(a.outputs(), b.outputs(), "outputs");
  if (!status.ok()) return status;
  BenchComparison bench;
  bench.threads = a.threads();
  for (size_t i = 0; i < a.outputs().size(); ++i)
    CompareOutput(b.outputs()[i], a.outputs()[i].bytes.data(), bench);
  bench.agrees = bench.worst_excess <= 1;
  const double window = options.window_seconds;
  status = RunRounds([&] { return ModuleWindow(b, window); }, [&] { return ModuleWindow(a, window); },
                     options.rounds, bench);
  if (!status.ok()) return status;
  return bench;
}

}  // namespace hone
