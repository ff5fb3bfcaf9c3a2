#include "tests/performance/bench_model.h"

#include <fstream>
#include <sstream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "tests/performance/task_bench.h"

namespace hone {

std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

BenchModel ReadBenchModel(const std::string& file, int argc, char** argv, int first) {
  CompileOptions options{.target = Must(FindTarget(argc > first ? argv[first] : "host"))};
  for (int i = first + 1; i < argc; ++i) {
    const std::vector<std::string> parts = absl::StrSplit(argv[i], '=');
    for (const std::string& dim : static_cast<std::vector<std::string>>(absl::StrSplit(parts.back(), ','))) {
      int64_t size = 0;
      if (absl::SimpleAtoi(dim, &size)) options.shapes[parts[0]].push_back(size);
    }
  }
  const auto bytes = std::make_shared<const std::string>(ReadFile(file));
  Graph graph = Must(ImportModel({"model", "model.onnx", {{"model.onnx", {*bytes, bytes}}}}, options));
  return {std::move(options), std::move(graph)};
}

}  // namespace hone
