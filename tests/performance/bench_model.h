#pragma once

#include <filesystem>
#include <string>

#include "compiler/compile.h"

namespace hone {

std::string ReadFile(const std::filesystem::path& path);

// A model as benchmarks are told of it, from argv[first] on: [TARGET [INPUT=1,3,224,224 ...]]. Ends the
// program if there is none.
struct BenchModel {
  CompileOptions options;
  Graph graph;
};
BenchModel ReadBenchModel(const std::string& file, int argc, char** argv, int first);

}  // namespace hone
