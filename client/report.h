#pragma once

#include <string>
#include <vector>

#include "client/json.h"

namespace hone {

// How a module compares with a reference: ONNX Runtime (`hone bench`) or another module (`hone compare`).
struct BenchComparison {
  std::string version;  // of onnxruntime; empty if the reference is a module
  uint32_t threads = 0;
  uint32_t rounds = 0;
  double module_median = 0;  // seconds per run
  double module_p95 = 0;
  double reference_median = 0;
  double reference_p95 = 0;
  std::vector<double> module_rounds, reference_rounds;  // seconds per run of each round
  double ratio = 0;      // module / reference, median of the rounds' ratios
  double ratio_low = 0;  // 95 % interval
  double ratio_high = 0;
  double max_error = 0;     // max |module - reference|
  double worst_excess = 0;  // max of |difference| / (atol + rtol |reference|); agrees when <= 1
  bool agrees = false;
};

Json BenchJson(const BenchComparison& bench);
std::string ComparisonText(const BenchComparison& bench, const std::string& module_name,
                           const std::string& reference_name, int width);
std::string BenchText(const BenchComparison& bench, int width);

// report.json of a job (README "report.json") for people: default against tuned, ONNX Runtime beside them if
// `bench` is given, the verdict, the check, and the tasks by share of the time. Missing fields read as "-".
std::string ReportText(const Json& report, const BenchComparison* bench, int width);

// The inspect report for people.
std::string InspectText(const Json& report, int width);

}  // namespace hone
