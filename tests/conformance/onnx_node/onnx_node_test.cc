// The node tests of the ONNX project through import, passes, cut and the tasks' programs (interpreted). Each
// test runs twice: with all inputs at run time, and with all but the first as initializers. passing.txt lists
// what must pass (HONE_UPDATE_GOLDENS=1 rewrites it); what is neither listed nor reported as unsupported or
// invalid is a wrong result.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <set>
#include <sstream>

#include "compiler/frontend/onnx/onnx_import.h"
#include "compiler/frontend/onnx/onnx_proto.h"
#include "compiler/frontend/onnx/onnx_tensor.h"
#include "compiler/graph_passes/fuse_into_tasks.h"
#include "compiler/graph_passes/pass_table.h"
#include "compiler/task/evaluate.h"
#include "gtest/gtest.h"
#include "tests/compiler/graph_passes/small_networks.h"

namespace hone {
namespace {

namespace fs = std::filesystem;

constexpr char kManifest[] = "tests/conformance/onnx_node/passing.txt";  // tests run in the repository's root
constexpr double kRelative = 1e-3, kAbsolute = 1e-6;

enum class Outcome { kPass, kUnsupported, kInvalid, kWrong };

std::string Read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// Values of a test's files; false if they are not all dense tensors of numbers.
bool ReadTensors(const fs::path& directory, const char* kind, int count,
                 std::vector<onnx::TensorProto>* protos, std::vector<HostTensor>* values) {
  for (int i = 0; i < count; ++i) {
    onnx::TensorProto proto;
    const std::string bytes = Read(directory / (kind + std::string("_") + std::to_string(i) + ".pb"));
    if (!proto.ParseFromString(bytes)) return false;
    const absl::StatusOr<ConstantRef> constant = ConstantOfTensor(proto, nullptr, {});
    if (!constant.ok()) return false;
    values->push_back(HostTensorOf(**constant));
    protos->push_back(std::move(proto));
  }
  return true;
}

bool Agree(const HostTensor& got, const HostTensor& expected) {
  if (got.dtype != expected.dtype || got.dims != expected.dims) return false;
  for (int64_t i = 0; i < got.Elements(); ++i) {
    const double a = got.Get(i), b = expected.Get(i);
    if (std::isnan(a) != std::isnan(b)) return false;
    if (!std::isnan(a) && a != b && !(std::abs(a - b) <= kAbsolute + kRelative * std::abs(b))) return false;
  }
  return true;
}

class NodeTest {
 public:
  explicit NodeTest(fs::path directory) : directory_(std::move(directory)) {}

  Outcome Run(bool constants) {
    onnx::ModelProto model;
    if (!model.ParseFromString(Read(directory_ / "model.onnx"))) return Outcome::kInvalid;
    std::vector<onnx::TensorProto> protos;
    std::vector<HostTensor> inputs, expected;
    const fs::path data = directory_ / "test_data_set_0";
    const bool readable = ReadTensors(data, "input", model.graph().input_size(), &protos, &inputs);
    protos.resize(readable ? protos.size() : 0);
    std::vector<onnx::TensorProto> unused;
    if (!readable || !ReadTensors(data, "output", model.graph().output_size(), &unused, &expected))
      return Outcome::kUnsupported;
    if (constants) {
      for (int i = 1; i < model.graph().input_size(); ++i) {
        protos[i].set_name(model.graph().input(i).name());
        *model.mutable_graph()->add_initializer() = protos[i];
      }
      inputs.resize(std::min<size_t>(inputs.size(), 1));
    }
    std::map<std::string, std::vector<int64_t>> shapes;
    for (size_t i = 0; i < inputs.size(); ++i)
      shapes[model.graph().input(static_cast<int>(i)).name()] = inputs[i].dims;
    const auto bytes = std::make_shared<const std::string>(model.SerializeAsString());
    absl::StatusOr<OnnxImport> import = ImportOnnx({"node", "model", {{"model", {*bytes, bytes}}}}, shapes);
    if (!import.ok()) return absl::IsInvalidArgument(import.status()) ? Outcome::kInvalid : Outcome::kWrong;
    if (!import->unsupported.empty()) return Outcome::kUnsupported;
    const Target target = FindTarget("x86-64-v3").value();
    if (!RunPasses(import->graph, {target}).ok()) return Outcome::kWrong;
    const absl::StatusOr<CutGraph> cut =
        FuseIntoTasks(std::move(import->graph), target, 1, AlgorithmPolicy::kFast);
    if (!cut.ok()) return Outcome::kWrong;
    const absl::StatusOr<std::vector<HostTensor>> outputs = EvaluateCut(*cut, inputs);
    if (!outputs.ok() || outputs->size() != expected.size()) return Outcome::kWrong;
    for (size_t i = 0; i < expected.size(); ++i) {
      if (!Agree((*outputs)[i], expected[i])) return Outcome::kWrong;
    }
    return Outcome::kPass;
  }

 private:
  const fs::path directory_;
};

TEST(OnnxNodeTest, WhatIsListedPassesAndNothingIsWrong) {
  const fs::path suite = HONE_ONNX_NODE_TESTS;
  if (suite.empty() || !fs::exists(suite)) GTEST_SKIP() << "no onnx wheel (deploy/install)";
  std::set<std::string> listed, passed;
  std::istringstream manifest(Read(kManifest));
  for (std::string line; std::getline(manifest, line);) listed.insert(line);
  std::vector<fs::path> directories;
  for (const auto& entry : fs::directory_iterator(suite)) directories.push_back(entry.path());
  std::sort(directories.begin(), directories.end());
  ASSERT_GT(directories.size(), 1000u);
  std::map<Outcome, int> counts;
  for (const fs::path& directory : directories) {
    for (const bool constants : {false, true}) {
      const std::string name = directory.filename().string() + (constants ? " constants" : "");
      const Outcome outcome = NodeTest(directory).Run(constants);
      ++counts[outcome];
      EXPECT_NE(outcome, Outcome::kWrong) << name;
      if (outcome == Outcome::kPass) passed.insert(name);
    }
  }
  for (const std::string& name : listed) EXPECT_TRUE(passed.contains(name)) << name << " passed before";
  std::cout << counts[Outcome::kPass] << " pass, " << counts[Outcome::kUnsupported] << " unsupported, "
            << counts[Outcome::kInvalid] << " invalid, " << counts[Outcome::kWrong] << " wrong\n";
  if (std::getenv("HONE_UPDATE_GOLDENS") != nullptr) {
    std::ofstream file(kManifest);
    for (const std::string& name : passed) file << name << "\n";
  }
}

}  // namespace
}  // namespace hone
