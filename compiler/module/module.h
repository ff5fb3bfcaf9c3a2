#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "compiler/codegen/codegen.h"
#include "compiler/graph_passes/cut_graph.h"

namespace hone {

struct ModuleOptions {
  std::string name;                       // model name; becomes <name>_hone_module (sanitised to a C identifier)
  std::string model_digest;               // sha256 of the model's main file
  std::string compiler_build;
  Target target;
  int threads = 1;                        // tuned for
  double predicted_seconds = 0;
  std::vector<std::string> traces;        // per task of the cut, for describe()
  std::string report_json;                // becomes report.json, if not empty
  int64_t sidecar_threshold = int64_t{1} << 30;   // constants above this many bytes go to NAME.bin
  uint64_t additional_cpu_features = 0;   // required by open() beyond the target's (compiler/runtime/cpu_features.h)
};

// File name -> bytes: NAME.so, NAME.a, NAME.h, hone.h, dlpack.h, describe.json, sample.c, Makefile, hone_module.py, ...
using ModuleFiles = std::map<std::string, std::string>;

}  // namespace hone
