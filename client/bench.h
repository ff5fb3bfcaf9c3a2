#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/config.h"
#include "client/module_runner.h"
#include "client/report.h"

namespace hone {

struct BenchOptions {
  uint32_t threads = 0;                  // 0 = as the module was tuned for; ONNX Runtime gets the same
  uint32_t rounds = 15;                  // each: a window of the module, then one of ONNX Runtime
  double window_seconds = 0.1;           // at least one call; the first call after a switch is not timed
  uint64_t seed = 1;                     // of the inputs
  std::vector<v1::ShapeBinding> shapes;  // of dimensions the module leaves open
};

// A Python that can import onnxruntime: HONE_PYTHON, the environment of deploy/install, python3. NotFound if
// none can.
absl::StatusOr<std::string> FindOnnxRuntimePython(const ClientConfig& config);

// Runs module and ONNX Runtime in turns on the same inputs, ONNX Runtime in its own process, and compares the
// outputs with rtol 1e-3, atol 1e-4.
absl::StatusOr<BenchComparison> BenchAgainstOnnxRuntime(const std::string& python,
                                                        const std::filesystem::path& module,
                                                        const std::filesystem::path& model,
                                                        const BenchOptions& options);

// Two modules of one interface in turns in this process; `candidate` is the comparison's module, `baseline`
// its reference. InvalidArgument: their inputs or outputs differ; FailedPrecondition: tuned for different
// numbers of threads and options.threads does not decide.
absl::StatusOr<BenchComparison> BenchAgainstModule(const std::filesystem::path& baseline,
                                                   const std::filesystem::path& candidate,
                                                   const BenchOptions& options);

// Median of the ratios and its 95 % interval by order statistics (binomial; conservative for few samples).
struct RatioInterval {
  double median = 0;
  double low = 0;
  double high = 0;
};
RatioInterval MedianInterval(std::vector<double> ratios);

}  // namespace hone
